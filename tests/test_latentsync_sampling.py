"""Denoising one window: schedules that arrive, guidance, reuse, and stopping at once."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from golden_recipe import fill_weights, make_input

from lipsync.engines.latentsync.params import UNetParams
from lipsync.engines.latentsync.sampling import (
    Sampling,
    SchedulerName,
    WindowInputs,
    denoise,
    make_scheduler,
)
from lipsync.engines.latentsync.unet import UNet

TINY = UNetParams(
    widths=(32, 64),
    layers=1,
    down_attention=(True, False),
    up_attention=(False, True),
    audio_width=16,
    down_motion=(True, True),
    up_motion=(True, True),
)
NOISE = make_input("noise", (3, 4, 8, 8))
WINDOW = WindowInputs(
    keep=torch.ones(3, 1, 8, 8),
    masked=make_input("masked", (3, 4, 8, 8)),
    reference=make_input("reference", (3, 4, 8, 8)),
    audio=make_input("audio", (3, 5, 16)),
)


@pytest.fixture(scope="module")
def unet() -> UNet:
    network = UNet(TINY)
    fill_weights(network)
    return network.eval()


def run(unet: UNet, sampling: Sampling) -> torch.Tensor:
    *_, last = denoise(unet, WINDOW, NOISE, sampling)
    return last


def batches_of(unet: UNet, sampling: Sampling) -> list[int]:
    """Return how many windows at once every call of the network was given."""
    seen: list[int] = []
    hook = unet.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    run(unet, sampling)
    hook.remove()
    return seen


def test_the_reference_schedule_stands_where_the_reference_stands() -> None:
    assert make_scheduler("ddim", 4).timesteps.tolist() == [751, 501, 251, 1]
    assert make_scheduler("ddim", 20).timesteps.tolist() == list(range(951, 0, -50))


@pytest.mark.parametrize("name", get_args(SchedulerName))
@pytest.mark.parametrize("steps", [1, 2, 6, 20])
def test_every_schedule_arrives_where_a_perfect_guess_points(
    name: SchedulerName, steps: int
) -> None:
    """Told exactly what is noise, a schedule ends at the picture, to the noise of its last step."""
    picture = make_input("picture", (2, 4, 4, 4))
    scheduler = make_scheduler(name, steps)
    shares = scheduler.alphas_cumprod
    start = shares[scheduler.timesteps[0]]
    latents = start.sqrt() * picture + (1 - start).sqrt() * make_input("start", (2, 4, 4, 4))
    for timestep in scheduler.timesteps:
        share = shares[timestep]
        noise = (latents - share.sqrt() * picture) / (1 - share).sqrt()
        latents = scheduler.step(noise, timestep, latents).prev_sample
    torch.testing.assert_close(latents, picture, atol=0.13, rtol=0)


def test_without_guidance_nothing_is_computed_twice(unet: UNet) -> None:
    assert batches_of(unet, Sampling(steps=2, guidance=1.0)) == [1, 1]
    assert batches_of(unet, Sampling(steps=2, guidance=1.5)) == [2, 2]
    assert batches_of(unet, Sampling(steps=2, in_two_passes=True)) == [1, 1, 1, 1]


def test_two_passes_give_what_one_gives(unet: UNet) -> None:
    sampling = Sampling(steps=4, cache_interval=2)
    apart = run(unet, replace(sampling, in_two_passes=True))
    torch.testing.assert_close(apart, run(unet, sampling), atol=1e-4, rtol=1e-4)


def test_guidance_goes_on_beyond_what_is_heard(unet: UNet) -> None:
    """One step is linear in the guidance, and guidance 1 is the plain hearing."""
    plain, double, triple = (
        run(unet, Sampling(steps=1, guidance=guidance)) for guidance in (1.0, 2.0, 3.0)
    )
    assert (double - plain).abs().max() > 0.01
    torch.testing.assert_close(triple - double, double - plain, atol=1e-4, rtol=1e-4)


def test_deep_features_are_shared_by_as_many_steps_as_asked(unet: UNet) -> None:
    deep: list[int] = []
    hook = unet.mid_block.register_forward_hook(lambda *_: deep.append(1))
    cached = run(unet, Sampling(steps=7, cache_interval=3))
    hook.remove()
    assert len(deep) == 3
    whole = run(unet, Sampling(steps=7))
    assert 0 < (cached - whole).abs().mean() < whole.abs().mean()


def test_a_window_leaves_nothing_for_the_next(unet: UNet) -> None:
    sampling = Sampling(steps=3, scheduler="dpm++", cache_interval=2)
    assert torch.equal(run(unet, sampling), run(unet, sampling))


def test_nothing_is_computed_that_nobody_asks_for(unet: UNet) -> None:
    """So a cancelled job stops within one step."""
    calls: list[int] = []
    hook = unet.register_forward_pre_hook(lambda *_: calls.append(1))
    walk = denoise(unet, WINDOW, NOISE, Sampling(steps=9))
    first = next(walk)
    assert not torch.equal(first, next(walk))
    walk.close()
    hook.remove()
    assert len(calls) == 2


def test_half_precision_walks_in_full(unet: UNet) -> None:
    """The network may be coarse; the walk adds up many small steps and is not."""
    half = UNet(TINY)
    fill_weights(half)
    half = half.to(torch.bfloat16).eval()
    inputs = {name: value.bfloat16() for name, value in vars(WINDOW).items()}
    *_, found = denoise(half, WindowInputs(**inputs), NOISE, Sampling(steps=2))
    assert found.dtype == torch.float32
    assert (found - run(unet, Sampling(steps=2))).abs().mean() < 0.1
