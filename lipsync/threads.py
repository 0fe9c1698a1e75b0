"""How many threads compute: one for many small computations, the usual number for large ones.

BLAS and OpenMP wake a thread per core for every call and let them spin while they wait; for the
small systems of speech analysis and mesh warping that costs several times the work itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks the loaded libraries up once


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS and OpenMP of the whole process to one thread within the block."""
    with _controller().limit(limits=1):
        yield


@contextmanager
def usual_threads() -> Iterator[None]:
    """Compute within the block in as many threads as a new thread of this process would.

    What a thread was once held to follows it about, and sums of floats depend on into how many
    parts they are cut: so a job gives the same numbers whichever thread it runs in.
    """
    with _controller().limit(limits=_usual_count()):
        yield


@cache
def _usual_count() -> int:
    import torch

    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(torch.get_num_threads).result()
