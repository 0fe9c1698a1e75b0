"""What the server refuses before any handler runs, and how it dresses what it sends."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_api import ServedApi, as_file, everything_in, serve_api

from lipsync.ui.guard import MAX_DEPTH, Refused, check_files


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    with serve_api(tmp_path_factory.mktemp("served"), is_hosted=True) as served:
        yield served


def nest(value: object, depth: int) -> object:
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "path",
    [
        "http://example.com/x.mp4",
        "HTTPS://example.com/x.mp4",
        " http://example.com/x.mp4",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "//example.com/x",
        "\\\\example.com\\share\\x",
        "http:/example.com",
    ],
)
def test_files_by_address_are_found_wherever_they_hide(tmp_path: Path, path: str) -> None:
    for value in (as_file(path), {"path": path}, {"data": [1, [{"value": as_file(path)}]]}):
        with pytest.raises(Refused, match="fetches nothing"):
            check_files(value, tmp_path)


def test_plain_values_and_uploads_pass(tmp_path: Path) -> None:
    check_files({"data": [as_file(str(tmp_path / "a" / "x.mp4")), "http://", None]}, tmp_path)
    check_files({"path": "only a word", "url": "http://127.0.0.1/"}, tmp_path)
    check_files(nest(1, MAX_DEPTH - 1), tmp_path)


def test_files_elsewhere_are_refused(tmp_path: Path) -> None:
    for path in (str(tmp_path / ".." / "x"), "/etc/passwd", "x", "", f"{tmp_path}x/y", "a\0b"):
        with pytest.raises(Refused, match="was not uploaded"):
            check_files([as_file(path)], tmp_path)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="deep"):
        check_files(nest(1, MAX_DEPTH + 1), tmp_path)


@pytest.mark.parametrize("route", ["call/sync", "call/v2/sync", "queue/join", "run/sync", "cancel"])
@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"[" * 100_000 + b"]" * 100_000, 400, "deep"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400, "deep"),
        (b'"' + b"x" * 3_000_000 + b'"', 413, "longer than 2 MB"),
        (b"clip=1&voice=2", 400, "not JSON"),
        (b"\xff\xfe\x00", 400, "not JSON"),
    ],
    ids=["lists", "objects", "long", "form", "bytes"],
)
def test_odd_messages_are_refused_in_a_sentence(
    api: ServedApi, route: str, body: bytes, status: int, sentence: str
) -> None:
    answered, text = api.post(f"gradio_api/{route}", body)
    assert answered == status
    assert sentence in json.loads(text)["detail"]
    assert api.call("presets")[0] == "complete"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("gradio_api/file=http://127.0.0.1:1/x", 403),
        ("gradio_api/file=%68ttps://example.com/x", 403),
        ("gradio_api/file=//example.com/x", 403),
        ("gradio_api/proxy=https://example.com/x", 404),
        ("gradio_api/deep_link?session_hash=x", 404),
        ("gradio_api/file=/etc/passwd", 403),
    ],
)
def test_addresses_that_fetch_or_write_are_closed(api: ServedApi, path: str, status: int) -> None:
    before = everything_in(api.folder)
    answered, text = api.get(path)
    assert answered == status
    assert "root:" not in text
    assert everything_in(api.folder) == before


def test_a_recording_starts_no_program(api: ServedApi) -> None:
    assert api.post("gradio_api/process_recording", b"")[0] == 404


def test_robots_may_see_the_first_page_and_nothing_of_the_visitors(
    api: ServedApi, tmp_path: Path
) -> None:
    _, rules = api.get("robots.txt")
    assert rules.splitlines() == ["User-agent: *", "Disallow: /gradio_api/", "Disallow: /*?"]
    with urllib.request.urlopen(f"{api.url}gradio_api/info", timeout=10) as answer:
        assert answer.headers["x-robots-tag"] == "noindex, nofollow, noarchive"
    with urllib.request.urlopen(api.url, timeout=10) as answer:
        assert answer.headers["x-robots-tag"] is None
        assert answer.headers["referrer-policy"] == "same-origin"
        # a Space is shown inside a frame of the site around it
        assert answer.headers["x-frame-options"] is None
        assert answer.headers["content-security-policy"] is None


def test_an_app_at_home_is_not_for_robots(tmp_path: Path) -> None:
    with serve_api(tmp_path) as own:
        assert own.get("robots.txt")[1].splitlines() == ["User-agent: *", "Disallow: /"]


def test_looking_starts_nothing(api: ServedApi) -> None:
    before = everything_in(api.folder)
    for path in (
        "",
        "?preset=draft&steps=3",
        "config",
        "gradio_api/info",
        "gradio_api/call/sync",
        "gradio_api/call/v2/sync/?clip=x",
        "gradio_api/run/sync",
        "gradio_api/queue/join?data=1",
    ):
        api.get(path, **{"User-Agent": "LinkPreview/1.0"})
    assert api.walker.requests == []
    assert everything_in(api.folder) == before
