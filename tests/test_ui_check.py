"""Checking clips with the real judge: what is told, what runs on, what stays behind."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from conftest import Ffmpeg

from lipsync.example import example_photo
from lipsync.pipeline import LipSyncPipeline
from lipsync.types import Request
from lipsync.ui.check import MAX_CLIPS, Checker, CheckUpdates
from lipsync.ui.check_table import Row
from lipsync.ui.jobs import Jobs

FIELDS = [field.name for field in fields(CheckUpdates)]
GUEST = gr.Request(session_hash="ada", headers={"accept-language": "en"})


@pytest.fixture(scope="module")
def clips(
    tmp_path_factory: pytest.TempPathFactory,
    pipeline: LipSyncPipeline,
    short_voice: Path,
    face_clip: Path,
    ffmpeg: Ffmpeg,
) -> dict[str, str]:
    """A talking face, a broken file, a silent face and a clip without any face."""
    folder = tmp_path_factory.mktemp("clips")
    good = folder / "=good, 好的.mp4"
    for _ in pipeline.sync(Request(example_photo(), short_voice, good, score=False)):
        pass
    broken = folder / "broken <b>.mp4"
    broken.write_bytes(good.read_bytes()[:2000])
    silence = ("-f", "lavfi", "-i", "anullsrc=r=24000", "-shortest")
    copied = ("-map", "0:v", "-map", "1:a", "-c:v", "copy")
    silent = ffmpeg("-i", face_clip, *silence, *copied, folder / "silent.mp4")
    bars = ("-f", "lavfi", "-i", "testsrc=s=160x120:r=25", "-i", short_voice)
    faceless = ffmpeg(*bars, "-t", 1, folder / "faceless.mp4")
    named = {"good": good, "broken": broken, "silent": silent, "faceless": faceless}
    return {name: str(path) for name, path in named.items()}


@pytest.fixture
def checker(tmp_path: Path, pipeline: LipSyncPipeline) -> Checker:
    return Checker(lambda: pipeline, Jobs(tmp_path / "jobs"))


def run(checker: Checker, uploads: list[str], request: gr.Request = GUEST) -> list[dict[str, Any]]:
    checker.announce(uploads, request)
    return [read(updates) for updates in checker.check(uploads, request)]


def cancel(checker: Checker, rows: list[Row]) -> list[Any]:
    """Press Cancel."""
    checker.stop(GUEST)
    return checker.tell_stopped(rows, GUEST)


def read(updates: list[Any]) -> dict[str, Any]:
    return dict(zip(FIELDS, updates, strict=True))


def rows_of(steps: list[dict[str, Any]]) -> list[Row]:
    rows: list[Row] = [step["rows"] for step in steps if isinstance(step["rows"], list)][-1]
    return rows


def test_every_clip_gets_its_score_or_its_sentence(
    tmp_path: Path, checker: Checker, clips: dict[str, str]
) -> None:
    order = ["broken", "good", "faceless", "silent"]
    steps = run(checker, [clips[name] for name in order])
    rows = dict(zip(order, rows_of(steps), strict=True))
    assert rows["good"].score is not None
    assert 0 <= rows["good"].score.confidence <= 1
    assert rows["good"].thumbnail.startswith("data:image/jpeg")
    reasons = {name: rows[name].reason or "" for name in order if name != "good"}
    # the visitor's own name of the file, not the one it has in the job's folder
    assert reasons["broken"].startswith("broken <b>.mp4 ")
    assert "silent" in reasons["silent"]
    assert "face" in reasons["faceless"]
    assert rows["broken"].clip is None
    assert "4 clips checked" in steps[-1]["status"]["value"]
    assert steps[-1]["check"]["interactive"] is True
    assert steps[-1]["cancel"]["interactive"] is False
    assert steps[-1]["table"]["csv"].count("\n") == 5
    assert "'=good" in steps[-1]["table"]["csv"]
    assert list((tmp_path / "jobs").iterdir()) == []


def test_rows_fill_one_after_the_other_and_the_status_says_which(
    checker: Checker, clips: dict[str, str]
) -> None:
    steps = run(checker, [clips["good"], clips["faceless"]])
    tables = [step["table"]["rows"] for step in steps if "rows" in step["table"]]
    states = [[row["state"] for row in rows] for rows in tables]
    assert states[0] == ["waiting", "waiting"]
    assert ["scored", "waiting"] in states
    assert states[-1] == ["scored", "failed"]
    said = " ".join(step["status"].get("value", "") for step in steps)
    assert "Clip 1 of 2: =good, 好的.mp4" in said
    assert "Clip 2 of 2: faceless.mp4" in said


def test_visitors_language_is_spoken(checker: Checker, clips: dict[str, str]) -> None:
    guest = gr.Request(session_hash="li", headers={"accept-language": "zh-CN"})
    steps = run(checker, [clips["faceless"]], guest)
    assert "脸" in (rows_of(steps)[0].reason or "")
    assert "已检查一段视频" in steps[-1]["status"]["value"]


def test_hostile_names_are_escaped(checker: Checker, tmp_path: Path, face_clip: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.mp4"
    hostile.write_bytes(face_clip.read_bytes())
    steps = run(checker, [str(hostile)])
    assert all("<img" not in step["status"].get("value", "") for step in steps)
    _, heading, _, card, _ = checker.open_row(0, rows_of(steps), GUEST)
    assert "<img" not in heading["value"] + card["value"]
    assert "&lt;img" in heading["value"]


def test_cancelling_keeps_what_is_finished(
    tmp_path: Path, checker: Checker, clips: dict[str, str]
) -> None:
    uploads = [clips["faceless"], clips["good"], clips["silent"]]
    checker.announce(uploads, GUEST)
    steps = checker.check(uploads, GUEST)
    rows: list[Row] = []
    for step in map(read, steps):
        rows = step["rows"] if isinstance(step["rows"], list) else rows
        if rows and rows[0].is_done:
            break
    ended = read(cancel(checker, rows))
    assert list(steps) == []
    assert "1 of 3" in ended["status"]["value"]
    assert [row.name for row in ended["rows"]] == ["faceless.mp4"]
    assert ended["table"]["csv"].count("\n") == 2
    assert list((tmp_path / "jobs").iterdir()) == []


def test_cancelled_while_waiting_does_nothing(checker: Checker, clips: dict[str, str]) -> None:
    checker.announce([clips["good"]], GUEST)
    waiting = checker._jobs.claim("check ada")
    waiting.is_claimed = False
    ended = read(cancel(checker, []))
    assert waiting.is_cancelled
    assert "Cancelled" in ended["status"]["value"]
    assert ended["table"]["csv"] == ""


def test_leaving_stops_the_check_but_no_sync_job(
    tmp_path: Path, pipeline: LipSyncPipeline, clips: dict[str, str]
) -> None:
    jobs = Jobs(tmp_path / "jobs")
    checker = Checker(lambda: pipeline, jobs)
    sync = jobs.announce("ada")
    checker.announce([clips["good"]], GUEST)
    steps = checker.check([clips["good"]], GUEST)
    next(steps)
    checker.stop(GUEST)
    assert list(steps) == []
    assert not sync.is_cancelled


@pytest.mark.parametrize(("count", "said"), [(0, "choose one or more"), (MAX_CLIPS + 1, "100")])
def test_none_or_too_many_is_refused_before_the_queue(
    tmp_path: Path, checker: Checker, count: int, said: str
) -> None:
    uploads = ["/nowhere/a.mp4"] * count
    assert said in checker.explain(uploads, GUEST)["value"]
    with pytest.raises(gr.Error):
        checker.announce(uploads, GUEST)
    # a client that announces other clips than it brings is told the same
    checker.announce(["/nowhere/a.mp4"], GUEST)
    (only,) = [read(updates) for updates in checker.check(uploads, GUEST)]
    assert said in only["status"]["value"]


def test_clip_that_has_gone_is_told(checker: Checker, tmp_path: Path) -> None:
    steps = run(checker, [str(tmp_path / "gone.mp4")])
    assert rows_of(steps)[0].reason


def test_opened_row_plays_and_shows_its_score(checker: Checker, clips: dict[str, str]) -> None:
    rows = rows_of(run(checker, [clips["good"], clips["broken"]]))
    column, heading, player, card, repair = checker.open_row(0, rows, GUEST)
    assert column["visible"] is True
    assert "=good, 好的.mp4" in heading["value"]
    assert player["visible"] is True
    assert player["value"]["before"] is None
    assert player["value"]["after"]["frames"] == rows[0].clip.num_frames  # type: ignore[union-attr]
    assert card["value"]
    assert repair["visible"] is False
    _, _, player, card, _ = checker.open_row(1, rows, GUEST)
    assert player["visible"] is False
    assert 'role="alert"' in card["value"]


@pytest.mark.parametrize("forged", [None, True, -1, 1, 2, 0.0, "0", [0], {"id": 0}, 10**30])
def test_forged_row_opens_nothing(checker: Checker, forged: Any) -> None:
    rows = [Row(Path("a.mp4"), reason="broken"), Row(Path("waiting.mp4"))]
    assert checker.open_row(forged, rows, GUEST) == [gr.skip()] * 5
