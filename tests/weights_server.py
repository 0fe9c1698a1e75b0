"""A real HTTP server on 127.0.0.1 that speaks as the hub does, and misbehaves as servers do."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "c" * 40


@dataclass
class Fault:
    """How one answer to a GET for content goes wrong."""

    status: int | None = None  # answer this instead
    retry_after: str | None = None
    cut_after: int | None = None  # bytes, then the connection is dropped
    stall_after: int | None = None  # bytes, then nothing comes until the server closes
    slow: float = 0.0  # s between two pieces
    ignore_range: bool = False
    extra: bytes = b""  # sent after the content, and counted in its length
    short: int = 0  # bytes that are left out, with a length that agrees
    wrong_byte: int | None = None  # position of a byte that is not what it should be


@dataclass
class Served:
    """A file and what the server says about it."""

    content: bytes
    sha256: str | None = ""  # "" = the true one, None = a git hash as small files have
    size: int | None = None  # None = the true one

    @property
    def etag(self) -> str:
        if self.sha256 is None:
            return hashlib.sha1(self.content).hexdigest()
        return self.sha256 or hashlib.sha256(self.content).hexdigest()


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class WeightsServer:
    """What is served, what goes wrong next, and what was asked for."""

    port: int = 0
    files: dict[str, Served] = field(default_factory=dict)  # path -> file
    faults: list[Fault] = field(default_factory=list)  # one for each GET of content, in order
    head_faults: list[Fault] = field(default_factory=list)  # one for each HEAD of a file
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0  # bytes of content in all
    released: threading.Event = field(default_factory=threading.Event)  # lets stalled answers end

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve_hub_file(self, repository: str, path: str, served: Served) -> None:
        self.files[f"/{repository}/resolve/{REVISION}/{path}"] = served

    def gets(self) -> list[Asked]:
        """The requests for content: those that arrived at the second host."""
        return [one for one in self.asked if one.method == "GET" and "/content/" in one.path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: WeightsServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        state = self.state
        asked = Asked(self.command, self.path, self.headers["Range"], self.headers["Authorization"])
        state.asked.append(asked)
        is_content = self.path.startswith("/content")
        served = state.files.get(self.path.removeprefix("/content"))
        if served is None:
            self._end(404)
        elif is_content and self.command == "GET":
            self._send_content(served, state.faults.pop(0) if state.faults else Fault())
        elif is_content:  # a plain file is asked for with HEAD
            size = len(served.content) if served.size is None else served.size
            self._end(200, {"Content-Length": str(size), "ETag": f'"{served.etag}"'})
        else:
            self._point_to_content(served)

    def _point_to_content(self, served: Served) -> None:
        """Send on to another host with the facts, as the hub does for large files."""
        fault = self.state.head_faults.pop(0) if self.state.head_faults else Fault()
        if fault.status is not None:
            self._end(fault.status, _wait(fault))
            return
        facts = {
            "Location": f"http://localhost:{self.state.port}/content{self.path}",
            "X-Repo-Commit": REVISION,
            "X-Linked-Etag": f'"{served.etag}"',
            "X-Linked-Size": str(len(served.content) if served.size is None else served.size),
        }
        self._end(302, facts)

    def _send_content(self, served: Served, fault: Fault) -> None:
        if fault.status is not None:
            self._end(fault.status, _wait(fault))
            return
        content = bytearray(served.content + fault.extra)
        if fault.wrong_byte is not None:
            content[fault.wrong_byte] ^= 1
        content = content[: len(content) - fault.short]
        start = 0
        wanted = self.headers["Range"]
        if wanted and not fault.ignore_range:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self._end(416, {"Content-Range": f"bytes */{len(content)}"})
                return
            self.send_response(206)
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", span)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self._send_pieces(bytes(content[start:]), fault)

    def _send_pieces(self, content: bytes, fault: Fault) -> None:
        for at in range(0, len(content), 1000):
            piece = content[at : at + 1000]
            for limit in (fault.cut_after, fault.stall_after):
                if limit is not None:
                    piece = piece[: max(limit - at, 0)]
            try:
                self.wfile.write(piece)
                self.wfile.flush()
            except OSError:
                break
            self.state.sent += len(piece)
            if fault.cut_after is not None and at + 1000 >= fault.cut_after:
                break
            if fault.stall_after is not None and at + 1000 >= fault.stall_after:
                self.state.released.wait(20)
                break
            time.sleep(fault.slow)
        else:
            return
        self.close_connection = True
        with suppress(OSError):  # the client has left first
            self.connection.shutdown(socket.SHUT_RDWR)

    def _end(self, status: int, headers: dict[str, str] | None = None) -> None:
        headers = {"Content-Length": "0", **(headers or {})}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _wait(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"Retry-After": fault.retry_after}


@contextmanager
def serve_weights() -> Iterator[WeightsServer]:
    """Serve on a free port until the block ends."""
    state = WeightsServer()
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield state
        finally:
            state.released.set()
            server.shutdown()
            thread.join()
