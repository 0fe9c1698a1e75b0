"""A small JSON file beside the checkpoints: which checksums they have and should have.

A file of several gigabytes is not read at every start: its checksum is computed once and holds
as long as size and time of the file stay the same.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock

from lipsync.errors import InputError

log = logging.getLogger(__name__)

_CHUNK = 4 * 1024 * 1024  # bytes


class Ledger:
    """The file ``checksums.json`` of a folder; it need not exist."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "checksums.json"

    def digest(self, path: Path, is_fresh: bool = False) -> Generator[int, None, str]:
        """Yield bytes read so far and return the SHA-256 of a file, 64 hex digits.

        What is on record serves if size and time still fit, unless `is_fresh`. Raises InputError
        if the file cannot be read.
        """
        try:
            facts = path.stat()
            stamp = [facts.st_size, facts.st_mtime_ns]
            known = self._read()["seen"].get(str(path))
            if known is not None and not is_fresh and known["stamp"] == stamp:
                return str(known["sha256"])
            found = yield from hash_file(path)
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}); check its permissions."
            ) from error
        self._note("seen", str(path), {"stamp": stamp, "sha256": found})
        return found

    def record(self, path: Path, sha256: str) -> None:
        """Record the checksum of a file that was just computed."""
        facts = path.stat()
        stamp = [facts.st_size, facts.st_mtime_ns]
        self._note("seen", str(path), {"stamp": stamp, "sha256": sha256})

    def expected(self, name: str) -> str | None:
        """Return the checksum that `name` had when it was first used, None before that."""
        found = self._read()["expected"].get(name)
        return None if found is None else str(found)

    def expect(self, name: str, sha256: str) -> None:
        """Record the checksum that `name` must have from now on."""
        self._note("expected", name, sha256)

    def forget(self, names: Iterable[str], paths: Iterable[Path]) -> None:
        """Drop what is on record about `names` and the files at `paths`."""
        with self._lock():
            books = self._read()
            for name in names:
                books["expected"].pop(name, None)
            for path in paths:
                books["seen"].pop(str(path), None)
            self._write(books)

    def _lock(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._path.with_suffix(".lock"))

    def _note(self, book: str, name: str, value: object) -> None:
        try:
            with self._lock():
                books = self._read()
                books[book][name] = value
                self._write(books)
        except OSError as error:
            # a folder that may only be read serves too; its files are hashed at each start
            log.info("%s cannot be written (%s)", self._path, error)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            books = json.loads(self._path.read_text(encoding="utf-8"))
            return {"expected": dict(books["expected"]), "seen": dict(books["seen"])}
        except FileNotFoundError:
            return {"expected": {}, "seen": {}}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self._path} is damaged; delete it, and the models are checked anew."
            ) from error

    def _write(self, books: dict[str, dict[str, Any]]) -> None:
        half = self._path.with_suffix(".half")
        half.write_text(json.dumps(books, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(half, self._path)


def hash_file(path: Path) -> Generator[int, None, str]:
    """Yield bytes read so far and return the SHA-256 of a file, 64 hex digits."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            yield done
    return digest.hexdigest()
