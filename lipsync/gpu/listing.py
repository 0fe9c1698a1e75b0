"""The cards PyTorch sees, and the software between them and us."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from lipsync.device import count_cards, has_kernels, precisions

_DRIVER = Path("/proc/driver/nvidia/version")  # Linux only


@dataclass(frozen=True)
class Card:
    """One graphics card."""

    number: int  # from 0, as PyTorch counts
    name: str
    capability: str  # as NVIDIA numbers it: "9.0"
    total: int  # bytes
    free: int | None  # bytes; None where the card could not be opened
    fault: str | None  # the driver's words, where it could not be opened
    is_usable: bool  # this PyTorch is built for it
    precisions: tuple[str, ...]  # dtypes it computes in


@dataclass(frozen=True)
class Software:
    """What PyTorch says of itself, and NVIDIA's driver of itself."""

    torch: str
    cuda: str | None  # the version PyTorch was built with; None for a build without
    rocm: str | None
    cudnn: str | None
    driver: str | None  # None where there is none, or none that says so
    is_built: bool  # with support for cards at all


def list_cards() -> list[Card]:
    """Return every card with what is free on it now; opening one takes some of its memory."""
    return [_read_card(number) for number in range(count_cards())]


def read_software() -> Software:
    """Return the versions that matter for computing on cards."""
    cudnn = torch.backends.cudnn.version() if torch.backends.cuda.is_built() else None
    return Software(
        torch=torch.__version__,
        cuda=torch.version.cuda,
        rocm=torch.version.hip,
        cudnn=None if cudnn is None else str(cudnn),
        driver=read_driver(_DRIVER),
        is_built=torch.backends.cuda.is_built(),
    )


def read_driver(path: Path) -> str | None:
    """Return the version in the file where the driver states it, such as 550.54.15."""
    if not path.exists():
        return None
    found = re.search(r"\s(\d+(?:\.\d+)+)\s", path.read_text(encoding="utf-8"))
    return found[1] if found else None


def _read_card(number: int) -> Card:
    seen = torch.cuda.get_device_properties(number)
    capability = (seen.major, seen.minor)
    free, fault = None, None
    try:
        free, _ = torch.cuda.mem_get_info(number)
    except RuntimeError as error:  # a card that is full, lost or kept by another
        fault = str(error).splitlines()[0]
    return Card(
        number=number,
        name=seen.name,
        capability=f"{seen.major}.{seen.minor}",
        total=seen.total_memory,
        free=free,
        fault=fault,
        is_usable=has_kernels(capability, torch.cuda.get_arch_list()),
        precisions=precisions(capability),
    )
