"""Choices of a visitor: into a request, into a link, into the browser's memory and back."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from conftest import Ffmpeg

from lipsync.engines import ENGINES
from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.types import FITS, EngineSpec, Fit, Request
from lipsync.ui.choices import (
    Choices,
    Selection,
    check_choices,
    choices_from_json,
    choices_from_query,
    choices_to_json,
    choices_to_query,
    defaults_for,
    has_choices,
    make_request,
    switch_preset,
    used_settings,
)


class Stepper:
    """An engine, as far as choices look at one, whose painting takes steps."""

    spec = EngineSpec("stepper", "The stepping engine", "Apache-2.0", 16)

    @dataclass(frozen=True)
    class Settings:
        steps: int = field(default=25, metadata={"low": 1, "high": 50})
        guidance: float = field(default=2.0, metadata={"low": 1.0, "high": 3.0})


PRESETS = {
    "draft": Preset("draft", "Draft", "Fast.", "draft", {"amplitude": 0.75}),
    "stepper": Preset(
        "stepper", "Stepper", "Slow.", "stepper", {"steps": 30}, fit="hold", quality="lossless"
    ),
}
FILES = {"clip": Path("clip.mp4"), "voice": Path("voice.wav"), "output": Path("result.mp4")}
ODD = Choices("stepper", 7, 2.2, 2**32 - 1, "30000/1001", "loop", 0.35, True)


@pytest.fixture(autouse=True)
def _with_stepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "stepper", "test_ui_choices:Stepper")


def ask(choices: Choices, selection: Selection | None = None, **options: Any) -> Request:
    return make_request(choices, selection or Selection(), **FILES, presets=PRESETS, **options)


def test_request_holds_everything_that_was_chosen() -> None:
    choices = replace(ODD, fps="50")
    request = ask(choices, Selection(1.0, 2.5, (40.5, 60.0, 1.25), 2.0))
    assert (request.video, request.audio, request.output) == tuple(FILES.values())
    assert (request.engine, request.quality, request.fit) == ("stepper", "lossless", "loop")
    assert dict(request.settings) == {"steps": 7, "guidance": 2.2}
    assert (request.seed, request.fps, request.softness) == (2**32 - 1, Fraction(50), 0.35)
    assert request.mark is True
    assert (request.start, request.end) == (1.0, 2.5)
    assert (request.face.click, request.face.click_seconds) == ((40.5, 60.0), 1.25)
    assert (request.part, request.score) == (None, True)


def test_settings_reach_only_an_engine_that_has_them() -> None:
    assert used_settings(PRESETS["draft"]) == frozenset()
    assert used_settings(PRESETS["stepper"]) == {"steps", "guidance"}
    assert dict(ask(Choices("draft", steps=3)).settings) == {"amplitude": 0.75}


def test_defaults_are_the_presets_then_the_engines_then_ours() -> None:
    assert defaults_for(PRESETS["draft"]) == Choices("draft", 20, 1.5)
    assert defaults_for(PRESETS["stepper"]) == Choices("stepper", 30, 2.0, fit="hold")


def test_another_preset_brings_its_own_and_keeps_what_was_changed() -> None:
    changed = Choices("draft", steps=3, guidance=1.1, seed=7, softness=0.5)
    assert switch_preset(changed, "stepper", PRESETS) == Choices(
        "stepper", 30, 2.0, 7, fit="hold", softness=0.5
    )
    assert switch_preset(replace(changed, fit="cut"), "stepper", PRESETS).fit == "cut"
    assert switch_preset(ODD, "draft", PRESETS) == replace(ODD, preset="draft")


@pytest.mark.parametrize(
    ("fps", "rate"),
    [("", None), ("25", Fraction(25)), ("29.97", Fraction(30000, 1001)), ("12.5", Fraction(25, 2))],
)
def test_frame_rate_is_exact(fps: str, rate: Fraction | None) -> None:
    assert ask(Choices("draft", fps=fps)).fps == rate


@pytest.mark.parametrize(
    ("selection", "fit", "second"),
    [
        (Selection(playhead=1.5), "bounce", 1.5),
        (Selection(start=1.0, playhead=1.75), "bounce", 0.75),
        (Selection(start=1.0, playhead=0.5), "bounce", 0.0),
        (Selection(start=0.5, end=1.5, playhead=9.0), "bounce", 1.0),
        # stretched to three times its length: the same picture, not the same second
        (Selection(playhead=0.8), "stretch", 2.4),
        (Selection(start=0.5, end=1.5, playhead=0.75), "stretch", 1.5),
        # too late for three seconds to follow: the last three, or all there is
        (Selection(playhead=2.0), "stretch", 3.0),
        (Selection(playhead=1.5), "cut", 0.0),
    ],
)
def test_preview_begins_at_the_picture_of_the_playhead(
    selection: Selection, fit: Fit, second: float, two_seconds: Path, six_seconds: Path
) -> None:
    request = preview(two_seconds, six_seconds, selection, fit)
    assert request.part == pytest.approx((second, 3.0), abs=0.02)
    assert request.score is False


def test_preview_of_a_voice_that_ends_before_the_playhead_is_its_end(
    short_voice: Path, ffmpeg: Ffmpeg, two_seconds: Path, tmp_path: Path
) -> None:
    voice = ffmpeg("-stream_loop", 2, "-i", short_voice, "-t", 3.5, tmp_path / "long.wav")
    for heard, second in ((voice, 0.5), (short_voice, 0.0)):
        request = preview(two_seconds, heard, Selection(playhead=1.9), "bounce")
        assert request.part == pytest.approx((second, 3.0), abs=0.02)


def preview(clip: Path, voice: Path, selection: Selection, fit: Fit) -> Request:
    files = {"clip": clip, "voice": voice, "output": Path("r.mp4")}
    choices = Choices("draft", fit=fit)
    return make_request(choices, selection, **files, presets=PRESETS, preview=True)


@pytest.fixture(scope="module")
def two_seconds(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    made = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:r=20:d=2", made)


@pytest.fixture(scope="module")
def six_seconds(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    made = tmp_path_factory.mktemp("voice") / "voice.wav"
    return ffmpeg("-f", "lavfi", "-i", "sine=d=6:r=16000", made)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"preset": "none"}, "no preset called 'none'; choose one of: draft, stepper"),
    ({"preset": ["draft"]}, "no preset called"),
    ({"steps": 0}, "steps is 0; give a whole number from 1 to 50"),
    ({"steps": 51}, "from 1 to 50"),
    ({"steps": 2.5}, "whole number"),
    ({"steps": True}, "steps is true"),
    ({"steps": "20"}, "steps is '20'"),
    ({"guidance": 0.9}, "guidance is 0.9; give a number from 1 to 3"),
    ({"guidance": math.nan}, "guidance is nan"),
    ({"guidance": math.inf}, "guidance is inf"),
    ({"seed": None}, "seed is empty; give a whole number from 0 to 4294967295"),
    ({"seed": -1}, "seed is -1"),
    ({"seed": 2**32}, "seed is 4294967296"),
    ({"seed": 10**5000}, "seed is something"),
    ({"fps": "0"}, "frame rate is '0'; give 1 to 120"),
    ({"fps": "121"}, "1 to 120"),
    ({"fps": "25/0"}, "frame rate is '25/0'"),
    ({"fps": "1e999999999"}, "frame rate is '1e999999999'"),
    ({"fps": "٢٥"}, "frame rate"),
    ({"fps": "9" * 10_000}, "9…'; give"),
    ({"fps": None}, "frame rate is empty"),
    ({"fit": "twist"}, "'twist'; choose one of: bounce, loop, cut, hold, stretch"),
    ({"fit": {}}, "choose one of: bounce"),
    ({"softness": -0.1}, "softness is -0.1; give a number from 0 to 2"),
    ({"softness": 2.1}, "from 0 to 2"),
    ({"mark": "yes"}, "mark is 'yes'; give true or false"),
    ({"mark": 1}, "mark is 1"),
]


@pytest.mark.parametrize(("changes", "cause"), WRONG)
def test_wrong_choice_is_one_sentence(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(replace(Choices("draft"), **changes))
    assert cause in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("selection", "cause"),
    [
        (Selection(start=-1.0), "trim start is -1; give seconds"),
        (Selection(start=math.nan), "trim start is nan"),
        (Selection(end=math.inf), "trim end is inf"),
        (Selection(end="2"), "trim end is '2'"),  # type: ignore[arg-type]
        (Selection(start=2.0, end=2.0), "from 2 s to 2 s leaves nothing"),
        (Selection(end=0.0), "leaves nothing"),
        (Selection(face=(1.0, math.nan, 0.0)), "not a place in the clip"),
        (Selection(face=(1.0, 10**400, 0.0)), "not a place in the clip"),
        (Selection(face=(1.0, 2.0, -1.0)), "not a place in the clip"),
        (Selection(face=(1.0, 2.0)), "not a place in the clip"),  # type: ignore[arg-type]
        (Selection(playhead=math.nan), "playhead is at nan"),
    ],
)
def test_wrong_selection_is_one_sentence(selection: Selection, cause: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(Choices("draft"), selection)
    assert cause in str(caught.value)


def test_whole_numbers_of_a_browser_become_whole() -> None:
    checked = check_choices(Choices("draft", 20.0, 2, 7.0), PRESETS)  # type: ignore[arg-type]
    assert [type(value) for value in (checked.steps, checked.guidance, checked.seed)] == [
        int,
        float,
        int,
    ]


def read_link(query: str) -> tuple[Choices, list[str]]:
    pairs = parse_qs(query, strict_parsing=True)
    return choices_from_query({key: values[-1] for key, values in pairs.items()}, PRESETS)


VARIED = [
    ODD,
    Choices("draft"),
    Choices("draft", mark=True, fps="25"),
    Choices("stepper", guidance=1.000001, softness=0.0),
    *(Choices("draft", fit=fit) for fit in FITS),
]


@pytest.mark.parametrize("choices", VARIED)
def test_link_brings_back_what_it_was_made_of(choices: Choices) -> None:
    query = choices_to_query(choices, defaults_for(PRESETS[choices.preset]))
    assert read_link(query) == (choices, [])


def test_link_names_only_what_differs_from_the_preset() -> None:
    defaults = defaults_for(PRESETS["stepper"])
    assert choices_to_query(defaults, defaults) == "preset=stepper"
    changed = replace(defaults, seed=7, fit="loop", guidance=1.5)
    assert choices_to_query(changed, defaults) == "preset=stepper&guidance=1.5&seed=7&fit=loop"


def test_wrong_values_of_a_link_are_named_and_the_rest_holds() -> None:
    query = {
        "preset": "<script>alert(1)</script>",
        "steps": "1e9",
        "guidance": "NaN",
        "seed": "7",
        "fps": "1/0",
        "fit": "loop",
        "softness": "9" * 5000,
        "mark": "perhaps",
        "__theme": "dark",
    }
    choices, troubles = choices_from_query(query, PRESETS)
    assert choices == replace(defaults_for(PRESETS["draft"]), seed=7, fit="loop")
    named = ("preset", "steps", "guidance", "frame rate", "softness", "mark")
    assert len(troubles) == len(named)
    for word, sentence in zip(named, troubles, strict=True):
        assert word in sentence
        assert len(sentence) < 250


def test_link_without_settings_is_none() -> None:
    assert not has_choices({"__theme": "dark"})
    assert has_choices({"seed": "x"})
    assert choices_from_query({}, PRESETS) == (defaults_for(PRESETS["draft"]), [])


@pytest.mark.parametrize("choices", VARIED)
def test_memory_brings_back_what_was_chosen(choices: Choices) -> None:
    stored = json.loads(json.dumps(choices_to_json(choices)))
    assert choices_from_json(stored, PRESETS) == choices


@pytest.mark.parametrize(
    "value", [None, "text", 3, [], {}, {"preset": []}, {"preset": {}}, {"preset": "gone"}]
)
def test_memory_that_holds_no_choices_is_none(value: Any) -> None:
    assert choices_from_json(value, PRESETS) is None


def test_wrong_values_in_memory_become_defaults() -> None:
    defaults = defaults_for(PRESETS["stepper"])
    for name in [f.name for f in fields(Choices)][1:]:
        for wrong in (None, [], {"a": 1}, "x", math.nan, -1, 10**400, ["loop"]):
            stored = {"preset": "stepper", name: wrong, "foreign": 1}
            assert choices_from_json(stored, PRESETS) == defaults
