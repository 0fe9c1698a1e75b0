"""What stands before the server's routes: requests that this app has no use for end here.

Gradio serves more than this app needs, among it addresses that make the server fetch from others.
This middleware refuses those, measures what comes in while it comes in, and dresses what goes out,
so that a file of a visitor's is never a page of ours. Plain ASGI, because it must see a request
before anybody has read its body.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

from gradio.route_utils import MultiPartException
from gradio.utils import get_upload_folder

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

FILES_AT_ONCE = 4  # largest files that one upload request may bring together
MAX_MESSAGE = 2 * 2**20  # bytes of a request that is no upload; settings are a few hundred
MAX_DEPTH = 40  # of lists and objects inside each other; Gradio walks them by calling itself

_API = "/gradio_api"
_UPLOAD = f"{_API}/upload"
_FILE = f"{_API}/file="
# routes of Gradio's that no part of this app calls; some write to the disk or start programs
_CLOSED = tuple(
    f"{_API}/{name}"
    for name in ("deep_link", "process_recording", "proxy=", "vibe-", "run-history", "runs")
)
_ADDRESS = re.compile(r"\s*(?:[a-z][a-z0-9+.-]+:/|//|\\\\)", re.IGNORECASE)
_TYPE_JSON, _TYPE_TEXT = b"application/json", b"text/plain; charset=utf-8"
_DRAIN_SECONDS, _DRAIN_BYTES = 5.0, 32 * 2**20
_LEFTOVER_SECONDS = 3600  # an upload that came no further for so long was broken off

_NOT_HERE = "This address is not part of the app."
_NO_FETCHING = (
    "A file was named by an address on a network; this app fetches nothing from other computers: "
    "upload the file itself."
)
_NOT_UPLOADED = (
    "The named file was not uploaded to this app; upload it first and name what came back."
)
_LONG_NAME = "The file's name is too long; give it a shorter one and upload it again."
_NO_MESSAGE = "The request is not JSON; send the values as a JSON object with Content-Type JSON."
_TOO_DEEP = f"The request nests lists and objects more than {MAX_DEPTH} deep; send plain values."
_TOO_LONG = (
    f"The request is longer than {MAX_MESSAGE // 2**20} MB; "
    "upload files first and name them in the request."
)

# of the answer with a file, these are what a player needs; gradio 6.31 answers a request for a part
# of a file with the visitor's own headers, cookies among them
_FILE_HEADERS = frozenset(
    b"accept-ranges cache-control content-disposition content-encoding content-length "
    b"content-range content-type etag last-modified vary".split()
)
_FILE_ARMOUR: list[Header] = [
    # opened as a page of its own, a file may show itself and do nothing else
    (
        b"content-security-policy",
        b"sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"private, max-age=3600"),
]
_ARMOUR: list[Header] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # an address may hold a visitor's settings
]
_NO_ROBOTS: Header = (b"x-robots-tag", b"noindex, nofollow, noarchive")
_SHOWN_INLINE = (b"video/", b"audio/", b"image/png", b"image/jpeg", b"image/webp", b"image/gif")


class Refused(Exception):  # noqa: N818 — an answer, not an error
    """Ends a request with this status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Guard:
    """ASGI middleware for the app's server; see the module."""

    def __init__(self, app: Application, max_upload: int, is_public: bool) -> None:
        """`max_upload` is the size of the largest file, bytes; a public app lets search engines
        show its first page, any other shows them nothing."""
        self._app = app
        self._max_upload = max_upload
        self._robots = (
            f"User-agent: *\nDisallow: {_API}/\nDisallow: /*?\n"
            if is_public
            else "User-agent: *\nDisallow: /\n"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request here or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        is_file = path.startswith((_FILE, f"{_API}/file/"))
        sealed = _seal(send, is_file, path.startswith(_API))
        try:
            if path == "/robots.txt":
                await _answer(sealed, 200, _TYPE_TEXT, self._robots)
                return
            _check_address(path)
            if scope["method"] == "POST" and path.rstrip("/") == _UPLOAD:
                await self._take_upload(scope, receive, sealed)
                return
            if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
                receive = await _read_message(receive)
        except Refused as refused:
            await _refuse(sealed, refused)
            return
        await self._app(scope, receive, sealed)

    async def _take_upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route read an upload, unless it says it is too long or turns out to be."""
        most = self._max_upload * FILES_AT_ONCE
        stated = dict(scope["headers"]).get(b"content-length", b"")
        if stated.isdigit() and int(stated) > most:
            await _stop_upload(receive, send, self._too_large)
            return
        remove_leftovers(Path(get_upload_folder()))
        came = 0
        is_stopped = False

        async def measured() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > most:
                raise _end_upload("maximum allowed size")
            if message["type"] == "http.disconnect":
                raise _end_upload("broken off")
            return message

        async def said(message: Message) -> None:
            nonlocal is_stopped
            if message["type"] == "http.response.start" and message["status"] == 413:
                is_stopped = True  # our sentence comes in the place of the route's words
            elif not is_stopped:
                await send(message)
            elif b"Headers" in message["body"]:  # of the part with the file: its name
                await _stop_upload(receive, send, _LONG_NAME)
            else:
                await _stop_upload(receive, send, self._too_large)

        await self._app(scope, measured, said)

    @property
    def _too_large(self) -> str:
        size = self._max_upload / 2**20
        return (
            f"The upload is too large: one file may have {size:.0f} MB, and {FILES_AT_ONCE} times "
            "that may come together; cut the clip or save it smaller."
        )


def remove_leftovers(folder: Path, seconds: float = _LEFTOVER_SECONDS) -> None:
    """Remove files right inside `folder` that nobody has written to for so many seconds.

    Gradio writes an upload there before it gets a folder of its own; one that met a full disk, or
    came under another field's name, stays.
    """
    oldest = time.time() - seconds
    for path in folder.glob("tmp*"):
        try:
            if path.is_file() and path.lstat().st_mtime < oldest:
                path.unlink()
        except OSError as error:
            # another request may have been quicker; the next upload looks again
            log.warning("could not remove %s (%s)", path, error)


def check_files(value: Any, folder: Path) -> None:
    """Refuse a JSON `value` that names any file outside `folder`, or by an address.

    Raises Refused; also where lists and objects are nested too deeply to be looked through.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                _check_file(item, folder)
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
        if not deeper:
            return
        level = deeper
    raise Refused(400, _TOO_DEEP)


def _check_file(item: dict[str, Any], folder: Path) -> None:
    path = item.get("path")
    if not isinstance(path, str):
        return
    if _ADDRESS.match(path):
        raise Refused(422, _NO_FETCHING)
    # only what says it is a file is opened as one by Gradio, before any code of ours runs
    is_file = isinstance(item.get("meta"), dict)
    if is_file and ("\0" in path or not Path(os.path.abspath(path)).is_relative_to(folder)):
        raise Refused(422, _NOT_UPLOADED)


def _end_upload(reason: str) -> Exception:
    """Return the one kind of error at which Gradio's reader removes what it has written so far."""
    return MultiPartException(reason)


def _check_address(path: str) -> None:
    if path.startswith(_CLOSED):
        raise Refused(404, _NOT_HERE)
    if path.startswith(_FILE) and _ADDRESS.match(path[len(_FILE) :]):
        raise Refused(403, _NO_FETCHING)


async def _read_message(receive: Receive) -> Receive:
    """Read and check a request's whole body; return a `receive` that plays it back."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_MESSAGE:
            raise Refused(413, _TOO_LONG)
    if body:
        try:
            value = json.loads(body)
        except RecursionError as error:
            raise Refused(400, _TOO_DEEP) from error
        except ValueError as error:
            raise Refused(400, _NO_MESSAGE) from error
        check_files(value, Path(os.path.abspath(get_upload_folder())))
    first: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replayed() -> Message:
        return first.pop() if first else await receive()

    return replayed


def _seal(send: Send, is_file: bool, is_hidden: bool) -> Send:
    """Return a `send` that adds the headers which keep a visitor's file a mere file."""

    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            if is_file and message["status"] in (200, 206):
                headers = _dress_file(headers)
            headers = _replace(headers, _ARMOUR)
            if is_hidden:
                headers.append(_NO_ROBOTS)
            message = {**message, "headers": headers}
        await send(message)

    return sealed


def _dress_file(headers: Iterable[Header]) -> list[Header]:
    kept = {name.lower(): value for name, value in headers if name.lower() in _FILE_HEADERS}
    if not kept.get(b"content-type", b"").startswith(_SHOWN_INLINE):
        kept[b"content-type"] = b"application/octet-stream"
        shown = kept.get(b"content-disposition", b"")
        if not shown.startswith(b"attachment"):
            kept[b"content-disposition"] = b"attachment"
    return _replace(kept.items(), _FILE_ARMOUR)


def _replace(headers: Iterable[Header], others: list[Header]) -> list[Header]:
    names = {name for name, _ in others}
    return [*((name, value) for name, value in headers if name.lower() not in names), *others]


async def _refuse(send: Send, refused: Refused) -> None:
    if refused.status == 422:
        # the form in which Gradio's clients show a sentence about a parameter
        detail: Any = [
            {
                "__type__": "validate",
                "is_valid": False,
                "parameter_name": "file",
                "message": refused.sentence,
            }
        ]
    else:
        detail = refused.sentence
    await _answer(send, refused.status, _TYPE_JSON, json.dumps({"detail": detail}))


async def _stop_upload(receive: Receive, send: Send, sentence: str) -> None:
    # plain text is what the page shows of an upload that failed
    await _answer(send, 413, _TYPE_TEXT, sentence, before_end=_drain(receive))


async def _answer(
    send: Send,
    status: int,
    kind: bytes,
    text: str,
    before_end: Awaitable[None] | None = None,
) -> None:
    body = text.encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if before_end is not None:
        await before_end
    await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive) -> None:
    """Throw away what a client is still sending, for a while.

    A server that hangs up on a client in the middle of a sentence is not heard: the client sees
    a broken line in the place of the answer.
    """
    came = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            more = True
            while more and came < _DRAIN_BYTES:
                message = await receive()
                came += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        pass  # patience is over, and that is all this was for
