"""A row of a bench: one way of ours beside a plain one, and how both are timed.

CPU time is that of one thread, so that ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from lipsync.device import count_cards
from lipsync.threads import one_thread


@dataclass(frozen=True)
class Row:
    """What a step takes, ours and plainly."""

    step: str
    rival: str  # what the plain way is
    ours: float
    plain: float
    unit: str
    difference: float | None = None  # between what both make; None = not the same by intention
    difference_unit: str = ""

    @property
    def ratio(self) -> float:
        """Ours over plain."""
        return self.ours / self.plain


@contextmanager
def single_thread() -> Iterator[None]:
    """Hold PyTorch, OpenCV and BLAS to one thread within the block."""
    torch_threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        with one_thread():
            yield
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv2_threads)


def time_both(
    ours: Callable[[], object], plain: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Return CPU milliseconds of both, the least of `repeats` alternating runs after a warm-up.

    The least, because what else runs on the machine can only add to it.
    """
    ours()
    plain()
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for work, times in zip((ours, plain), taken, strict=True):
            times.append(cpu_seconds(work))
    return 1000 * min(taken[0]), 1000 * min(taken[1])


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of `work`, all threads of the process."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def describe_row(row: Row) -> str:
    """Return the line of a table: ours, plain, their ratio, and what they are."""
    line = (
        f"{row.step:56} {row.ours:9.2f} {row.plain:9.2f} {row.ratio:6.3f}  "
        f"{row.unit}; plain: {row.rival}"
    )
    if row.difference is None:
        return line
    return f"{line}; apart {row.difference:.2g} {row.difference_unit}"


def describe_machine() -> str:
    """Return the processor, its cores and PyTorch's version in one line."""
    cpu = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        lines = listing.read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        cpu = named[0] if named else cpu
    card = torch.cuda.get_device_name(0) if count_cards() else "no graphics card"
    return f"{cpu}, {os.cpu_count()} cores, {card}, PyTorch {torch.__version__}"


def count(text: str) -> int:
    """Return a whole number from 1 on, for ``type=``; ArgumentTypeError for another text."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
