"""One process at a time in a folder that is being filled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lipsync.errors import InputError
from lipsync.media.output import output_errors


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make `folder` and hold it for this process within the block; a killed one holds nothing.

    Raises InputError where another process holds it, OutputError where it cannot be made.
    """
    lock = FileLock(folder / ".lock", thread_local=False)
    with output_errors(folder / ".lock"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"Another process is writing into {folder}; wait for it, or stop it."
            ) from error
    try:
        yield
    finally:
        lock.release()
