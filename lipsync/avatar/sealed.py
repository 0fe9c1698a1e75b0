"""Folders that are whole or not there: filled under another name, sealed, renamed.

The seal is the file ``manifest.json``: what the folder is made of, what was found, the size and the
SHA-256 of every file, and the SHA-256 of all that. Sizes are compared at every look; whoever uses
a file compares its checksum first (`check_contents`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsync.weights.ledger import hash_file

MANIFEST = "manifest.json"
LAYOUT = 1  # of all that is stored; another one is not read


class DamagedError(Exception):
    """A stored folder is not what its seal says; the message says in a few words how."""


@dataclass(frozen=True)
class Sealed:
    """A sealed folder, as its manifest describes it."""

    folder: Path
    of: Mapping[str, Any]  # what it was made from: all that the content depends on
    found: Mapping[str, Any]  # what was learned while it was made
    files: Mapping[str, tuple[int, str]]  # name -> bytes, SHA-256

    @property
    def size(self) -> int:
        """Bytes of all files beside the manifest."""
        return sum(size for size, _ in self.files.values())

    def path(self, name: str) -> Path:
        """Return where the file called `name` lies. Raises DamagedError if it has none."""
        if name not in self.files:
            fault = f"{name} is missing"
            raise DamagedError(fault)
        return self.folder / name


def name_folder(kind: str, of: Mapping[str, Any]) -> str:
    """Return the name of the folder of some `kind` that is made from `of`."""
    return f"{kind}-{_digest(of)[:16]}"


def seal_folder(
    folder: Path, of: Mapping[str, Any], found: Mapping[str, Any]
) -> Generator[int, None, None]:
    """Write the manifest of the files in `folder`; yield bytes read so far of each."""
    files = {}
    for path in sorted(folder.iterdir()):
        sha256 = yield from hash_file(path)
        files[path.name] = [path.stat().st_size, sha256]
    write_sealed(folder / MANIFEST, {"of": of, "found": found, "files": files})


def open_sealed(folder: Path) -> Sealed:
    """Read a folder's manifest and compare the sizes of its files.

    Raises DamagedError where the seal is broken, FileNotFoundError where there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    page = read_sealed(folder / MANIFEST)
    files = {name: (int(size), str(sha256)) for name, (size, sha256) in page["files"].items()}
    for name, (size, _) in files.items():
        path = folder / name
        if not path.is_file():
            fault = f"{name} is missing"
            raise DamagedError(fault)
        if path.stat().st_size != size:
            fault = f"{name} holds {path.stat().st_size} bytes where {size} were written"
            raise DamagedError(fault)
    return Sealed(folder, page["of"], page["found"], files)


def check_contents(sealed: Sealed) -> Generator[int, None, None]:
    """Read every file and compare its checksum; yield bytes read so far of each.

    Raises DamagedError where one is another than was written.
    """
    for name, (_, sha256) in sealed.files.items():
        try:
            found = yield from hash_file(sealed.folder / name)
        except OSError as error:
            fault = f"{name} cannot be read"
            raise DamagedError(fault) from error
        if found != sha256:
            fault = f"{name} is not what was written"
            raise DamagedError(fault)


def write_sealed(path: Path, page: Mapping[str, Any]) -> None:
    """Write `page` as JSON with its own checksum."""
    whole = {"layout": LAYOUT, **page}
    sealed = {**whole, "seal": _digest(whole)}
    path.write_text(json.dumps(sealed, indent=1, ensure_ascii=False), encoding="utf-8")


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the page that `write_sealed` wrote. Raises DamagedError where it is another."""
    name = path.name
    try:
        page: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        seal = page.pop("seal")
        is_whole = seal == _digest(page) and page["layout"] == LAYOUT
    except FileNotFoundError as error:
        fault = f"{name} is missing"
        raise DamagedError(fault) from error
    except (OSError, ValueError, KeyError, AttributeError) as error:
        fault = f"{name} cannot be read"
        raise DamagedError(fault) from error
    if not is_whole:
        fault = f"{name} is not what was written"
        raise DamagedError(fault)
    return page


def _digest(page: Mapping[str, Any]) -> str:
    text = json.dumps(page, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
