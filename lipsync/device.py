"""The device that networks run on, the numbers they compute in, and how much memory is free.

Chosen once by whoever loads networks; what lies below is handed a device. Two variables of the
environment speak where no wish is given: ``LIPSYNC_DEVICE`` and ``LIPSYNC_DTYPE``. Cards are
those PyTorch calls "cuda". Apple's (mps) are not offered: nothing here was tested on them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from lipsync.errors import InputError
from lipsync.weights import describe_size

Capability = tuple[int, int]  # what a card can do, as NVIDIA numbers it: (major, minor)

_AUTO = "auto"
_HALF_SINCE: Capability = (5, 3)  # first to compute in float16
_BRAIN_SINCE: Capability = (8, 0)  # first to compute in bfloat16
_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def choose_device(wish: str | None = None) -> torch.device:
    """Return the device to run on; a card is always returned with its number.

    `wish` is "auto" (the first usable card, else the CPU), "cpu", "cuda" (the first card) or
    "cuda:1"; None takes ``LIPSYNC_DEVICE``, or "auto". Raises InputError where it cannot be met.
    """
    wish = wish or os.environ.get("LIPSYNC_DEVICE") or _AUTO
    if wish == "cpu":
        return torch.device("cpu")
    if wish == _AUTO:
        usable = (number for number in range(count_cards()) if _is_usable(number))
        number = next(usable, None)
        return torch.device("cpu") if number is None else torch.device("cuda", number)
    found = re.fullmatch(r"cuda(?::([0-9]{1,3}))?", wish)
    if found is None:
        raise InputError(
            f"There is no device called {wish!r}; choose auto, cpu, cuda,"
            " or cuda:1 for the second card."
        )
    number = int(found[1] or 0)
    check_card(number)
    return torch.device("cuda", number)


def count_cards() -> int:
    """Return how many cards PyTorch sees, usable or not."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def check_card(number: int) -> None:
    """Raise InputError unless the card of that number, counted from 0, can be used."""
    count = count_cards()
    if not count and not torch.backends.cuda.is_built():
        raise InputError(
            "This PyTorch is built without support for graphics cards, so none can be used;"
            " install its CUDA build, or choose the device cpu."
        )
    if not count:
        raise InputError(
            "No graphics card that PyTorch can use was found; check its driver with `nvidia-smi`,"
            " or choose the device cpu."
        )
    if number >= count:
        raise InputError(
            f"There is no card {number}: {count} found, numbered from 0; choose one of these."
        )
    if not _is_usable(number):
        name = torch.cuda.get_device_name(number)
        raise InputError(
            f"This PyTorch cannot compute on {name}; install a build of PyTorch for that card,"
            " or choose the device cpu."
        )


def _is_usable(number: int) -> bool:
    return has_kernels(torch.cuda.get_device_capability(number), torch.cuda.get_arch_list())


def has_kernels(capability: Capability, architectures: Sequence[str]) -> bool:
    """Say whether a PyTorch compiled for `architectures` runs on a card of that capability.

    "sm_86" runs on 8.6 and later ones of the same major number, "sm_90a" on 9.0 alone, and from
    "compute_90" the driver compiles for every later card. AMD's names ("gfx90a") do not follow
    capabilities and pass.
    """
    for name in architectures:
        found = re.fullmatch(r"(sm|compute)_([0-9]+)([0-9])([a-z]?)", name)
        if found is None:
            return True
        built = (int(found[2]), int(found[3]))
        if capability == built or (not found[4] and found[1] == "compute" and capability > built):
            return True
        if not found[4] and capability[0] == built[0] and capability > built:
            return True
    return False


def choose_dtype(device: torch.device, wish: str | None = None) -> torch.dtype:
    """Return the dtype networks shall compute in on `device`.

    `wish` is "auto" (float32 on the CPU; on a card float16 if it computes in it, else float32),
    "float32", "float16" or "bfloat16"; None takes ``LIPSYNC_DTYPE``, or "auto". Raises
    InputError where it cannot be met.
    """
    wish = wish or os.environ.get("LIPSYNC_DTYPE") or _AUTO
    if wish != _AUTO and wish not in _DTYPES:
        raise InputError(
            f"There is no precision called {wish!r}; choose auto, float32, float16 or bfloat16."
        )
    if device.type != "cuda":
        if wish == "float16":
            raise InputError(
                "Networks do not compute in float16 on the processor;"
                " choose auto, float32 or bfloat16."
            )
        return _DTYPES[_or_default(wish, "float32")]
    offered = precisions(torch.cuda.get_device_capability(device))
    wish = _or_default(wish, "float16" if "float16" in offered else "float32")
    if wish not in offered:
        name = torch.cuda.get_device_name(device)
        raise InputError(f"{name} does not compute in {wish!r}; choose auto, {', '.join(offered)}.")
    return _DTYPES[wish]


def _or_default(wish: str, default: str) -> str:
    return default if wish == _AUTO else wish


def precisions(capability: Capability) -> tuple[str, ...]:
    """Return the dtypes in which a card of that capability computes, float32 first."""
    since = {"float32": (0, 0), "float16": _HALF_SINCE, "bfloat16": _BRAIN_SINCE}
    return tuple(name for name, first in since.items() if capability >= first)


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that could be taken on `device` now, None where the system does not say.

    On a card, what PyTorch holds in reserve for this process counts as free.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return read_available_memory(_PROC, _CGROUPS)


def require_memory(what: str, needed: int, device: torch.device) -> None:
    """Raise InputError if fewer than `needed` bytes are free on `device`; `what` begins it.

    Passes where nobody can say what is free.
    """
    free = free_memory(device)
    if free is None or needed <= free:
        return
    if device.type == "cuda":
        raise InputError(
            f"{what} needs about {describe_size(needed)} of graphics memory,"
            f" {describe_size(free)} is free; choose a preset of lower resolution,"
            " or close other programs that use the card."
        )
    raise InputError(
        f"{what} needs about {describe_size(needed)} of memory, {describe_size(free)} is free;"
        " choose a preset of lower resolution, or close other programs."
    )


def read_available_memory(proc: Path, cgroups: Path) -> int | None:
    """Return the RAM in bytes that Linux could give, within the limits of the container.

    `proc` and `cgroups` are where those file systems stand; None where there is no such `proc`.
    """
    try:
        text = (proc / "meminfo").read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+)\skB", text, re.MULTILINE)
    if found is None:
        return None
    return min([1024 * int(found[1]), *_left_in_cgroups(proc, cgroups)])


def _left_in_cgroups(proc: Path, cgroups: Path) -> Iterator[int]:
    """Yield what each limited group around this process still has left, in bytes."""
    listing = proc / "self" / "cgroup"
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if not controllers:  # version 2
            root, names = cgroups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = cgroups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inner = root / place.lstrip("/")
        # a container may not see the outer part of its place, but its own group as the root
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(root):
                yield from _left_in(folder, *names)


def _left_in(folder: Path, limit_name: str, usage_name: str, idle_name: str) -> Iterator[int]:
    limit_file = folder / limit_name
    limit = limit_file.read_text(encoding="ascii").strip() if limit_file.exists() else "max"
    if limit == "max":
        return
    usage = int((folder / usage_name).read_text(encoding="ascii"))
    stat = (folder / "memory.stat").read_text(encoding="ascii")
    # the files it keeps in memory are given up when memory is short
    idle = re.search(rf"^{idle_name}\s(\d+)", stat, re.MULTILINE)
    yield max(0, int(limit) - usage + (int(idle[1]) if idle else 0))
