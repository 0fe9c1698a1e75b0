"""*Fix offset*: what it makes of a finished job and of a checked clip; what it leaves behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from copying_pipeline import Copier
from history_jobs import REQUEST, RESULT, add_job

from lipsync.engines import make_settings
from lipsync.media.probe import Limits, probe_clip
from lipsync.media.sound import read_audio
from lipsync.presets import PRESETS_FOLDER, load_presets
from lipsync.record import make_record
from lipsync.types import FaceChoice, SyncScore
from lipsync.ui.avatars_shelf import Shelf
from lipsync.ui.check import Checker
from lipsync.ui.check_repair import CheckRepairs, CheckRepairUpdates
from lipsync.ui.check_table import Row
from lipsync.ui.handlers import Studio
from lipsync.ui.history import Entry, History
from lipsync.ui.jobs import Jobs
from lipsync.ui.repair import Repairs
from lipsync.ui.stage import Stage
from lipsync.ui.updates import JobUpdates
from lipsync.ui.visitors import new_visitor
from lipsync.weights import ModelStore

PAGE = gr.Request(session_hash="ada", headers={"accept-language": "en"})
CHINESE = gr.Request(session_hash="li", headers={"accept-language": "zh-CN"})
ADA, EVE = new_visitor(), new_visitor()
FOUND, _ = load_presets([PRESETS_FOLDER], make_settings)
PRESETS = {preset.name: preset for preset in FOUND}
FIELDS = tuple(JobUpdates.__dataclass_fields__)
CHECK_FIELDS = [field.name for field in fields(CheckRepairUpdates)]
OFF = SyncScore(
    "stable_syncnet", "A judge.", 0.8, 8, Fraction(25), "shifted: the sound comes 320 ms too early"
)
GOOD = replace(OFF, offset_frames=0, verdict="in sync", confidence=0.81)


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the server hands out from."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    return tmp_path / "served"


@pytest.fixture
def history(uploads: Path) -> History:
    return History()


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "jobs")


def add(history: History, folder: Path, film: Path, score: SyncScore = OFF, **asked: Any) -> Entry:
    """Put a finished job into Ada's history, with the source that plays in step."""
    record = make_record(replace(REQUEST, **asked), replace(RESULT, score=score))
    entry = add_job(history, ADA, folder / "made", film.read_bytes(), record=record)
    (folder / "before.mp4").write_bytes(film.read_bytes())
    return history.attach_before(entry, folder / "before.mp4")


def begin(
    pipeline: Copier, history: History, jobs: Jobs, entry: Entry, visitor: str = ADA
) -> Iterator[dict[str, Any]]:
    """Press *Fix offset* on the stage."""
    repairs = Repairs(lambda: pipeline, jobs, Stage(PRESETS, history, ModelStore()))
    told = dict(zip(FIELDS, repairs.announce(PAGE), strict=True))
    assert told["cancel"]["interactive"] is True
    steps = repairs.repair(PAGE, visitor, entry.id)
    return (dict(zip(FIELDS, step, strict=True)) for step in steps)


def is_left(jobs: Jobs) -> bool:
    return jobs.root.exists() and any(jobs.root.iterdir())


def silence_before(film: Path) -> float:
    """Return for how many seconds nothing is heard at first."""
    loud = np.flatnonzero(np.abs(read_audio(film, 16_000).samples) > 0.01)
    return float(loud[0]) / 16_000


def test_copy_of_a_job_is_a_new_job_without_the_offset(
    history: History, jobs: Jobs, tmp_path: Path, face_clip: Path
) -> None:
    entry, pipeline = add(history, tmp_path, face_clip), Copier(baseline=GOOD)
    *working, last = begin(pipeline, history, jobs, entry)
    bars = [re.search(r'aria-valuenow="(\d+)"', step["status"]["value"]) for step in working]
    shares = [int(bar[1]) for bar in bars if bar]
    assert len(shares) == len(working) > 1
    assert shares == sorted(shares)
    made, kept = history.entries(ADA)
    assert kept.id == entry.id
    assert last["shown"] == made.id
    assert last["status"]["visible"] is False
    assert "Offset repaired: the sound was moved by +320 ms." in last["score"]["value"]
    assert "0 ms: sound and lips come together" in last["score"]["value"]
    assert "Fix offset" not in last["score"]["value"]
    assert last["make_both"]["visible"] is True
    record = made.read_record()
    assert record["repaired_offset_frames"] == 8
    assert record["score"]["offset_frames"] == 0
    assert pipeline.asked == [("stable_syncnet", FaceChoice())]
    assert (made.clip_name, made.choices) == (entry.clip_name, entry.choices)
    assert made.before is not None
    assert made.before.samefile(entry.before or "")
    assert probe_clip(made.result).num_frames == probe_clip(face_clip).num_frames
    assert silence_before(made.result) - silence_before(face_clip) == pytest.approx(0.32, abs=0.02)
    assert not is_left(jobs)


def test_what_was_moved_twice_says_the_sum(
    history: History, jobs: Jobs, tmp_path: Path, face_clip: Path
) -> None:
    pipeline = Copier(baseline=replace(OFF, offset_frames=-2))
    list(begin(pipeline, history, jobs, add(history, tmp_path, face_clip)))
    *_, last = begin(pipeline, history, jobs, history.entries(ADA)[0])
    assert "moved by +240 ms." in last["score"]["value"]
    assert history.entries(ADA)[0].read_record()["repaired_offset_frames"] == 6


@pytest.mark.parametrize(
    ("asked", "looked_for"),
    [
        ({"face": FaceChoice(2)}, FaceChoice(2)),
        (
            {"face": FaceChoice(click=(9.0, 8.0), click_seconds=2.0), "start": 1.5},
            FaceChoice(click=(9.0, 8.0), click_seconds=0.5),
        ),
        (
            {"face": FaceChoice(click=(9.0, 8.0), click_seconds=1.0)}
            | {"start": 0.5, "end": 2.5, "fit": "stretch"},
            FaceChoice(click=(9.0, 8.0), click_seconds=0.3),
        ),
        ({"face": FaceChoice(click=(9.0, 8.0), click_seconds=99.0)}, (9.0, 8.0)),
    ],
)
def test_the_same_face_is_judged_as_before(
    history: History,
    jobs: Jobs,
    tmp_path: Path,
    face_clip: Path,
    asked: dict[str, Any],
    looked_for: Any,
) -> None:
    pipeline = Copier(baseline=GOOD)
    list(begin(pipeline, history, jobs, add(history, tmp_path, face_clip, **asked)))
    ((_, face),) = pipeline.asked
    assert face is not None
    if isinstance(looked_for, FaceChoice):
        assert face == looked_for
    else:  # later than the result: at its end
        assert (face.click, face.click_seconds) == (looked_for, RESULT.duration)


@pytest.mark.parametrize(
    ("score", "asked", "visitor", "said"),
    [
        (OFF, {}, EVE, "no longer in your history"),
        (replace(OFF, offset_frames=1), {}, ADA, "not off by more than one frame"),
        (OFF, {"part": (0.0, 3.0)}, ADA, "not off by more than one frame"),
    ],
    ids=["another visitor", "one frame is normal", "a preview"],  # not the token, which is drawn
)
def test_what_cannot_be_repaired_is_told(
    history: History,
    jobs: Jobs,
    tmp_path: Path,
    face_clip: Path,
    score: SyncScore,
    asked: dict[str, Any],
    visitor: str,
    said: str,
) -> None:
    entry = add(history, tmp_path, face_clip, score, **asked)
    (last,) = begin(Copier(baseline=GOOD), history, jobs, entry, visitor)
    assert said in last["status"]["value"]
    assert last["cancel"]["interactive"] is False
    assert last["player"] == gr.skip()  # what is on the stage stays there
    assert (len(history.entries(ADA)), history.entries(EVE)) == (1, [])
    assert not is_left(jobs)


def test_copy_that_cannot_be_judged_is_not_kept(
    history: History, jobs: Jobs, tmp_path: Path, face_clip: Path
) -> None:
    entry = add(history, tmp_path, face_clip)
    *_, last = begin(Copier(), history, jobs, entry)
    assert "The clip has no speech" in last["status"]["value"]
    assert [one.id for one in history.entries(ADA)] == [entry.id]
    assert not is_left(jobs)


def make_studio(pipeline: Copier, history: History, jobs: Jobs) -> Studio:
    stage = Stage(PRESETS, history, ModelStore())
    return Studio(lambda: pipeline, PRESETS, jobs, stage, gr.Blocks(), Limits(), Shelf())


def test_cancel_stops_a_repair_and_keeps_the_result(
    history: History, jobs: Jobs, tmp_path: Path, face_clip: Path
) -> None:
    entry, pipeline = add(history, tmp_path, face_clip), Copier(baseline=GOOD)
    studio, steps = make_studio(pipeline, history, jobs), begin(pipeline, history, jobs, entry)
    next(steps)
    stopped = studio.stop(PAGE)
    told = dict(zip(FIELDS, studio.tell_stopped(PAGE, stopped), strict=True))
    assert list(steps) == []
    assert "The result is kept" in told["extras"]["value"]
    assert told["status"]["visible"] is False
    assert told["player"] == gr.skip()
    assert pipeline.asked == []
    assert len(history.entries(ADA)) == 1
    assert not is_left(jobs)


@pytest.mark.parametrize("act", ["stop", "leave", "announce"])
def test_repair_that_waits_is_forgotten_for_what_matters_more(
    history: History, jobs: Jobs, tmp_path: Path, face_clip: Path, act: str
) -> None:
    entry, pipeline = add(history, tmp_path, face_clip), Copier(baseline=GOOD)
    steps = begin(pipeline, history, jobs, entry)
    values = [None, None, ADA, None, "draft", 20, 1.5, 7, "", "hold", 1.0, False]
    getattr(make_studio(pipeline, history, jobs), act)(PAGE, *(values if act == "announce" else []))
    assert list(steps) == [dict.fromkeys(FIELDS, gr.skip())]  # with none, Gradio empties components
    assert pipeline.asked == []
    assert jobs.has_any("ada") == (act == "announce")


@pytest.fixture
def row(tmp_path: Path, uploads: Path, face_clip: Path) -> Row:
    upload = uploads / "abc" / "=my <b>clip.mp4"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(face_clip.read_bytes())
    return Row(upload, probe_clip(upload), "data:,picture", score=replace(OFF, offset_frames=-4))


def press(
    pipeline: Copier, jobs: Jobs, row: Row, others: list[Row], page: gr.Request = PAGE
) -> Iterator[dict[str, Any]]:
    """Press *Fix offset* on the card of an opened row; `others` came into the table meanwhile."""
    repairs = CheckRepairs(lambda: pipeline, jobs)
    chosen, status, stop = repairs.announce(0, [row], page)
    assert chosen == row
    assert status["visible"] is stop["visible"] is True
    steps = repairs.repair(chosen, [row, *others], page)
    return (dict(zip(CHECK_FIELDS, step, strict=True)) for step in steps)


def test_copy_of_a_checked_clip_is_one_more_row(
    row: Row, jobs: Jobs, uploads: Path, face_clip: Path
) -> None:
    pipeline, failed = Copier(baseline=GOOD), Row(Path("broken.mp4"), reason="It is broken.")
    *working, last = press(pipeline, jobs, row, [failed])
    assert all("=my &lt;b&gt;clip.mp4" in step["repair"]["value"] for step in working)
    *before, made = last["rows"]
    assert before == [row, failed]
    assert made.name == "=my <b>clip-repaired.mp4"
    assert (made.score, made.thumbnail, made.repaired_ms) == (GOOD, row.thumbnail, -160)
    assert made.upload.is_relative_to(uploads)
    assert silence_before(made.upload) == pytest.approx(silence_before(face_clip), abs=0.02)
    assert pipeline.asked == [("stable_syncnet", None)]
    assert last["table"]["value"] == 2
    assert last["table"]["rows"][2]["note"].startswith("Offset repaired: the sound was moved by −1")
    assert len(last["table"]["thumbnails"]) == 3
    assert "clip-repaired.mp4" in last["table"]["csv"]
    assert "=my &lt;b&gt;clip-repaired.mp4" in last["heading"]["value"]
    assert 'download="=my &lt;b&gt;clip-repaired.mp4"' in last["card"]["value"]
    assert "<b>" not in last["card"]["value"]
    assert last["repair"]["visible"] is last["stop_repair"]["visible"] is False
    assert not is_left(jobs)


def test_failed_repair_tells_the_visitors_own_name(
    row: Row, jobs: Jobs, uploads: Path, face_clip: Path
) -> None:
    upload = row.upload.with_name("mute.mp4")
    upload.write_bytes(face_clip.read_bytes()[:2000])
    there = sorted(uploads.rglob("*"))
    *_, last = press(Copier(baseline=GOOD), jobs, replace(row, upload=upload), [])
    assert "mute.mp4" in last["repair"]["value"]
    assert 'role="alert"' in last["repair"]["value"]
    assert last["rows"] == gr.skip()
    assert sorted(uploads.rglob("*")) == there
    assert not is_left(jobs)


def test_stopped_repair_of_a_clip_leaves_nothing(row: Row, jobs: Jobs, uploads: Path) -> None:
    there = sorted(uploads.rglob("*"))
    steps = press(Copier(baseline=GOOD), jobs, row, [])
    next(steps)
    repairs = CheckRepairs(Copier, jobs)
    repairs.stop(PAGE)
    assert list(steps) == []
    status, stop = repairs.tell_stopped(PAGE)
    assert "Nothing was kept" in status["value"]
    assert stop["visible"] is False
    assert sorted(uploads.rglob("*")) == there
    assert not is_left(jobs)


def test_new_check_takes_the_place_of_a_repair(row: Row, jobs: Jobs) -> None:
    steps = press(Copier(baseline=GOOD), jobs, row, [])
    Checker(Copier, jobs).announce([str(row.upload)], PAGE)
    assert list(steps) == [dict.fromkeys(CHECK_FIELDS, gr.skip())]


def test_progress_is_told_in_chinese(row: Row, jobs: Jobs) -> None:
    first, *_, last = press(Copier(baseline=GOOD), jobs, row, [], CHINESE)
    assert "正在移动声音" in first["repair"]["value"]
    assert "声音移动了 −160 ms" in last["card"]["value"]


@pytest.mark.parametrize("forged", [None, True, -1, 1, 3, 0.0, "0", [0], {"id": 0}])
def test_forged_or_sound_row_is_not_repaired(row: Row, jobs: Jobs, forged: Any) -> None:
    rows = [row, replace(row, score=replace(OFF, offset_frames=1)), Row(Path("waiting.mp4"))]
    with pytest.raises(gr.Error):
        CheckRepairs(Copier, jobs).announce(forged, rows, PAGE)
    assert not jobs.has_any("repair check ada")
