"""Features on the disk, named by what they were made from.

An entry that does not agree with its own checksum is removed and made again; the cache never grows
over its limit, the longest unused goes first. It knows nothing of voices or networks.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lipsync.places import cache_folder

log = logging.getLogger(__name__)

DEFAULT_LIMIT = 2_000_000_000  # bytes; hours of voice
_SUFFIX = ".features"
_DIGEST = hashlib.sha256().digest_size  # bytes at the end of an entry
_BLOCK = 1 << 20


class FeatureCache:
    """Arrays by key in one folder, shared by all processes of a user."""

    def __init__(self, folder: Path | None = None, limit: int = DEFAULT_LIMIT) -> None:
        """Keep at most `limit` bytes in `folder`, which is made when first written to.

        None is ``features`` in the program's own cache folder.
        """
        self._folder = cache_folder() / "features" if folder is None else folder
        self._limit = limit

    def read(self, key: str) -> np.ndarray | None:
        """Return the array kept under `key` (hexadecimal), read lazily; None if there is none.

        Writing into the array changes nothing on the disk. A damaged entry is removed.
        """
        path = self._path(key)
        try:
            with path.open("rb") as file:
                sound = _is_whole(file)
            if not sound:
                log.warning("%s in the feature cache is damaged and will be made again", path.name)
                path.unlink(missing_ok=True)
                return None
            os.utime(path)  # used just now
            # in place of a copy in memory: pages come from the file as they are looked at
            return np.load(path, mmap_mode="c", allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("%s in the feature cache cannot be read (%s)", path.name, error)
            return None

    def write(self, key: str, values: np.ndarray) -> None:
        """Keep `values` under `key`; where the disk will not have it, the log says so.

        An array larger than the whole cache may be is not kept.
        """
        if values.nbytes > self._limit:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._replace(self._path(key), values)
            self._shrink()
        except OSError as error:
            log.warning("the feature cache %s cannot be written (%s)", self._folder, error)

    def _path(self, key: str) -> Path:
        assert key.isalnum(), key
        return self._folder / f"{key}{_SUFFIX}"

    def _replace(self, path: Path, values: np.ndarray) -> None:
        """Write an entry under another name first: nobody ever sees half of one."""
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as part:
            try:
                np.save(part, values, allow_pickle=False)
                part.flush()
                part.seek(0)
                digest = hashlib.file_digest(part, "sha256").digest()
                part.seek(0, os.SEEK_END)
                part.write(digest)
                part.close()
                os.replace(part.name, path)
            finally:
                part.close()
                Path(part.name).unlink(missing_ok=True)  # where it has not become the entry

    def _shrink(self) -> None:
        entries = [(entry.stat(), entry) for entry in self._folder.glob(f"*{_SUFFIX}")]
        entries.sort(key=lambda item: item[0].st_mtime_ns)
        size = sum(facts.st_size for facts, _ in entries)
        for facts, entry in entries:
            if size <= self._limit:
                return
            entry.unlink(missing_ok=True)
            size -= facts.st_size


def _is_whole(file: BinaryIO) -> bool:
    """Tell whether the last bytes of an entry are the checksum of all before them."""
    left = os.fstat(file.fileno()).st_size - _DIGEST
    digest = hashlib.sha256()
    while left > 0:
        block = file.read(min(_BLOCK, left))
        if not block:
            return False
        digest.update(block)
        left -= len(block)
    return left == 0 and file.read(_DIGEST) == digest.digest()
