"""Events to updates: what runs, what is shown, what stays behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from copying_pipeline import SCORE, Copier

from lipsync.avatar.store import AvatarStore
from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.example import example_voice
from lipsync.media.probe import Limits
from lipsync.presets import PRESETS_FOLDER, load_presets
from lipsync.ui.avatars_shelf import Shelf
from lipsync.ui.choices import Choices, Selection
from lipsync.ui.clip_panel import write_selection
from lipsync.ui.handlers import Studio
from lipsync.ui.history import History
from lipsync.ui.jobs import Jobs
from lipsync.ui.stage import Stage
from lipsync.ui.updates import JobUpdates
from lipsync.ui.visitors import new_visitor
from lipsync.ui.words import words_in
from lipsync.weights import ModelStore

FIELDS = tuple(JobUpdates.__dataclass_fields__)
UNCHANGED = dict.fromkeys(FIELDS, gr.skip())  # of no update at all Gradio empties components
PAGE = gr.Request(session_hash="ada", headers={"accept-language": "en"})
VISITOR = new_visitor()
PRESETS = {preset.name: preset for preset in load_presets([PRESETS_FOLDER], make_settings)[0]}
DRAFT = Choices("draft")


@pytest.fixture(autouse=True)
def _served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))


@pytest.fixture
def uploads(tmp_path: Path, face_clip: Path, short_voice: Path) -> tuple[str, str]:
    clip, voice = tmp_path / "-rf; $(x).mp4", tmp_path / "evil voice.wav"
    clip.write_bytes(face_clip.read_bytes())
    voice.write_bytes(short_voice.read_bytes())
    return str(clip), str(voice)


def make_studio(pipeline: Copier, root: Path, shelf: Shelf | None = None) -> Studio:
    stage, shelf = Stage(PRESETS, History(), ModelStore()), shelf or Shelf()
    return Studio(lambda: pipeline, PRESETS, Jobs(root), stage, gr.Blocks(), Limits(), shelf)


def order(
    uploads: tuple[str | None, str | None],
    choices: Choices = DRAFT,
    selection: Selection | None = None,
) -> tuple[Any, ...]:
    clip, voice = uploads
    panel = write_selection(selection, clip) if selection and clip else None
    return (clip, voice, VISITOR, panel, *asdict(choices).values())


def run(studio: Studio, *values: Any, page: gr.Request = PAGE) -> Iterator[dict[str, Any]]:
    """Press Generate."""
    studio.announce(page, *values)
    return named(studio.generate(page, *values))


def cancel(studio: Studio) -> list[Any]:
    """Press Cancel."""
    return studio.tell_stopped(PAGE, studio.stop(PAGE))


def named(updates: Iterator[list[Any]]) -> Iterator[dict[str, Any]]:
    for update in updates:
        yield dict(zip(FIELDS, update, strict=True))


def test_job_runs_on_names_of_ours_and_leaves_only_its_history(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    choices = replace(DRAFT, fit="loop", seed=7, mark=True)
    shown = list(run(studio, *order(uploads, choices, Selection(0.2, 0.8))))
    (asked,) = pipeline.requests
    names = (asked.video.name, asked.audio.name, asked.output.name)
    assert names == ("clip.mp4", "voice.wav", "result.mp4")
    assert (asked.fit, asked.seed, asked.mark, asked.start, asked.end) == (
        "loop",
        7,
        True,
        0.2,
        0.8,
    )
    assert "Looking for the face" in shown[0]["status"]["value"]
    assert shown[0]["cancel"]["interactive"] is True
    (entry,) = History().entries(VISITOR)
    assert entry.result.name == "rf-x-synced.mp4"
    assert entry.choices == choices
    assert list((tmp_path / "jobs").iterdir()) == []


def test_faces_are_known_from_avatars_of_the_visitor_only(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    for shelf, home in (
        (Shelf(), Shelf().home_of(VISITOR)),
        (Shelf(AvatarStore(tmp_path)), None),  # the pipeline knows those of one's own machine
    ):
        pipeline = Copier()
        for _ in run(make_studio(pipeline, tmp_path / "jobs", shelf), *order(uploads)):
            pass
        assert [asked.home for asked in (*pipeline.requests, *pipeline.expected)] == [home, home]
    assert Shelf().home_of(VISITOR) != Shelf().home_of(new_visitor())


def test_result_is_shown_first_and_its_comparison_follows(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    studio = make_studio(Copier(baseline=replace(SCORE, confidence=0.71)), tmp_path / "jobs")
    shown = list(run(studio, *order(uploads)))
    (place,) = [i for i, update in enumerate(shown) if update["shown"] != gr.skip()]
    result, after = shown[place], shown[place + 1 :]
    assert result["player"]["value"]["before"] is None
    assert "0.83" in result["score"]["value"]
    assert result["generate"]["interactive"] is True
    assert Path(result["download"]["value"]).is_file()
    assert "no face was found" in result["facts"]["value"]
    player = [update["player"]["value"] for update in after if update["player"] != gr.skip()]
    assert player[-1]["before"]["frames"] == player[-1]["after"]["frames"] == 25
    assert "0.71" in [u["score"]["value"] for u in after if u["score"] != gr.skip()][-1]
    assert after[-1]["make_both"]["visible"] is True
    record = json.loads(Path(result["record"]["value"]).read_text())
    assert record["settings"]["preset"] == "draft"


def test_source_without_speech_has_no_baseline_and_no_trouble(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    studio = make_studio(Copier(), tmp_path / "jobs")
    shown = list(run(studio, *order(uploads)))
    assert not any('role="alert"' in str(update["extras"]) for update in shown)
    assert History().entries(VISITOR)[0].read_record()["baseline"] is None


def test_source_is_judged_no_longer_than_the_result_shows_it(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    list(run(studio, *order(uploads, selection=Selection(0.2, 0.8))))
    list(run(studio, *order(uploads)))
    # the made result lasts a second, as the whole clip does
    assert pipeline.judged == [(0.2, 0.8), (None, pytest.approx(1.0))]


def test_preview_is_three_seconds_from_the_playhead(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    wish = order((uploads[0], str(example_voice())), selection=Selection(start=0.2, playhead=0.7))
    studio.announce_preview(PAGE, *wish)
    shown = list(named(studio.preview(PAGE, *wish)))
    assert pipeline.requests[0].part == (pytest.approx(0.5), 3.0)
    (told,) = [u["score"]["value"] for u in shown if u["score"] != gr.skip()]
    assert "This is a preview" in told
    assert "not measured" not in told


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"clip": None}, "choose a clip or a photo"),
        ({"voice": None}, "choose a voice"),
        ({"seed": None}, "whole number"),
        ({"seed": -1}, "whole number"),
        ({"seed": float("nan")}, "whole number"),
        ({"preset": "none"}, "no preset called 'none'"),
        ({"clip": "/nowhere/clip.mp4"}, "upload it once more"),
    ],
)
def test_wrong_input_is_one_sentence(
    tmp_path: Path, uploads: tuple[str, str], change: dict[str, Any], sentence: str
) -> None:
    pipeline = Copier()
    files = {"clip": uploads[0], "voice": uploads[1]}
    chosen = replace(DRAFT, **{k: v for k, v in change.items() if k not in files})
    files |= {k: v for k, v in change.items() if k in files}
    studio = make_studio(pipeline, tmp_path / "jobs")
    (shown,) = run(studio, *order((files["clip"], files["voice"]), chosen))
    assert sentence in unescape(shown["status"]["value"])
    assert 'role="alert"' in shown["status"]["value"]
    assert shown["generate"]["interactive"] is True
    assert pipeline.requests == []


def test_a_wrong_file_is_told_by_the_name_its_owner_knows(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    text, silent = tmp_path / "holiday.mp4", tmp_path / "my words.wav"
    text.write_text("no film")
    silent.write_text("no sound")
    for given, name in (((str(text), uploads[1]), text), ((uploads[0], str(silent)), silent)):
        (shown,) = run(make_studio(Copier(), tmp_path / "jobs"), *order(given))
        assert name.name in shown["status"]["value"]


def test_error_of_the_pipeline_is_shown_word_for_word(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    studio = make_studio(Copier(InputError("No face; use another clip.")), tmp_path / "jobs")
    shown = list(run(studio, *order(uploads)))
    assert "No face; use another clip." in shown[-1]["status"]["value"]
    assert list((tmp_path / "jobs").iterdir()) == []


def test_bug_is_logged_and_called_ours(
    tmp_path: Path, uploads: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    studio = make_studio(Copier(KeyError("secret detail")), tmp_path / "jobs")
    shown = list(run(studio, *order(uploads)))
    assert words_in("en")("run.our-fault") in shown[-1]["status"]["value"]
    assert "secret detail" not in shown[-1]["status"]["value"]
    assert "KeyError" in caplog.text


def test_cancel_stops_the_pipeline_and_keeps_nothing(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    steps = run(studio, *order(uploads))
    next(steps)
    studio.stop(PAGE)
    assert "Cancelled" in [shown["status"]["value"] for shown in steps][-1]
    assert pipeline.closed.is_set()
    assert list((tmp_path / "jobs").iterdir()) == []
    assert History().entries(VISITOR) == []


def test_cancel_during_the_extras_keeps_the_result(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    studio = make_studio(Copier(), tmp_path / "jobs")
    steps = run(studio, *order(uploads))
    while next(steps)["shown"] == gr.skip():
        pass
    (said,) = named(iter([cancel(studio)]))
    assert "The result is kept" in said["extras"]["value"]
    assert said["status"]["visible"] is False
    assert list(steps) == []
    assert History().entries(VISITOR)[0].before is None


def test_job_cancelled_while_waiting_never_starts(tmp_path: Path, uploads: tuple[str, str]) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    steps = run(studio, *order(uploads))
    (said,) = named(iter([cancel(studio)]))
    assert "Cancelled" in said["status"]["value"]
    assert list(steps) == [UNCHANGED]
    assert pipeline.requests == []


def test_double_click_starts_one_job(tmp_path: Path, uploads: tuple[str, str]) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    first, second = (run(studio, *order(uploads)) for _ in range(2))
    assert UNCHANGED not in first
    assert list(second) == [UNCHANGED]
    assert len(pipeline.requests) == 1


def test_client_that_leaves_closes_the_pipeline(tmp_path: Path, uploads: tuple[str, str]) -> None:
    pipeline = Copier()
    steps = run(make_studio(pipeline, tmp_path / "jobs"), *order(uploads))
    next(steps)
    steps.close()
    assert pipeline.closed.is_set()
    assert list((tmp_path / "jobs").iterdir()) == []


def test_waiting_job_is_expected_to_take_as_long_as_the_pipeline_says(
    tmp_path: Path, uploads: tuple[str, str]
) -> None:
    studio = make_studio(Copier(), tmp_path / "jobs")
    studio.announce(PAGE, *order(uploads))
    assert studio._jobs.seconds_left(["ada"]) == 12.0
    studio.announce_preview(PAGE, *order((uploads[0], str(example_voice()))))
    assert studio._jobs.seconds_left(["ada"]) == 3.0
    studio.announce(PAGE, *order((None, None)))
    assert studio._jobs.seconds_left(["ada"]) is None


def test_cards_tell_the_time_of_every_preset(tmp_path: Path, uploads: tuple[str, str]) -> None:
    studio = make_studio(Copier(), tmp_path / "jobs")
    times = studio.tell_times(PAGE, *order(uploads))["times"]
    assert times == dict.fromkeys(PRESETS, "about 12 s")
    assert studio.tell_times(PAGE, *order((None, None)))["times"] == {}


def test_visitor_reads_chinese(tmp_path: Path, uploads: tuple[str, str]) -> None:
    page = gr.Request(session_hash="ada", headers={"accept-language": "zh-CN,zh;q=0.9"})
    studio = make_studio(Copier(), tmp_path / "jobs")
    shown = list(run(studio, *order(uploads), page=page))
    assert "正在寻找人脸" in shown[0]["status"]["value"]
