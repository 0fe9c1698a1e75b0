"""Checkpoints of the UNet: read wholly from the mapped file, or refused by name."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_recipe import make_input, make_state
from safetensors.torch import save_file
from torch import Tensor

from lipsync.engines.latentsync.params import UNetParams
from lipsync.engines.latentsync.unet import UNet
from lipsync.engines.latentsync.unet_checkpoint import load_unet
from lipsync.errors import InputError
from lipsync.nn.checkpoint import map_weights

TINY = UNetParams(
    in_channels=13,
    widths=(32, 64),
    layers=1,
    down_attention=(True, False),
    up_attention=(False, True),
    audio_width=16,
    down_motion=(True, True),
    up_motion=(True, True),
)
STILL = replace(TINY, down_motion=(False, False), up_motion=(False, False))

State = dict[str, Tensor]


def state_of(params: UNetParams) -> State:
    return make_state(UNet(params).state_dict())


def save_torch(path: Path, state: State, **notes: Any) -> Path:
    torch.save({"state_dict": state, **notes}, path)
    return path


def is_mapped(tensor: Tensor, path: Path) -> bool:
    """Say whether the tensor's numbers lie in the file itself."""
    place = tensor.data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_ = line.split()
        low, high = (int(end, 16) for end in span.split("-"))
        if low <= place < high:
            return line.endswith(str(path))
    return False


def complaint(act: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        act()
    said = str(caught.value)
    assert re.fullmatch(r"[^.].*; [^;]+\.", said), said
    return said


@pytest.mark.parametrize("container", ["weights.pt", "bare.pt", "weights.safetensors"])
def test_the_network_predicts_as_the_one_that_was_saved(tmp_path: Path, container: str) -> None:
    state, path = state_of(TINY), tmp_path / container
    if path.suffix == ".safetensors":
        save_file(state, path)
    elif container == "bare.pt":
        torch.save(state, path)
    else:
        save_torch(path, state, global_step=7)
    loaded = load_unet(path, TINY)
    saved = UNet(TINY).eval()
    saved.load_state_dict(state)
    inputs = make_input("x", (1, 13, 2, 8, 8)), torch.tensor(5), make_input("a", (2, 3, 16))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(*inputs), saved(*inputs), atol=1e-4, rtol=0)
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's list of mapped files")
@pytest.mark.parametrize("container", ["weights.pt", "weights.safetensors"])
def test_no_number_is_copied(tmp_path: Path, container: str) -> None:
    state, path = state_of(TINY), tmp_path / container
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        save_torch(path, state)
    assert all(is_mapped(value, path) for value in load_unet(path, TINY).state_dict().values())


def test_another_precision_is_converted(tmp_path: Path) -> None:
    state = state_of(TINY)
    path = save_torch(tmp_path / "half.pt", {name: v.half() for name, v in state.items()})
    loaded = load_unet(path, TINY, dtype=torch.bfloat16).state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.bfloat16}
    torch.testing.assert_close(
        loaded["conv_in.weight"].float(), state["conv_in.weight"], atol=0.01, rtol=0.01
    )


def test_training_steps_are_known_where_the_file_states_them(tmp_path: Path) -> None:
    state = {"conv_in.weight": torch.zeros(1)}
    assert map_weights(save_torch(tmp_path / "a.pt", state, global_step=7)).step == 7
    assert map_weights(save_torch(tmp_path / "b.pt", state)).step == 0
    noted = tmp_path / "c.safetensors"
    save_file(state, noted, {"global_step": "12", "resolution": "512"})
    found = map_weights(noted)
    assert (found.step, found.resolution) == (12, 512)


def test_another_resolution_is_named(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "hd.pt", state_of(TINY), resolution=512)
    said = complaint(lambda: load_unet(path, TINY, resolution=256))
    assert "hd.pt was trained on faces of 512 px where 256 px are needed; choose" in said
    load_unet(path, TINY, resolution=512)
    unsaid = save_torch(tmp_path / "unsaid.pt", state_of(TINY))
    load_unet(unsaid, TINY, resolution=256)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (STILL, "has no motion modules (needed: a set of 6 motion modules)"),
        (
            replace(TINY, down_motion=(False, False)),
            "has a set of 4 motion modules (needed: a set of 6 motion modules)",
        ),
        (
            replace(TINY, audio_width=24),
            "has a hearing of 24 channels (needed: a hearing of 16 channels)",
        ),
        (
            replace(TINY, audio_width=None),
            "has no hearing (needed: a hearing of 16 channels)",
        ),
        (
            replace(TINY, in_channels=9),
            "has an input of 9 channels (needed: an input of 13 channels)",
        ),
        (replace(TINY, out_channels=8), "has an output of 8 channels (needed: an output of 4"),
        (replace(TINY, widths=(32, 96)), "has a width of 32-96 (needed: a width of 32-64)"),
        (
            replace(TINY, max_frames=32),
            "has a window of up to 32 frames (needed: a window of up to 24 frames)",
        ),
    ],
)
def test_another_network_is_named(tmp_path: Path, other: UNetParams, found: str) -> None:
    path = save_torch(tmp_path / "other.pt", state_of(other))
    said = complaint(lambda: load_unet(path, TINY))
    assert said.startswith(f"other.pt {found}")
    assert said.endswith("; choose the checkpoint that belongs here.")


def test_a_network_with_motion_is_no_network_without(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "stage2.pt", state_of(TINY))
    said = complaint(lambda: load_unet(path, STILL))
    assert "has a set of 6 motion modules (needed: no motion modules)" in said


def test_motion_in_other_places_is_noticed_too(tmp_path: Path) -> None:
    down = replace(TINY, down_motion=(False, True), up_motion=(True, False))
    path = save_torch(tmp_path / "places.pt", state_of(down))
    wanted = replace(TINY, down_motion=(True, False), up_motion=(True, False))
    assert "places.pt lacks 28 of the UNet's" in complaint(lambda: load_unet(path, wanted))


def test_a_missing_a_strange_and_a_misshapen_tensor_are_named(tmp_path: Path) -> None:
    state = state_of(TINY)
    bias = state.pop("conv_out.bias")
    path = save_torch(tmp_path / "some.pt", state)
    assert "some.pt lacks 1 of the UNet's" in complaint(lambda: load_unet(path, TINY))
    save_torch(path, {**state, "conv_out.bias": bias, "extra.weight": bias})
    said = complaint(lambda: load_unet(path, TINY))
    assert "holds tensors that the UNet has no place for (1, such as extra.weight)" in said
    save_torch(path, {**state, "conv_out.bias": bias[:3]})
    said = complaint(lambda: load_unet(path, TINY))
    assert "tensors in another shape, such as conv_out.bias" in said


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "vae.pt", {"encoder.conv_in.weight": torch.zeros(2)})
    said = complaint(lambda: load_unet(path, TINY))
    assert "vae.pt holds 1 tensors but no LatentSync UNet" in said
    torch.save({"epoch": 3}, path)
    assert "something other than named tensors" in complaint(lambda: load_unet(path, TINY))
    save_torch(path, state_of(TINY), global_step="many")
    assert "'global_step' is 'many', which is no number" in complaint(lambda: load_unet(path, TINY))


def test_a_broken_or_absent_file_is_named(tmp_path: Path) -> None:
    assert "There is no checkpoint at" in complaint(lambda: load_unet(tmp_path / "no.pt", TINY))
    whole = save_torch(tmp_path / "whole.pt", state_of(TINY)).read_bytes()
    tensors = tmp_path / "whole.safetensors"
    save_file(state_of(TINY), tensors)
    for name, data in (
        ("page.pt", b"<html>Sign in</html>"),
        ("cut.pt", whole[:-500]),
        ("empty.pt", b""),
        ("page.safetensors", b"<html>Sign in</html>"),
        ("cut.safetensors", tensors.read_bytes()[:-500]),
        ("empty.safetensors", b""),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        said = complaint(lambda path=path: load_unet(path, TINY))
        assert said.startswith(f"{name} is ")
        assert said.endswith("; fetch it again or choose another file.")


class _Trap:
    """What an evil file would run when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "evil.pt"
    torch.save({"state_dict": _Trap(mark)}, path)
    assert "is not a checkpoint that can be read" in complaint(lambda: load_unet(path, TINY))
    assert not mark.exists()
