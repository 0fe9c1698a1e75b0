"""The UNet: the published names, what one frame learns from another, and what may be reused."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden_recipe import fill_weights, make_input
from torch import Tensor

from lipsync.engines.latentsync.params import STAGE1, STAGE2, STAGE2_EFFICIENT, UNetParams
from lipsync.engines.latentsync.unet import FeatureCache, UNet, embed_timesteps

TINY = UNetParams(
    widths=(32, 64),
    layers=1,
    down_attention=(True, False),
    up_attention=(False, True),
    audio_width=16,
    down_motion=(True, True),
    up_motion=(True, True),
    max_frames=6,
)
STILL = replace(TINY, down_motion=(False, False), up_motion=(False, False))


def build(params: UNetParams) -> UNet:
    network = UNet(params)
    fill_weights(network)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> UNet:
    return build(TINY)


def predict(
    network: UNet, latents: Tensor, audio: Tensor | None, step: int = 500, **more: FeatureCache
) -> Tensor:
    with torch.inference_mode():
        return network(latents, torch.tensor(step), audio, **more)


def make_window(num_frames: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    latents = make_input("latents", (batch, 13, num_frames, 8, 8))
    return latents, make_input("audio", (batch * num_frames, 5, 16))


@pytest.mark.parametrize(
    ("params", "num_tensors", "num_parameters", "digest"),
    [
        (STAGE1, 686, 849_962_244, "3ae6820e211b"),
        (STAGE2, 1246, 1_267_099_844, "678ed6634677"),
        (STAGE2_EFFICIENT, 1022, 1_100_244_804, "56fdeb2b2ef7"),
    ],
)
def test_names_and_shapes_are_the_published_ones(
    params: UNetParams, num_tensors: int, num_parameters: int, digest: str
) -> None:
    """`digest`: of the sorted lines "name (shape)" of the published state dicts."""
    with torch.device("meta"):
        network = UNet(params)
    state = network.state_dict()
    lines = sorted(f"{name} {tuple(value.shape)}" for name, value in state.items())
    assert len(state) == num_tensors
    assert sum(weight.numel() for weight in network.parameters()) == num_parameters
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest().startswith(digest)


def test_timesteps_become_cosines_then_sines() -> None:
    waves = embed_timesteps(torch.tensor([0, 3]), 8)
    assert waves[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    slow = 3 / 10000**0.75  # the slowest of four falling frequencies
    expected = [math.cos(3), math.cos(slow), math.sin(3), math.sin(slow)]
    torch.testing.assert_close(waves[1, [0, 3, 4, 7]], torch.tensor(expected))


def test_two_windows_at_once_are_two_windows(network: UNet) -> None:
    """Guidance in one pass or in two gives the same."""
    latents, audio = make_window(3, batch=2)
    both = predict(network, latents, audio)
    apart = [predict(network, latents[i : i + 1], audio[3 * i : 3 * i + 3]) for i in range(2)]
    torch.testing.assert_close(both, torch.cat(apart), atol=1e-5, rtol=0)


def test_each_window_may_stand_at_its_own_timestep(network: UNet) -> None:
    latents, audio = make_window(2, batch=2)
    with torch.inference_mode():
        mixed = network(latents, torch.tensor([900, 20]), audio)
    torch.testing.assert_close(mixed[:1], predict(network, latents, audio, 900)[:1])
    torch.testing.assert_close(mixed[1:], predict(network, latents, audio, 20)[1:])
    assert (predict(network, latents, audio, 900) - mixed)[1].abs().max() > 0.01


def test_a_frame_hears_its_own_sound_only_through_others(network: UNet) -> None:
    """Another sound for frame 2 changes frame 2 most, and the others through the motion modules."""
    latents, audio = make_window(4)
    other = audio.clone()
    other[2] = make_input("other sound", (5, 16))
    change = (predict(network, latents, other) - predict(network, latents, audio)).abs()
    per_frame = change.mean(dim=(0, 1, 3, 4))
    assert per_frame.argmax() == 2
    assert per_frame.min() > 0


def test_without_sound_nothing_is_heard(network: UNet) -> None:
    latents, audio = make_window(2)
    unheard = predict(network, latents, None)
    deaf = build(replace(TINY, audio_width=None))
    torch.testing.assert_close(unheard, predict(deaf, latents, None))
    assert (unheard - predict(network, latents, audio)).abs().max() > 0.01


def test_only_motion_knows_the_order_of_frames(network: UNet) -> None:
    latents, audio = make_window(4)
    turned = latents.flip(2), audio.flip(0)
    change = predict(network, *turned).flip(2) - predict(network, latents, audio)
    assert change.abs().max() > 0.01
    still = build(STILL)
    torch.testing.assert_close(
        predict(still, *turned).flip(2), predict(still, latents, audio), atol=1e-5, rtol=0
    )


def test_even_without_motion_frames_share_their_statistics() -> None:
    """The residual layers' norms look at the whole clip, so a shorter window looks different."""
    still = build(STILL)
    latents, audio = make_window(4)
    alone = predict(still, latents[:, :, :1], audio[:1])
    assert (predict(still, latents, audio)[:, :, :1] - alone).abs().max() > 0.01


def test_fresh_motion_modules_change_nothing() -> None:
    still = build(STILL)
    fresh = UNet(TINY).eval()
    missing, unexpected = fresh.load_state_dict(still.state_dict(), strict=False)
    assert not unexpected
    assert all(".motion_modules." in name for name in missing)
    latents, audio = make_window(3)
    torch.testing.assert_close(predict(fresh, latents, audio), predict(still, latents, audio))


@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_any_size_of_picture_comes_out_as_it_went_in(network: UNet, size: tuple[int, int]) -> None:
    latents = make_input("odd", (1, 13, 2, *size))
    assert predict(network, latents, None).shape == (1, 4, 2, *size)


def test_a_window_longer_than_the_network_knows_is_refused(network: UNet) -> None:
    predict(network, *make_window(6))
    with pytest.raises(ValueError, match="7 frames; this network takes 6"):
        predict(network, *make_window(7))


def test_a_cache_reruns_the_finest_layers_only(network: UNet) -> None:
    latents, audio = make_window(2)
    runs = []
    hook = network.mid_block.register_forward_hook(lambda *_: runs.append(cache.calls))
    cache = FeatureCache(interval=3)
    steps = [900, 700, 500, 300, 100]
    cached = [predict(network, latents, audio, step, cache=cache) for step in steps]
    hook.remove()
    assert runs == [0, 3]
    whole = [predict(network, latents, audio, step) for step in steps]
    for index, (one, other) in enumerate(zip(cached, whole, strict=True)):
        error = (one - other).abs().max()
        assert error == 0 if index in (0, 3) else 0 < error < 1


def test_what_a_cache_reuses_is_what_would_have_come_out(network: UNet) -> None:
    """At the same timestep with other latents for the finest layers, only these are new."""
    latents, audio = make_window(2)
    cache = FeatureCache(interval=2)
    first = predict(network, latents, audio, cache=cache)
    torch.testing.assert_close(predict(network, latents, audio, cache=cache), first)
    assert (predict(network, -latents, audio, cache=FeatureCache(1)) - first).abs().max() > 0.01


def test_half_precision_stays_half(network: UNet) -> None:
    latents, audio = make_window(2)
    half = build(TINY).to(torch.bfloat16)
    found = predict(half, latents.bfloat16(), audio.bfloat16())
    assert found.dtype == torch.bfloat16
    assert (found.float() - predict(network, latents, audio)).abs().mean() < 0.05


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory in Linux's unit")
def test_the_full_size_network_runs_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    """Stage 1 in float32, 2 frames of 8 × 8 latents: in less than 12 GB."""
    code = """
import resource, time, torch
from golden_recipe import fill_weights, make_input
from lipsync.engines.latentsync.params import STAGE1
from lipsync.engines.latentsync.unet import UNet
with torch.device("meta"):
    network = UNet(STAGE1)
network.to_empty(device="cpu")
fill_weights(network)
inputs = make_input("latents", (1, 13, 2, 8, 8)), torch.tensor(500), make_input("a", (2, 50, 384))
start = time.perf_counter()
with torch.inference_mode():
    found = network(*inputs)
seconds = time.perf_counter() - start
assert found.shape == (1, 4, 2, 8, 8) and found.isfinite().all() and found.std() > 0.1
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, seconds)
"""
    folder = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder.parent}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    gigabytes, seconds = map(float, done.stdout.split())
    with capsys.disabled():
        print(f"full-size stage 1: {seconds:.1f} s, at most {gigabytes:.1f} GB of memory")
    assert gigabytes < 12
