"""Bring one download home: ask, fetch, compare, and only then give it its final name."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from lipsync.errors import FetchError, OutputError
from lipsync.steps import map_steps
from lipsync.weights.fetch import (
    Offer,
    Patience,
    ask,
    describe_size,
    describe_source,
    transfer,
)
from lipsync.weights.ledger import hash_file
from lipsync.weights.table import Download, WeightFile
from lipsync.weights.unpack import unpack_members

_SPARE = 100_000_000  # bytes of disk to leave to others


@dataclass(frozen=True)
class PullStep:
    """How far a download or a check is."""

    stage: Literal["wait", "ask", "fetch", "check", "unpack", "done"]
    name: str  # the file
    done: int = 0  # bytes
    total: int | None = None  # bytes; None = the server does not say
    seconds_left: float | None = None


def bring(
    download: Download,
    folder: Path,
    wanted: str | None,
    endpoint: str | None,
    patience: Patience,
) -> Generator[PullStep, None, dict[str, str]]:
    """Fetch `download` into `folder`, which exists; yield steps, return name -> SHA-256.

    `wanted` is the checksum the file must have, None if only the server can tell. What arrives
    stays in a hidden ``.part`` file until it is whole and right; closing the generator keeps it
    for the next time. Raises FetchError and OutputError with what to do, OSError if the disk does
    not take it.
    """
    file = download.file
    offer = yield from map_steps(
        lambda _: PullStep("ask", file.name, 0, file.size),
        ask(download.source, endpoint, patience),
    )
    _check_offer(offer, file, wanted)
    wanted = wanted or offer.sha256
    part = folder / f".{file.name}.{_identify(offer, wanted)}.part"
    _check_space(download, offer, part)
    yield from _fetch(download, offer, part, patience)
    size = part.stat().st_size
    found = yield from map_steps(
        lambda done: PullStep("check", file.name, done, size), hash_file(part)
    )
    if wanted is not None and found != wanted:
        part.unlink()
        raise FetchError(
            f"{describe_source(download.source)} arrived damaged (its checksum begins with "
            f"{found[:8]}, the published one with {wanted[:8]}), so it was deleted; pull again, "
            "or name another mirror in HF_ENDPOINT."
        )
    sums = {file.name: found}
    if download.members:
        yield PullStep("unpack", file.name, 0, size)
        sums |= unpack_members(part, download.members, folder)
        part.unlink()
    else:
        _name_finally(part, folder / file.name)
    for left in folder.glob(f".{file.name}.*.part"):
        left.unlink(missing_ok=True)  # begun for an earlier edition of the file
    return sums


def _check_offer(offer: Offer, file: WeightFile, wanted: str | None) -> None:
    """Refuse before the download what would be refused after it."""
    if file.size is not None and offer.size is not None and offer.size != file.size:
        raise FetchError(
            f"{offer.host} offers {file.name} with {offer.size} bytes, {file.size} were published, "
            "so nothing was fetched; update Lipsync Studio, or name another mirror in HF_ENDPOINT."
        )
    if wanted is not None and offer.sha256 is not None and offer.sha256 != wanted:
        raise FetchError(
            f"{offer.host} offers another {file.name} (its checksum begins with "
            f"{offer.sha256[:8]}, the published one with {wanted[:8]}), so nothing was fetched; "
            "update Lipsync Studio, or name another mirror in HF_ENDPOINT."
        )


def _identify(offer: Offer, wanted: str | None) -> str:
    """Return a short name for the edition of a file, so that two are never mixed."""
    facts = wanted or "|".join((offer.url, str(offer.etag), str(offer.size)))
    return sha256(facts.encode()).hexdigest()[:12]


def _check_space(download: Download, offer: Offer, part: Path) -> None:
    arrived = part.stat().st_size if part.exists() else 0
    missing = max((offer.size or download.file.size or 0) - arrived, 0)
    missing += sum(file.size or 0 for file in download.members)
    free = shutil.disk_usage(part.parent).free
    if missing + _SPARE > free:
        raise OutputError(
            f"{download.file.name} needs {describe_size(missing + _SPARE)} of disk, and "
            f"{part.parent} has {describe_size(free)} left; free some space, or choose another "
            "place in XDG_CACHE_HOME."
        )


def _fetch(
    download: Download, offer: Offer, part: Path, patience: Patience
) -> Generator[PullStep, None, None]:
    began = time.monotonic()
    first: list[int] = []  # bytes that lay there before

    def tell(done: int) -> PullStep:
        first[:] = first or [done]
        seconds = time.monotonic() - began
        left = None
        if offer.size is not None and done > first[0]:
            left = (offer.size - done) * seconds / (done - first[0])
        return PullStep("fetch", download.file.name, done, offer.size, left)

    yield from map_steps(tell, transfer(download.source, offer, part, patience))


def _name_finally(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())  # a power cut must not leave the name with half of the bytes
    os.replace(part, path)
