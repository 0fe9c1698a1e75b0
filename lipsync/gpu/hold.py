"""Hold a share of the memory that is free on some devices, and keep them lightly busy.

One process per device, so that one that dies takes nobody along. Each watches the process that
started it: when that ends, however it ends, the memory is given back.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BUSY_SECONDS = 0.02  # in every period; 2 % of the time
PERIOD = 1.0  # seconds

_SIDE = 512  # rows of the matrices that keep a device busy
_BLOCK = 2**30  # bytes reserved at once
_LEAST_BLOCK = 2**21  # bytes; a card hands out no less
_PATIENCE = 5.0  # seconds that a process told to end may take


@dataclass(frozen=True)
class Held:
    """A device is held now."""

    device: str
    size: int  # bytes
    free: int  # bytes that were free before
    process: int  # the holder's number


@dataclass(frozen=True)
class Lost:
    """A device is held no more, or never was."""

    device: str
    error: str | None  # why, as the driver said it; None for a process that was killed
    exit_code: int | None  # of the process; -9 for signal 9, None where it said why itself


def hold_devices(
    devices: Sequence[str], share: float, seconds: float | None = None
) -> Generator[Held | Lost, None, None]:
    """Hold `share` in (0, 1] of each device's free memory for `seconds`, None = until closed.

    `devices` are names as PyTorch takes them ("cuda:0"). Yields a Held for each device when its
    memory is taken, a Lost when its process has ended by itself, and returns when the time is
    over or all are lost. Closing the generator gives everything back before it returns.
    """
    until = None if seconds is None else time.monotonic() + seconds
    holders: dict[Connection, _Holder] = {}
    try:
        for device in devices:
            pipe, process = _start(device, share)
            holders[pipe] = _Holder(device, process)
        yield from _listen(dict(holders), until)
    finally:
        _end(holders)


@dataclass(frozen=True)
class _Holder:
    device: str
    process: BaseProcess


def _start(device: str, share: float) -> tuple[Connection, BaseProcess]:
    context = get_context("spawn")  # a forked process cannot use a card
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(device, share, theirs), daemon=True)
    # Ctrl-C in a terminal reaches every process; the holders leave it to the one that started them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # else the end of the holder's process would go unseen
    return ours, process


def _listen(
    holders: dict[Connection, _Holder], until: float | None
) -> Generator[Held | Lost, None, None]:
    while holders and (until is None or time.monotonic() < until):
        left = None if until is None else max(0.0, until - time.monotonic())
        for pipe in wait(list(holders), left):
            assert isinstance(pipe, Connection)
            try:
                told = pipe.recv()
            except EOFError:
                holder = holders[pipe]
                holder.process.join()
                told = Lost(holder.device, None, holder.process.exitcode)
            if isinstance(told, Lost):
                del holders[pipe]
            yield told


def _end(holders: dict[Connection, _Holder]) -> None:
    """Tell all at once to end, which a closed pipe does, and see to it that they do."""
    for pipe in holders:
        pipe.close()
    until = time.monotonic() + _PATIENCE
    for holder in holders.values():
        holder.process.join(max(0.0, until - time.monotonic()))
        if holder.process.is_alive():
            holder.process.kill()
            holder.process.join()


def _hold(name: str, share: float, pipe: Connection) -> None:
    """Hold one device until the other end of `pipe`, or the process that has it, is gone."""
    import torch

    from lipsync.device import free_memory

    device = torch.device(name)
    starter = parent_process()
    assert starter is not None, "a holder is started by another process"
    with suppress(BrokenPipeError):  # nobody is left who would want to know
        try:
            matrix = torch.full((_SIDE, _SIDE), 1 / _SIDE, device=device)
            product = torch.empty_like(matrix)  # at a share of 1 nothing is left for it later
            _keep_busy(matrix, product)  # opening a device takes memory too, so before looking
            free = free_memory(device)
            assert free is not None, "a card always says what is free"
            blocks = reserve(device, int(share * free))
            pipe.send(Held(name, sum(map(len, blocks)), free, os.getpid()))
            while not wait([pipe, starter.sentinel], PERIOD):
                _keep_busy(matrix, product)
        except RuntimeError as error:
            pipe.send(Lost(name, str(error).splitlines()[0], None))


def reserve(device: torch.device, size: int) -> list[torch.Tensor]:
    """Take `size` bytes on `device`, or what can be had of them; return them as flat uint8."""
    import torch

    blocks: list[torch.Tensor] = []
    left, most = size, _BLOCK
    while left > 0 and most >= _LEAST_BLOCK:
        try:
            # ones, as a processor's zeros are not real memory until somebody writes to them
            blocks.append(torch.ones(min(left, most), dtype=torch.uint8, device=device))
        except torch.OutOfMemoryError:
            most //= 2
        else:
            left -= len(blocks[-1])
    return blocks


def _keep_busy(matrix: torch.Tensor, product: torch.Tensor) -> None:
    """Square `matrix` into `product`, again and again for `BUSY_SECONDS`."""
    import torch

    until = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < until:
        # reading one number waits until the product is there
        float(torch.matmul(matrix, matrix, out=product)[0, 0])
