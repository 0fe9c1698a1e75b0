"""Read a UNet from a file, wholly or not at all.

A file is mapped into memory, compared by names and shapes with a network that has none yet, and
handed to it as it is: a number is copied only where device or dtype ask for it, one tensor after
the other. What does not fit is refused with what it is, what is needed, and what to do.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lipsync.engines.latentsync.params import UNetParams
from lipsync.engines.latentsync.unet import UNet
from lipsync.errors import InputError

_CHOOSE = "choose the checkpoint that belongs to this preset"
_AGAIN = "fetch it again or choose another file"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds, mapped into memory and not yet read."""

    path: Path
    state: Mapping[str, Tensor]  # weights by name
    step: int = 0  # training steps behind it; 0 = not stated
    resolution: int | None = None  # px, side of the faces it was trained on; None = not stated


@dataclass(frozen=True)
class Traits:
    """What names and shapes alone tell of a UNet, in the order in which differences matter."""

    in_channels: int
    out_channels: int
    widths: tuple[int, ...]  # per down stage
    audio_width: int | None  # None = it has no ears
    motion_modules: int
    max_frames: int | None  # positions in time; None = no motion modules


def read_checkpoint(path: Path) -> Checkpoint:
    """Map a ``.safetensors`` file, or a torch file (``{"state_dict", "global_step"}`` or bare).

    The faces' size is known where the file states it as ``resolution``; published files do not.
    Nothing in the file is executed. Raises InputError for a file that is absent, damaged, in the
    torch format of before 1.6, or no mapping from names to tensors.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint at {path}; choose a file that exists.")
    is_safetensors = path.suffix == ".safetensors"
    if not is_safetensors and not zipfile.is_zipfile(path):
        raise InputError(
            f"{path.name} is damaged, or not written by PyTorch 1.6 or later; {_AGAIN}."
        )
    try:
        if is_safetensors:
            found = _map_safetensors(path)
        else:
            found = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, OSError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise InputError(
            f"{path.name} is not a checkpoint that can be read ({reason}); {_AGAIN}."
        ) from error
    notes: Mapping[Any, Any] = {}
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        notes, found = found, found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise InputError(f"{path.name} holds something other than named tensors; {_AGAIN}.")
    return Checkpoint(
        path, found, _whole(path, notes, "global_step") or 0, _whole(path, notes, "resolution")
    )


def load_unet(
    path: Path,
    params: UNetParams,
    *,
    resolution: int | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> UNet:
    """Build the UNet of `params` with the weights in a file, ready to predict.

    On the CPU, weights that already have the wanted dtype stay in the mapped file: it must not be
    overwritten while the network lives (replaced under its name it may be). `resolution` is the
    side of the faces it is to paint, px. Raises InputError for a file that cannot be read or that
    belongs to another network.
    """
    checkpoint = read_checkpoint(path)
    with torch.device("meta"):
        network = UNet(params)
    refuse_foreign(checkpoint, network.state_dict(), resolution)
    network.load_state_dict(dict(checkpoint.state), strict=True, assign=True)
    return network.to(device=device, dtype=dtype).eval().requires_grad_(False)


def refuse_foreign(
    checkpoint: Checkpoint, needed: Mapping[str, Tensor], resolution: int | None = None
) -> None:
    """Raise InputError where `checkpoint` is not for the network whose state dict is `needed`."""
    name, state = checkpoint.path.name, checkpoint.state
    if resolution is not None and checkpoint.resolution not in (None, resolution):
        raise InputError(
            f"{name} was trained on faces of {checkpoint.resolution} px where {resolution} px are "
            f"needed; {_CHOOSE}."
        )
    if "conv_in.weight" not in state or "down_blocks.0.resnets.0.conv1.weight" not in state:
        raise InputError(f"{name} holds {len(state)} tensors but no LatentSync UNet; {_CHOOSE}.")
    found, wanted = _words(read_traits(state)), _words(read_traits(needed))
    for here, there in zip(found, wanted, strict=True):
        if here != there:
            raise InputError(f"{name} has {here} (needed: {there}); {_CHOOSE}.")
    missing = [key for key in needed if key not in state]
    if missing:
        raise InputError(
            f"{name} lacks {len(missing)} of the UNet's {len(needed)} tensors, such as "
            f"{missing[0]}; {_CHOOSE}."
        )
    other = [key for key in needed if needed[key].shape != state[key].shape]
    if other:
        raise InputError(
            f"{name} has {len(other)} of the UNet's {len(needed)} tensors in another shape, such "
            f"as {other[0]}; {_CHOOSE}."
        )
    unknown = [key for key in state if key not in needed]
    if unknown:
        raise InputError(
            f"{name} holds tensors that the UNet has no place for ({len(unknown)}, such as "
            f"{unknown[0]}); {_CHOOSE}."
        )


def read_traits(state: Mapping[str, Tensor]) -> Traits:
    """Tell what kind of UNet a state dict belongs to; it needs a ``conv_in`` and a down stage."""
    widths: list[int] = []
    while (conv := state.get(f"down_blocks.{len(widths)}.resnets.0.conv1.weight")) is not None:
        widths.append(conv.shape[0])
    keys = [tensor for name, tensor in state.items() if name.endswith("attn2.to_k.weight")]
    tables = [tensor for name, tensor in state.items() if name.endswith("pos_encoder.pe")]
    modules = {name.split(".temporal_")[0] for name in state if ".motion_modules." in name}
    closing = state.get("conv_out.weight")
    return Traits(
        in_channels=state["conv_in.weight"].shape[1],
        out_channels=0 if closing is None else closing.shape[0],
        widths=tuple(widths),
        audio_width=keys[0].shape[-1] if keys else None,
        motion_modules=len(modules),
        max_frames=tables[0].shape[1] if tables else None,
    )


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


def _map_safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors with what the file states of itself, as a torch file would hold them."""
    with safe_open(path, framework="pt") as opened:
        notes = opened.metadata() or {}
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return {**notes, "state_dict": state}


def _whole(path: Path, notes: Mapping[Any, Any], key: str) -> int | None:
    """Return the whole number that a file states, as a number or in digits."""
    stated = notes.get(key)
    if stated is None:
        return None
    if isinstance(stated, int) or (isinstance(stated, str) and stated.isdecimal()):
        return int(stated)
    raise InputError(
        f"{path.name} says that its {key!r} is {stated!r}, which is no number; {_AGAIN}."
    )
