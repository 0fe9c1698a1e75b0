"""Uploads of somebody who means harm: refused in words, kept in their place, never a page."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import Ffmpeg
from served_api import FORM, UPLOAD_LIMIT, ServedApi, as_file, everything_in, form, serve_api
from served_app import serve_app

from lipsync.ui.guard import FILES_AT_ONCE, remove_leftovers

SCRIPT = "<script>document.title = 'taken'</script>"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90">{SCRIPT}</svg>'.encode()
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><svg><text>&b;</text></svg>'
HTML = f"<!doctype html><html><body>{SCRIPT}</body></html>".encode()
PLAY_LIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile '/etc/passwd'\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    # a few folders deep, so that a name with "../../.." still ends where the test looks
    folder = tmp_path_factory.mktemp("world") / "a" / "b" / "c"
    folder.mkdir(parents=True)
    with serve_api(folder) as served:
        yield served


@pytest.fixture(scope="module")
def voice(api: ServedApi, short_voice: Path) -> dict[str, Any]:
    return as_file(api.upload(short_voice.read_bytes(), "voice.wav")[1])


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("film.mp4", bytes(50 * 2**20))
    return file.getvalue()


def nested_boxes(depth: int = 20_000) -> bytes:
    """Return an MP4 whose index holds an index that holds an index …"""
    content = b""
    for _ in range(depth):
        content = box(b"moov", content)
    return box(b"ftyp", b"isom\0\0\0\0isom") + content


HOSTILE: dict[str, Callable[[], bytes]] = {
    "bomb.mp4": zip_bomb,
    "bomb.mkv": lambda: gzip.compress(bytes(50 * 2**20)),
    "photo.svg": lambda: SVG,
    "photo.png": lambda: SVG,
    "laughs.jpg": lambda: LAUGHS,
    "page.mp4": lambda: HTML,
    "list.m3u8": lambda: PLAY_LIST,
    "list.mp4": lambda: PLAY_LIST,
    "concat.mp4": lambda: CONCAT,
    "nested.mp4": nested_boxes,
    "huge.png": lambda: (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 2**30, 2**30, 8, 6, 0, 0, 0)
        + bytes(4)
    ),
    "nothing.mp4": lambda: b"",
    "zeros.mp4": lambda: bytes(4096),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_in_a_sentence(
    api: ServedApi, voice: dict[str, Any], name: str
) -> None:
    before = everything_in(api.folder.parents[2])
    _, path = api.upload(HOSTILE[name](), name)
    event, data = api.call("sync", clip=as_file(path), voice=voice)
    assert event == "error"
    assert data["error"].endswith(".")
    assert " " in data["error"]
    assert "bug of ours" not in data["error"]
    assert str(api.folder) not in data["error"]
    new = everything_in(api.folder.parents[2]) - before
    assert {entry for entry in new if not entry.startswith("a/b/c/uploads")} <= {"a/b/c/jobs"}
    assert list(api.jobs.iterdir()) == []
    assert api.call("presets")[0] == "complete"


def test_a_film_that_is_also_a_page_stays_a_film(
    api: ServedApi, voice: dict[str, Any], face_clip: Path
) -> None:
    # valid as a film, and a browser that guesses would find a page in it
    _, path = api.upload(face_clip.read_bytes() + box(b"free", HTML), "both.html")
    event, (video, _) = api.call("sync", clip=as_file(path), voice=voice)
    assert event == "complete"
    assert video["path"].endswith("both-synced.mp4")
    for shown, kind in ((video["path"], "video/mp4"), (path, "application/octet-stream")):
        headers = fetch(api, shown)[1]
        assert headers["content-type"] == kind
        assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-disposition"].startswith("attachment")


def test_a_page_before_a_film_is_no_film(
    api: ServedApi, voice: dict[str, Any], face_clip: Path
) -> None:
    _, path = api.upload(HTML + face_clip.read_bytes(), "both.mp4")
    event, data = api.call("sync", clip=as_file(path), voice=voice)
    assert event == "error"
    assert "bug of ours" not in data["error"]


def test_a_photo_that_is_also_an_archive_is_only_a_photo(
    api: ServedApi, voice: dict[str, Any], tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    photo = ffmpeg("-f", "lavfi", "-i", "testsrc=size=320x240", "-frames:v", 1, tmp_path / "p.jpg")
    _, path = api.upload(photo.read_bytes() + zip_bomb(), "photo.jpg")
    before = everything_in(api.uploads)
    assert api.call("sync", clip=as_file(path), voice=voice)[0] == "complete"
    assert [name for name in everything_in(api.uploads) - before if "film.mp4" in name] == []


NAMES = [
    "../../../escaped.mp4",
    "..\\..\\escaped.mp4",
    "/../../escaped.mp4",
    "%2e%2e%2fescaped.mp4",
    "..",
    ".",
    "",
    "x" * 10_000 + ".mp4",
    "ü" * 5_000 + ".mp4",
    "\u202egpj.4pm",
    "映画.mp4",
    "nul\0.mp4",
    "two\nlines.mp4",
    "-rf.mp4",
    "$(touch escaped).mp4",
    "<img src=x onerror=alert(1)>.mp4",
    "CON.mp4",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_no_name_leads_out_of_the_upload_folder(
    api: ServedApi, voice: dict[str, Any], face_clip: Path, name: str
) -> None:
    world = api.folder.parents[2]
    before = everything_in(world)
    status, answer = api.upload(face_clip.read_bytes(), name)
    if status == 200:
        assert Path(answer).is_relative_to(api.uploads)
        assert Path(answer).is_file()
        event, (video, _) = api.call("sync", clip=as_file(answer), voice=voice)
        assert event == "complete"
        assert Path(video["path"]).name.isascii()
    else:
        assert status in (400, 413)
        assert "name" in answer
    new = everything_in(world) - before
    assert {entry for entry in new if not entry.startswith("a/b/c/uploads")} <= {"a/b/c/jobs"}
    assert list(api.jobs.iterdir()) == []


@pytest.mark.parametrize("name", ["photo.svg", "page.html", "page.xhtml", "data.xml", "code.js"])
def test_what_could_run_is_only_ever_a_download(api: ServedApi, name: str) -> None:
    _, path = api.upload(SVG, name)
    status, headers, content = fetch(api, path)
    assert (status, content) == (200, SVG)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert "sandbox" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "noindex" in headers["x-robots-tag"]


@pytest.mark.parametrize("part", ["bytes=10-19", "bytes=10-"])
def test_a_player_gets_its_parts_and_nothing_of_the_visitor(
    api: ServedApi, face_clip: Path, part: str
) -> None:
    film = face_clip.read_bytes()
    _, path = api.upload(film, "film.mp4")
    status, headers, content = fetch(
        api, path, {"Range": part, "Cookie": "secret=1", "X-Mine": "y", "Content-Type": "text/html"}
    )
    assert status == 206
    assert content == (film[10:20] if part.endswith("19") else film[10:])
    assert headers.get_all("content-type") == ["video/mp4"]
    assert headers["content-range"].startswith("bytes 10-")
    assert "secret" not in str(headers)
    assert headers["x-mine"] is None
    assert headers["content-disposition"].startswith("inline")


def test_an_upload_too_large_is_refused_before_it_has_come(api: ServedApi) -> None:
    before = everything_in(api.folder)
    size = 3 * 2**30
    sent, answer = stream_upload(api, size, f"Content-Length: {size}")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"The upload is too large: one file may have 1 MB" in answer
    assert sent < 64 * UPLOAD_LIMIT
    assert everything_in(api.folder) == before


def test_an_upload_of_unknown_length_is_refused_while_it_comes(api: ServedApi) -> None:
    before = everything_in(api.folder)
    sent, answer = stream_upload(api, 3 * 2**30, "Transfer-Encoding: chunked")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"The upload is too large" in answer
    assert sent < 64 * UPLOAD_LIMIT
    assert everything_in(api.folder) == before
    assert api.call("presets")[0] == "complete"


def test_many_files_at_once_are_measured_together(api: ServedApi) -> None:
    before = everything_in(api.folder)
    one = form(bytes(UPLOAD_LIMIT - 1000), "part.mp4").removesuffix(b"--cut--\r\n")
    status, answer = api.post(
        "gradio_api/upload", one * (FILES_AT_ONCE + 1) + b"--cut--\r\n", **FORM
    )
    assert status == 413
    assert "may come together" in answer
    assert everything_in(api.folder) == before


def test_an_upload_broken_off_leaves_nothing(api: ServedApi) -> None:
    before = everything_in(api.folder)
    with connect(api) as line:
        line.sendall(head("Content-Length: 900000") + form(bytes(1000), "x.mp4")[:-20])
        await_true(lambda: everything_in(api.folder) != before)
    await_true(lambda: everything_in(api.folder) == before)


def test_leftovers_go_after_an_hour_and_nothing_else(tmp_path: Path) -> None:
    old, fresh, inside = tmp_path / "tmpold", tmp_path / "tmpnew", tmp_path / "f" / "tmpold"
    inside.parent.mkdir()
    for path in (old, fresh, inside):
        path.write_bytes(b"x")
    for path in (old, inside):
        os.utime(path, (time.time() - 4000, time.time() - 4000))
    remove_leftovers(tmp_path)
    assert (old.exists(), fresh.exists(), inside.exists()) == (False, True, True)


@pytest.mark.slow
def test_the_whole_app_refuses_three_gigabytes(tmp_path: Path) -> None:
    with serve_app(tmp_path) as app:
        served = ServedApi(app.url, app.folder, walker=None)  # type: ignore[arg-type]
        before = everything_in(app.folder)
        size = 3 * 2**30
        sent, answer = stream_upload(served, size, f"Content-Length: {size}")
        assert b"too large: one file may have 500 MB" in answer
        assert sent < 2**26
        sent, answer = stream_upload(served, size, "Transfer-Encoding: chunked")
        assert b"too large: one file may have 500 MB" in answer
        assert sent < 600 * 2**20
        assert everything_in(app.folder) == before
        assert served.call("presets")[0] == "complete"


def fetch(api: ServedApi, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
    request = urllib.request.Request(
        f"{api.url}gradio_api/file={quote(path)}", headers=headers or {}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.headers, answer.read()


def head(length: str) -> bytes:
    lines = [
        "POST /gradio_api/upload HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {FORM['Content-Type']}",
        length,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def connect(api: ServedApi) -> socket.socket:
    port = int(api.url.rstrip("/").rsplit(":", 1)[1])
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def stream_upload(api: ServedApi, size: int, length: str) -> tuple[int, bytes]:
    """Send zeros until the server answers; return how many bytes went out, and the answer."""
    start = form(b"", "x.mp4").removesuffix(b"\r\n--cut--\r\n")
    piece = bytes(2**16)
    is_chunked = length.startswith("Transfer")
    sent, answer = 0, b""
    with connect(api) as line:
        line.sendall(head(length))
        try:
            while sent < size:
                data = piece if sent else start + piece
                framed = b"%x\r\n%b\r\n" % (len(data), data) if is_chunked else data
                line.sendall(framed)
                sent += len(data)
                if has_answer(line):
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server hung up; what it said before is still to be read
        answer = read_all(line)
    return sent, answer


def has_answer(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return bool(line.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        line.settimeout(20)


def read_all(line: socket.socket) -> bytes:
    answer = b""
    try:
        while data := line.recv(65536):
            answer += data
            if b"\r\n\r\n" in answer and answer.endswith(b"."):
                break
    except ConnectionResetError:
        pass
    return answer


def await_true(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
