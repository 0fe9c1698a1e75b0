"""Map a file of weights into memory and see whether a network can take it, wholly or not at all.

Nothing is read before it is used, nothing in a file is executed, and a number is copied only where
device or dtype ask for it. Files from before PyTorch 1.6 (2020) and TorchScript archives cannot be
mapped: they are read.
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
from torch import Tensor, nn

from lipsync.errors import InputError
from lipsync.nn.torchscript import is_torchscript, read_torchscript

CHOOSE = "choose the checkpoint that belongs here"
_AGAIN = "fetch it again or choose another file"
_OLD_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # how files from before 1.6 begin


@dataclass(frozen=True)
class MappedState:
    """What a file of weights holds, mapped into memory and not yet read."""

    path: Path
    weights: Mapping[str, Tensor]
    step: int = 0  # training steps behind it; 0 = not stated
    resolution: int | None = None  # px, side of the faces it was trained on; None = not stated


def map_weights(path: Path) -> MappedState:
    """Map a safetensors file, or a torch file (``{"state_dict", "global_step"}`` or bare).

    A TorchScript archive does as well: its tensors are taken, its code is left alone.
    The faces' size is known where the file states it as ``resolution``; published files do not.
    Nothing in the file is executed. Raises InputError for a file that is absent, damaged or no
    mapping from names to tensors.
    """
    found = read_file(path)
    notes: Mapping[Any, Any] = {}
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        notes, found = found, found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise InputError(f"{path.name} holds something other than named tensors; {_AGAIN}.")
    return MappedState(
        path, found, _whole(path, notes, "global_step") or 0, _whole(path, notes, "resolution")
    )


def read_file(path: Path) -> Any:
    """Return what a safetensors or a torch file holds, its tensors mapped on the CPU.

    Nothing in the file is executed. Raises InputError for a file that is absent or damaged.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint at {path}; choose a file that exists.")
    try:
        if _is_safetensors(path):
            return _map_safetensors(path)
        is_zip = zipfile.is_zipfile(path)
        if not is_zip and not _is_old_torch(path):
            raise InputError(f"{path.name} is damaged, or not written by PyTorch; {_AGAIN}.")
        if is_zip and is_torchscript(path):
            return read_torchscript(path)
        return torch.load(path, map_location="cpu", mmap=is_zip, weights_only=True)
    except (
        *(SafetensorError, RuntimeError, pickle.UnpicklingError, OSError),
        *(EOFError, LookupError, ValueError),  # what a cut file of the old format ends in
    ) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise InputError(
            f"{path.name} is not a checkpoint that can be read ({reason}); {_AGAIN}."
        ) from error


def take_weights(
    network: nn.Module,
    state: MappedState,
    *,
    part: str,
    device: torch.device | str,
    dtype: torch.dtype,
) -> None:
    """Give a `network` without numbers (on the meta device) those of `state`, ready to predict.

    `part` is what the network is called. On the CPU, weights that already have the wanted dtype
    stay in the mapped file: it must not be overwritten while the network lives (replaced under
    its name it may be). Raises InputError where a name is missing, unknown or of another shape.
    """
    name, weights, needed = state.path.name, state.weights, network.state_dict()
    missing = [key for key in needed if key not in weights]
    if missing:
        raise InputError(
            f"{name} lacks {len(missing)} of the {part}'s {len(needed)} tensors, such as "
            f"{missing[0]}; {CHOOSE}."
        )
    other = [key for key in needed if needed[key].shape != weights[key].shape]
    if other:
        raise InputError(
            f"{name} has {len(other)} of the {part}'s {len(needed)} tensors in another shape, such "
            f"as {other[0]}; {CHOOSE}."
        )
    unknown = [key for key in weights if key not in needed]
    if unknown:
        raise InputError(
            f"{name} holds tensors that the {part} has no place for ({len(unknown)}, such as "
            f"{unknown[0]}); {CHOOSE}."
        )
    network.load_state_dict(dict(weights), strict=True, assign=True)
    # not the network's own `to`: that of diffusers warns of layers that this one does not have
    nn.Module.to(network, device=device, dtype=dtype).eval().requires_grad_(False)


def _is_safetensors(path: Path) -> bool:
    """Tell it by the JSON that follows the eight bytes of its length; a name says nothing."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _is_old_torch(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_OLD_TORCH)) == _OLD_TORCH


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
