"""Read a UNet from a file; a checkpoint of another network is refused with what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lipsync.engines.latentsync.params import UNetParams
from lipsync.engines.latentsync.unet import UNet
from lipsync.errors import InputError
from lipsync.nn.checkpoint import CHOOSE, MappedState, map_weights, take_weights


@dataclass(frozen=True)
class Traits:
    """What names and shapes alone tell of a UNet, in the order in which differences matter."""

    in_channels: int
    out_channels: int
    widths: tuple[int, ...]  # per down stage
    audio_width: int | None  # None = it has no ears
    motion_modules: int
    max_frames: int | None  # positions in time; None = no motion modules


def load_unet(
    path: Path,
    params: UNetParams,
    *,
    resolution: int | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> UNet:
    """Build the UNet of `params` with the weights in a file, ready to predict.

    `resolution` is the side of the faces it is to paint, px. On the CPU, weights that already have
    the wanted dtype stay in the mapped file, which must not be overwritten meanwhile. Raises
    InputError for a file that cannot be read or that belongs to another network.
    """
    state = map_weights(path)
    with torch.device("meta"):
        network = UNet(params)
    refuse_foreign(state, network.state_dict(), resolution)
    take_weights(network, state, part="UNet", device=device, dtype=dtype)
    return network


def refuse_foreign(
    state: MappedState, needed: Mapping[str, Tensor], resolution: int | None = None
) -> None:
    """Raise InputError where `state` is of another kind than the UNet whose state dict is `needed`.

    Files that do not state their resolution pass for every one: shapes do not depend on it.
    """
    name, weights = state.path.name, state.weights
    if resolution is not None and state.resolution not in (None, resolution):
        raise InputError(
            f"{name} was trained on faces of {state.resolution} px where {resolution} px are "
            f"needed; {CHOOSE}."
        )
    if "conv_in.weight" not in weights or "down_blocks.0.resnets.0.conv1.weight" not in weights:
        raise InputError(f"{name} holds {len(weights)} tensors but no LatentSync UNet; {CHOOSE}.")
    found, wanted = _words(read_traits(weights)), _words(read_traits(needed))
    for here, there in zip(found, wanted, strict=True):
        if here != there:
            raise InputError(f"{name} has {here} (needed: {there}); {CHOOSE}.")


def read_traits(state: Mapping[str, Tensor]) -> Traits:
    """Tell what kind of UNet a state dict belongs to."""
    widths: list[int] = []
    while (conv := f"down_blocks.{len(widths)}.resnets.0.conv1.weight") in state:
        widths.append(_side(state, conv, 0))
    ears = next((name for name in state if name.endswith("attn2.to_k.weight")), None)
    clock = next((name for name in state if name.endswith("pos_encoder.pe")), None)
    modules = {name.split(".temporal_")[0] for name in state if ".motion_modules." in name}
    return Traits(
        in_channels=_side(state, "conv_in.weight", 1),
        out_channels=_side(state, "conv_out.weight", 0),
        widths=tuple(widths),
        audio_width=None if ears is None else _side(state, ears, 1),
        motion_modules=len(modules),
        max_frames=None if clock is None else _side(state, clock, 1),
    )


def _side(state: Mapping[str, Tensor], key: str, axis: int) -> int:
    """Return the length of a tensor along an axis, 0 where there is no such tensor or axis."""
    shape = state[key].shape if key in state else ()
    return shape[axis] if axis < len(shape) else 0


def _words(traits: Traits) -> tuple[str, ...]:
    """Say each trait so that two networks' traits can be set beside each other."""
    widths = "-".join(map(str, traits.widths))
    motion = traits.motion_modules
    return (
        f"an input of {traits.in_channels} channels",
        f"an output of {traits.out_channels} channels",
        f"a width of {widths}",
        f"a hearing of {traits.audio_width} channels" if traits.audio_width else "no hearing",
        f"a set of {motion} motion modules" if motion else "no motion modules",
        f"a window of up to {traits.max_frames} frames",
    )
