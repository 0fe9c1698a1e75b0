"""Take single files out of a ZIP archive, each compared before it gets its name."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from lipsync.errors import FetchError
from lipsync.weights.table import WeightFile

_CHUNK = 1024 * 1024  # bytes


def unpack_members(archive: Path, members: Iterable[WeightFile], folder: Path) -> dict[str, str]:
    """Unpack `members`, found by file name at any depth, into `folder`; return name -> SHA-256.

    Raises FetchError if the archive lacks one or holds another one of that name.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = {Path(entry.filename).name: entry for entry in opened.infolist()}
            return {
                member.name: _unpack(opened, entries.get(member.name), member, folder)
                for member in members
            }
    except zipfile.BadZipFile as error:
        raise FetchError(
            f"{archive.name} is no ZIP archive that can be opened ({error}); pull again, or name "
            "another mirror in HF_ENDPOINT."
        ) from error


def _unpack(
    opened: zipfile.ZipFile, entry: zipfile.ZipInfo | None, member: WeightFile, folder: Path
) -> str:
    half = folder / f".{member.name}.half"
    digest = hashlib.sha256()
    if entry is None or member.size not in (None, entry.file_size):
        raise _another(member)
    # zipfile ends at the size the entry states, so a small archive cannot fill the disk
    with opened.open(entry) as source, half.open("wb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if member.sha256 not in (None, digest.hexdigest()):
        half.unlink()
        raise _another(member)
    os.replace(half, folder / member.name)
    return digest.hexdigest()


def _another(member: WeightFile) -> FetchError:
    return FetchError(
        f"The archive does not hold the {member.name} that was published; update Lipsync Studio, "
        "or name another mirror in HF_ENDPOINT."
    )
