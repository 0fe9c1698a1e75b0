"""The time on a preset's card: whose work it is, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lipsync.engines import ENGINES
from lipsync.example import example_voice
from lipsync.pipeline import LipSyncPipeline
from lipsync.presets import Preset
from lipsync.types import EngineSpec, Request
from lipsync.ui.choices import Choices, Selection, defaults_for
from lipsync.ui.expected import expected_seconds, expected_times, say_roughly
from lipsync.ui.words import words_in

FILES = (Path("clip.mp4"), Path("voice.wav"))


class Stepper:
    """An engine, as far as times look at one, whose painting takes steps."""

    spec = EngineSpec("stepper", "The stepping engine", "Apache-2.0", "none", 16)

    @dataclass(frozen=True)
    class Settings:
        steps: int = field(default=20, metadata={"low": 1, "high": 50})


class Clock:
    """Expects one second for every step and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def expect(self, request: Request) -> float:
        self.asked.append(request)
        return float(request.settings.get("steps", 4))


PRESETS = {
    "draft": Preset("draft", "Draft", "Fast.", "draft"),
    "calm": Preset("calm", "Calm", "Fast.", "draft", {"amplitude": 0.5}),
    "fine": Preset("fine", "Fine", "Slow.", "stepper", {"steps": 30}),
    "finest": Preset("finest", "Finest", "Slow.", "stepper", {"steps": 50}),
}


@pytest.fixture(autouse=True)
def _with_stepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "stepper", "test_ui_expected:Stepper")


def ask(clock: Clock | LipSyncPipeline, **changes: Any) -> Mapping[str, str]:
    given: dict[str, Any] = {
        **{"clip": FILES[0], "voice": FILES[1], "choices": Choices("draft", steps=3)},
        **{"selection": Selection(), "words": words_in("en"), "presets": PRESETS},
        **changes,
    }
    return expected_times(pipeline=clock, **given)


def test_every_card_tells_its_own_time_and_the_same_work_is_asked_once() -> None:
    clock = Clock()
    times = ask(clock, selection=Selection(start=1.0))
    assert times == {
        "draft": "about 4 s",
        "calm": "about 4 s",
        "fine": "about 30 s",
        "finest": "about 50 s",
    }
    assert [request.engine for request in clock.asked] == ["draft", "stepper", "stepper"]
    assert {request.start for request in clock.asked} == {1.0}


def test_visitors_language_is_spoken() -> None:
    assert ask(Clock(), words=words_in("zh-CN"))["fine"] == "约 30 秒"


def test_avatars_are_looked_for_where_the_visitor_has_them() -> None:
    clock = Clock()
    ask(clock, home=Path("home"))
    assert {asked.home for asked in clock.asked} == {Path("home")}


def test_a_preview_is_asked_for_as_one(face_clip: Path) -> None:
    clock = Clock()
    draft = {"draft": PRESETS["draft"]}
    given = (clock, draft, face_clip, example_voice(), Choices("draft"), Selection(playhead=0.5))
    assert expected_seconds(*given, preview=True) == 4.0
    assert expected_seconds(*given) == 4.0
    assert [request.part for request in clock.asked] == [(0.5, 3.0), None]


@pytest.mark.parametrize(
    "changes",
    [
        {"clip": None},
        {"voice": None},
        {"choices": Choices("draft", seed=-1)},
        {"choices": Choices("forged")},
    ],
)
def test_nothing_is_expected_of_what_cannot_run(changes: dict[str, Any]) -> None:
    assert ask(Clock(), **changes) == {}


def test_real_pipeline_tells_a_time_before_any_job(face_clip: Path, short_voice: Path) -> None:
    preset = PRESETS["draft"]
    times = ask(
        LipSyncPipeline(),
        clip=face_clip,
        voice=short_voice,
        presets={"draft": preset},
        choices=defaults_for(preset),
    )
    assert times["draft"].startswith("about ")
    missing = ask(LipSyncPipeline(), presets={"draft": preset}, choices=defaults_for(preset))
    assert missing == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (14.4, "14 s"),
        (33.0, "35 s"),
        (99.0, "100 s"),
        (170.0, "3 min"),
        (5399.0, "90 min"),
        (6010.0, "1 h 40 min"),
    ],
)
def test_a_time_is_said_no_more_exactly_than_it_is_known(seconds: float, words: str) -> None:
    assert say_roughly(words_in("en"), seconds) == words
