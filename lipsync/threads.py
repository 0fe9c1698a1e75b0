"""One thread for many small computations.

BLAS and OpenMP wake a thread per core for every call and let them spin while they wait; for the
small systems of speech analysis and mesh warping that costs several times the work itself.
"""

from __future__ import annotations

from collections.abc import Iterator
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
