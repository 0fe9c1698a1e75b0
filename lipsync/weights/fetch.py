"""Fetch one file over HTTP into a partial file, going on where an earlier attempt broke off.

Addresses, sign-in, proxies, offline mode and what the hub says about a file come from
huggingface_hub. The transfer itself is ours: since version 1 that library's own download begins
anew after every interruption, and it cannot be closed half-way as a generator can.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from lipsync.errors import FetchError
from lipsync.weights.table import HubFile, WebFile

if TYPE_CHECKING:
    import httpx2

_TRANSIENT = (408, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0  # seconds that a server may make us wait before we give up instead
_TICK = 0.2  # seconds between two steps while waiting, so that closing takes effect soon

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Patience:
    """How long to bear with a bad connection."""

    timeout: float | None = None  # s without a byte; None = huggingface_hub's, 10 s by default
    tries: int = 5  # failures in a row that bring nothing new
    pause: float = 1.0  # s before the second try, doubled from try to try


@dataclass(frozen=True)
class Offer:
    """What a server says about a file before it is fetched."""

    url: str
    size: int | None  # bytes
    sha256: str | None  # where the server publishes it
    etag: str | None
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # they may hold a token

    @property
    def host(self) -> str:
        """The server's name, for people."""
        return urlsplit(self.url).netloc


class _BrokenOffError(Exception):
    """A failure that may pass: the connection, or a server that is busy."""

    def __init__(self, reason: str, got: int, wait: float | None = None) -> None:
        super().__init__(reason)
        self.got = got  # bytes so far
        self.wait = wait  # s, as the server asked for


def ask(
    source: HubFile | WebFile, endpoint: str | None, patience: Patience
) -> Generator[int, None, Offer]:
    """Ask the server about a file; yield 0 before each try and while waiting, return its offer.

    `endpoint` is the hub's address, None = the one huggingface_hub knows (HF_ENDPOINT). Raises
    FetchError if the server cannot be reached or has no such file.
    """

    def attempt() -> Generator[int, None, Offer]:
        yield 0
        if isinstance(source, HubFile):
            return _ask_hub(source, endpoint, patience)
        return _ask_web(source.url, patience)

    return (yield from _insist(attempt, patience, source, None))


def transfer(
    source: HubFile | WebFile, offer: Offer, part: Path, patience: Patience
) -> Generator[int, None, None]:
    """Fetch `offer` into `part`, going on from the bytes it holds; yield bytes so far.

    Closing the generator ends the transfer and keeps `part`. Raises FetchError if the server gives
    up, sends too much or something of another size, and OSError if the disk does not take it.
    """

    def attempt() -> Generator[int, None, None]:
        return _receive(offer, part, patience)

    yield from _insist(attempt, patience, source, offer.size)


def _insist(
    attempt: Callable[[], Generator[int, None, _Made]],
    patience: Patience,
    source: HubFile | WebFile,
    size: int | None,
) -> Generator[int, None, _Made]:
    """Run `attempt` until it ends; wait and run it again where it breaks off."""
    failures, furthest = 0, 0
    while True:
        try:
            with closing(attempt()) as steps:
                return (yield from steps)
        except _BrokenOffError as broken:
            failures = 1 if broken.got > furthest else failures + 1
            furthest = max(furthest, broken.got)
            wait = broken.wait
            if wait is None:
                wait = patience.pause * 2 ** (failures - 1)
            if failures >= patience.tries or wait > _LONGEST_WAIT:
                raise _give_up(source, furthest, size, broken) from broken
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            yield furthest
            time.sleep(min(_TICK, left))


def _give_up(
    source: HubFile | WebFile, got: int, size: int | None, broken: _BrokenOffError
) -> FetchError:
    name = describe_source(source)
    if not got:
        return FetchError(
            f"{name} could not be fetched ({broken}); check the connection and try again later, "
            "or name a mirror of the hub in HF_ENDPOINT."
        )
    total = "?" if size is None else describe_size(size)
    return FetchError(
        f"The download of {name} broke off at {describe_size(got)} of {total} ({broken}); what "
        "came is kept: try again later, and it goes on from there."
    )


def describe_source(source: HubFile | WebFile) -> str:
    """Return where a file comes from, in a few characters."""
    if isinstance(source, HubFile):
        return f"{source.repository}/{source.path}"
    return source.url


def describe_size(size: int) -> str:
    """Return a number of bytes as people read it: 547 B, 75.6 MB, 5.07 GB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            number = size / scale
            return " ".join((f"{number:.0f}" if number >= 100 else f"{number:.3g}", unit))
    return " ".join((str(size), "B"))


def _timeout(patience: Patience) -> float:
    from huggingface_hub import constants

    if patience.timeout is not None:
        return patience.timeout
    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def _ask_hub(source: HubFile, endpoint: str | None, patience: Patience) -> Offer:
    import httpx2
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(source.repository, source.path, revision=source.revision, endpoint=endpoint)
    try:
        told = get_hf_file_metadata(url, timeout=_timeout(patience), endpoint=endpoint)
    except httpx2.HTTPError as error:
        raise _refusal(error, url) from error
    # the hub names files of its large-file store by their SHA-256, small ones by a git hash
    published = told.etag if told.etag and re.fullmatch("[0-9a-f]{64}", told.etag) else None
    return Offer(url, told.size, published, told.etag, build_hf_headers())


def _ask_web(url: str, patience: Patience) -> Offer:
    import httpx2
    from huggingface_hub import get_session

    plain = {"Accept-Encoding": "identity"}
    try:
        response = get_session().head(url, headers=plain, timeout=_timeout(patience))
        response.raise_for_status()
    except httpx2.HTTPError as error:
        raise _refusal(error, url) from error
    length = response.headers.get("Content-Length", "")
    return Offer(url, int(length) if length.isdigit() else None, None, response.headers.get("ETag"))


def _receive(offer: Offer, part: Path, patience: Patience) -> Generator[int, None, None]:
    """Append what is missing to `part`; a generator of the bytes so far."""
    import httpx2
    from huggingface_hub import get_session

    start = part.stat().st_size if part.exists() else 0
    if start and offer.size is not None and start >= offer.size:
        if start == offer.size:
            yield start
            return
        part.unlink()
        start = 0
    headers = {**offer.headers, "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    got = start
    try:
        with get_session().stream(
            "GET", offer.url, headers=headers, timeout=_timeout(patience)
        ) as response:
            if response.status_code == 416:  # nothing is left, or nothing that fits
                told = response.headers.get("Content-Range", "")
                if told.rpartition("/")[2] != str(start):
                    part.unlink()
                    raise _BrokenOffError("the server did not go on where it stopped", 0)
                if offer.size is not None:
                    raise _BrokenOffError("the server stopped early", start)
                return
            response.raise_for_status()
            got = start = _agree_on_start(response, offer, start)
            with part.open("ab") as file:
                file.truncate(start)
                for chunk in response.iter_bytes():
                    got += len(chunk)
                    if offer.size is not None and got > offer.size:
                        break
                    file.write(chunk)
                    file.flush()  # a process killed now loses nothing
                    yield got
    except httpx2.HTTPError as error:
        raise _refusal(error, offer.url, got) from error
    if offer.size is not None and got > offer.size:
        part.unlink()
        raise FetchError(
            f"{offer.host} sent more than the {offer.size} bytes it had promised, so nothing was "
            "kept; try again later or name another mirror in HF_ENDPOINT."
        )
    if offer.size is not None and got < offer.size:
        raise _BrokenOffError("the server stopped early", got)


def _agree_on_start(response: httpx2.Response, offer: Offer, start: int) -> int:
    """Return the byte that the answer begins with; raise FetchError if it is another file's."""
    told = re.fullmatch(r"bytes\s(\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    is_part = response.status_code == 206 and told is not None
    if is_part and told is not None:
        begin, total = int(told[1]), told[2]
        if begin != start:
            raise _BrokenOffError("the server did not go on where it stopped", 0)
    else:
        begin, total = 0, response.headers.get("Content-Length", "*")
    if offer.size is not None and total != "*" and int(total) > offer.size:
        raise FetchError(
            f"{offer.host} sends {total} bytes where {offer.size} were promised, so nothing was "
            "kept; try again later or name another mirror in HF_ENDPOINT."
        )
    return begin


def _refusal(error: httpx2.HTTPError, url: str, got: int = 0) -> Exception:
    """Return what to raise for a failed request: one that may pass, or one that will not."""
    import httpx2

    if isinstance(error, httpx2.UnsupportedProtocol):
        return FetchError(
            f"{url} is no address; HF_ENDPOINT needs the form https://huggingface.co."
        )
    response = getattr(error, "response", None)
    if response is None:
        return _BrokenOffError(_describe_failure(error), got)
    status = response.status_code
    if status in _TRANSIENT:
        asked = response.headers.get("Retry-After", "")
        wait = float(asked) if asked.isdigit() else None
        if wait is None:
            return _BrokenOffError(f"the server is busy, HTTP {status}", got)
        return _BrokenOffError(f"the server asks to wait {asked} s, HTTP {status}", got, wait)
    if status in (401, 403):
        return FetchError(
            f"{url} may not be read (HTTP {status}); sign in with `hf auth login` if the page of "
            "the model asks for it, or name another mirror in HF_ENDPOINT."
        )
    return FetchError(
        f"{url} was not found (HTTP {status}); update Lipsync Studio, or check HF_ENDPOINT if you "
        "named a mirror."
    )


def _describe_failure(error: httpx2.HTTPError) -> str:
    import httpx2

    if isinstance(error, httpx2.TimeoutException):
        return "the server does not answer"
    if isinstance(error, httpx2.ConnectError):
        return "no connection to the server"
    return "the connection broke"
