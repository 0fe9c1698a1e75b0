"""Events to updates: what runs, what is shown, what stays behind."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lipsync.engines import ENGINES
from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.types import EngineSpec, Progress, Request, Result, Size
from lipsync.ui.handlers import OUR_FAULT, Studio, slider_updates
from lipsync.ui.jobs import Jobs

FIELDS = ("status", "video", "score", "download", "generate", "cancel")
VISITOR = gr.Request(session_hash="ada")


class Stepper:
    """An engine, as far as the screen looks at one, whose painting takes steps."""

    spec = EngineSpec("stepper", "The stepping engine", "Apache-2.0", "none", None, 16)

    @dataclass(frozen=True)
    class Settings:
        steps: int = field(default=20, metadata={"low": 1, "high": 50})


class Copier:
    """A pipeline that hands the clip back as the result, ten steps later."""

    def __init__(self, error: Exception | None = None) -> None:
        self.requests: list[Request] = []
        self.closed = threading.Event()
        self._error = error

    def sync(self, request: Request) -> Generator[Progress, None, None]:
        self.requests.append(request)
        try:
            for done in range(10):
                yield Progress("faces", done, 10)
            if self._error is not None:
                raise self._error
            request.output.write_bytes(request.video.read_bytes())
            size, rate = Size(2, 2), Fraction(25)
            result = Result(request.output, 1, rate, size, 0.04, None, "no mouth", (), {"faces": 1})
            yield Progress("done", 1, 1, result=result)
        finally:
            self.closed.set()


@pytest.fixture(autouse=True)
def _with_stepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "stepper", "test_ui_handlers:Stepper")


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    clip, voice = tmp_path / "-rf; $(x).mp4", tmp_path / "../evil voice.wav"
    clip.write_bytes(b"film")
    voice.write_bytes(b"sound")
    return {"clip": str(clip), "voice": str(voice)}


def make_studio(pipeline: Copier, root: Path) -> Studio:
    presets = [
        Preset("draft", "Draft", "Fast.", "draft", {"amplitude": 0.75}),
        Preset("stepper", "Stepper", "Slow.", "stepper", {"steps": 30}, fit="hold"),
    ]
    return Studio(lambda: pipeline, {preset.name: preset for preset in presets}, Jobs(root))


def generate(studio: Studio, uploads: dict[str, Any], **changes: Any) -> Iterator[dict[str, Any]]:
    inputs = {
        **{"preset": "draft", "steps": 20, "guidance": 1.5, "seed": 0, "fit": "bounce"},
        **uploads,
        **changes,
    }
    for updates in studio.generate(**inputs, request=VISITOR):
        yield dict(zip(FIELDS, updates, strict=True))


def test_job_runs_on_names_of_ours_and_leaves_only_its_result(
    tmp_path: Path, uploads: dict[str, str]
) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    *running, last = generate(studio, uploads, fit="loop", seed=7)
    asked = pipeline.requests[0]
    assert (asked.video.name, asked.audio.name, asked.output.name) == (
        "clip.mp4",
        "voice.wav",
        "result.mp4",
    )
    assert (asked.engine, dict(asked.settings), asked.fit, asked.seed) == (
        "draft",
        {"amplitude": 0.75},
        "loop",
        7,
    )
    assert "Looking for the face" in running[0]["status"]["value"]
    assert running[0]["cancel"]["interactive"] is True
    final = Path(last["download"]["value"])
    assert final.name == "rf-x-synced.mp4"
    assert final.read_bytes() == b"film"
    assert "<video src=" in last["video"]["value"]
    assert "Sync not measured" in last["score"]["value"]
    assert last["generate"]["interactive"] is True
    assert list((tmp_path / "jobs").iterdir()) == []


def test_sliders_reach_only_an_engine_that_has_them(
    tmp_path: Path, uploads: dict[str, str]
) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    list(generate(studio, uploads, preset="stepper", steps=12))
    assert dict(pipeline.requests[0].settings) == {"steps": 12}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"clip": None}, "choose a clip or a photo"),
        ({"voice": None}, "choose a voice"),
        ({"seed": None}, "whole number"),
        ({"seed": -1}, "whole number"),
        ({"seed": float("nan")}, "whole number"),
        ({"seed": float("inf")}, "whole number"),
        ({"preset": "none"}, "no preset called 'none'"),
        ({"clip": "/nowhere/clip.mp4"}, "upload it once more"),
    ],
)
def test_wrong_input_is_one_sentence(
    tmp_path: Path, uploads: dict[str, str], changes: dict[str, Any], sentence: str
) -> None:
    pipeline = Copier()
    steps = generate(make_studio(pipeline, tmp_path / "jobs"), uploads, **changes)
    shown = next(steps)
    assert sentence in unescape(shown["status"]["value"])
    assert 'role="alert"' in shown["status"]["value"]
    assert shown["generate"]["interactive"] is True
    with pytest.raises(gr.Error, match=sentence):
        next(steps)
    assert pipeline.requests == []


def test_error_of_the_pipeline_is_shown_word_for_word(
    tmp_path: Path, uploads: dict[str, str]
) -> None:
    studio = make_studio(Copier(InputError("No face; use another clip.")), tmp_path / "jobs")
    steps = generate(studio, uploads)
    shown = [next(steps), next(steps)]
    assert "No face; use another clip." in shown[-1]["status"]["value"]
    with pytest.raises(gr.Error):
        next(steps)
    assert list((tmp_path / "jobs").iterdir()) == []


def test_bug_is_logged_and_called_ours(
    tmp_path: Path, uploads: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    studio = make_studio(Copier(KeyError("secret detail")), tmp_path / "jobs")
    steps = generate(studio, uploads)
    shown = [next(steps), next(steps)]
    assert OUR_FAULT in shown[-1]["status"]["value"]
    assert "secret detail" not in shown[-1]["status"]["value"]
    assert "KeyError" in caplog.text
    with pytest.raises(gr.Error, match="bug of ours"):
        next(steps)


def test_cancel_stops_the_pipeline_and_keeps_nothing(
    tmp_path: Path, uploads: dict[str, str]
) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    studio.announce(VISITOR)
    steps = generate(studio, uploads)
    next(steps)
    studio.cancel(VISITOR)
    assert "Cancelled" in [shown["status"]["value"] for shown in steps][-1]
    assert pipeline.closed.is_set()
    assert list((tmp_path / "jobs").iterdir()) == []
    assert not (tmp_path / "served").exists()


def test_job_cancelled_while_waiting_never_starts(tmp_path: Path, uploads: dict[str, str]) -> None:
    pipeline = Copier()
    studio = make_studio(pipeline, tmp_path / "jobs")
    job = studio._jobs.announce("ada")
    job.cancel()
    assert "Cancelled" in [shown["status"]["value"] for shown in generate(studio, uploads)][-1]
    assert pipeline.requests == []


def test_client_that_leaves_closes_the_pipeline(tmp_path: Path, uploads: dict[str, str]) -> None:
    pipeline = Copier()
    steps = make_studio(pipeline, tmp_path / "jobs").generate(
        uploads["clip"], uploads["voice"], "draft", 1, 1, 0, "bounce", VISITOR
    )
    next(steps)
    steps.close()
    assert pipeline.closed.is_set()
    assert list((tmp_path / "jobs").iterdir()) == []


def test_pipeline_is_made_once(tmp_path: Path, uploads: dict[str, str]) -> None:
    made: list[Copier] = []

    def make() -> Copier:
        made.append(Copier())
        return made[-1]

    preset = Preset("draft", "Draft", "Fast.", "draft")
    studio = Studio(make, {"draft": preset}, Jobs(tmp_path / "jobs"))
    assert made == []
    for _ in range(2):
        list(generate(studio, uploads))
    assert len(made) == 1


def test_unused_sliders_are_grey_and_say_why(tmp_path: Path) -> None:
    grey = slider_updates(Preset("draft", "Draft", "Fast.", "draft"))
    assert grey["steps"]["interactive"] is False
    assert "steps are not used" in grey["steps"]["info"]
    assert "guidance is not used" in grey["guidance"]["info"]
    studio = make_studio(Copier(), tmp_path)
    sentence, steps, guidance, fit = studio.choose_preset("stepper")
    assert "Slow." in sentence
    assert steps["interactive"] is True
    assert steps["value"] == 30
    assert "not used" not in steps["info"]
    assert guidance["interactive"] is False
    assert fit["value"] == "hold"
