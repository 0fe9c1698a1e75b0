"""What the clip panel tells of an upload, and what it takes back from a browser."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lipsync.example import example_photo
from lipsync.media.probe import Limits
from lipsync.pipeline import LipSyncPipeline
from lipsync.scan import Scan
from lipsync.ui.choices import Selection
from lipsync.ui.clip_panel import ClipScanner, read_selection, write_selection

ADA = gr.Request(session_hash="ada", headers={"accept-language": "en"})
LI = gr.Request(session_hash="li", headers={"accept-language": "zh-CN"})


@pytest.fixture
def scanner(pipeline: LipSyncPipeline) -> ClipScanner:
    return ClipScanner(lambda: pipeline)


def test_facts_and_poster_come_at_once(scanner: ClipScanner, face_clip: Path) -> None:
    shown = scanner.show(str(face_clip), ADA)
    clip = shown["clip"]
    assert (clip["width"], clip["height"], clip["rate"], clip["still"]) == (320, 320, "25", False)
    assert clip["duration"] == 1.0
    assert clip["poster"].startswith("data:image/jpeg;base64,")
    assert clip["url"].endswith("face.mp4")
    assert shown["scan"] is None


def test_scan_arrives_as_json_for_the_clip_that_is_shown(
    scanner: ClipScanner, face_clip: Path
) -> None:
    name = scanner.show(str(face_clip), ADA)["clip"]["id"]
    updates = list(scanner.scan(str(face_clip), ADA))
    scans = [json.loads(json.dumps(update["scan"])) for update in updates]
    assert all(set(update) == {"scan", "__type__"} for update in updates)  # never the selection
    assert {scan["id"] for scan in scans} == {name}
    assert (scans[0]["share"], scans[-1]["share"]) == (0.0, 1.0)
    assert scans[-1]["spans"] == [[0.0, 1.0, "found"]]
    assert scans[-1]["trouble"] is None
    (face,) = scans[-1]["faces"]
    assert face["picture"].startswith("data:image/jpeg;base64,")
    assert [face["seconds"], 0, *face["box"]] in scans[-1]["sightings"]


def test_trouble_is_told_in_the_visitors_language(scanner: ClipScanner, tmp_path: Path) -> None:
    path = tmp_path / "diary.mp4"
    path.write_text("dear diary" * 100)
    sentences = [scanner.show(str(path), visitor)["clip"]["error"] for visitor in (ADA, LI)]
    assert "text" in sentences[0]
    assert sentences[1].isascii() is False
    assert sentences[0] != sentences[1]


def test_limits_hold_for_the_facts_too(pipeline: LipSyncPipeline, face_clip: Path) -> None:
    scanner = ClipScanner(lambda: pipeline, Limits(max_seconds=0.5))
    assert "limit" in scanner.show(str(face_clip), ADA)["clip"]["error"]


def test_emptied_field_empties_the_panel(scanner: ClipScanner, face_clip: Path) -> None:
    scanner.show(str(face_clip), ADA)
    assert scanner.show(None, ADA)["clip"] == {"id": ""}
    assert list(scanner.scan(None, ADA)) == []
    assert list(scanner.scan(str(face_clip), ADA)) == []


class Watched:
    """A pipeline whose scans are counted when they have been closed."""

    def __init__(self, pipeline: LipSyncPipeline) -> None:
        self._pipeline = pipeline
        self.closed = 0

    def scan(self, video: Path) -> Generator[Scan, None, None]:
        try:
            yield from self._pipeline.scan(video)
        finally:
            self.closed += 1


@pytest.mark.parametrize(
    "go_on",
    [
        lambda scanner: scanner.show(str(example_photo()), ADA),
        lambda scanner: scanner.show(None, ADA),
        lambda scanner: scanner.leave(ADA),
    ],
    ids=["another clip", "no clip", "left"],
)
def test_scan_of_a_clip_nobody_looks_at_ends(
    pipeline: LipSyncPipeline, face_clip: Path, go_on: Callable[[ClipScanner], Any]
) -> None:
    watched = Watched(pipeline)
    scanner = ClipScanner(lambda: watched)
    scanner.show(str(face_clip), ADA)
    scanner.show(str(face_clip), LI)
    adas, lis = scanner.scan(str(face_clip), ADA), scanner.scan(str(face_clip), LI)
    next(adas)
    next(lis)
    go_on(scanner)
    assert list(adas) == []
    assert watched.closed == 1
    assert list(lis)[-1]["scan"]["share"] == 1.0


def test_forged_sessions_are_forgotten(
    pipeline: LipSyncPipeline, face_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipsync.ui.clip_panel._MOST_SESSIONS", 1)
    scanner = ClipScanner(lambda: pipeline)
    scanner.show(str(face_clip), ADA)
    scanner.show(str(face_clip), LI)
    assert list(scanner.scan(str(face_clip), ADA)) == []
    assert next(scanner.scan(str(face_clip), LI))["scan"] is not None


def test_selection_comes_back_as_it_was_written() -> None:
    for selection in (Selection(), Selection(1.5, 2.5, (10.0, 20.5, 1.75), 2.0)):
        value = json.loads(json.dumps(write_selection(selection, "/uploads/a.mp4")))
        assert read_selection(value) == selection
        assert read_selection(value, "/uploads/a.mp4") == selection
        assert read_selection(value, "/uploads/b.mp4") == Selection()
        assert "/uploads" not in json.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        [],
        7,
        {"start": "1", "end": [2], "face": "abc", "playhead": None},
        {"start": -1, "end": math.nan, "face": [1, 2], "playhead": math.inf},
        {"start": True, "end": False, "face": [True, 1, 1], "playhead": True},
        {"start": 10**400, "end": -(10**400), "face": [10**400, 0, 0], "playhead": 10**400},
        {"start": 5, "end": 5, "face": [1, 1, -1], "playhead": -3},
        {"start": 5, "end": 4, "face": [math.nan, 1, 1]},
        {"end": 0, "face": {"0": 1, "1": 2, "2": 3}},
    ],
)
def test_forged_selection_counts_as_none(value: Any) -> None:
    assert read_selection(value) == Selection()
