"""The record of a job: strict JSON, no paths, and a score that can be read back but not forged."""

from __future__ import annotations

import dataclasses
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lipsync.errors import InputError
from lipsync.record import add_baseline, make_record, score_from_json, score_to_json
from lipsync.types import FaceChoice, Request, Result, Size, Skipped, SyncScore

SCORE = SyncScore(
    judge="correlate",
    worth="Good for comparing.",
    confidence=0.71,
    offset_frames=-2,
    fps=Fraction(30000, 1001),
    verdict="in sync",
    curve_offsets=(-1, 0, 1),
    curve=(0.1, 0.5, 0.2),
    per_second=(0.5, None),
)
REQUEST = Request(
    *(Path("/secret/a.mp4"), Path("/secret/b.wav"), Path("/secret/c.mp4")),
    settings={"amplitude": "1.5"},
    face=FaceChoice(2),
    part=(1.0, 3.0),
    softness=0.5,
    mark=True,
)


def make_result(score: SyncScore | None) -> Result:
    return Result(
        output=Path("/secret/ä b.mp4"),
        num_frames=30,
        fps=Fraction(30000, 1001),
        size=Size(height=90, width=160),
        duration=1.001,
        score=score,
        score_reason=None if score else "The voice is too short to judge.",
        skipped=(Skipped(0.0, 0.4, "no face"),),
        timings={"faces": 1.23456},
        notes=("Quiet.",),
    )


def test_a_record_is_strict_json_with_everything_in_it() -> None:
    baseline = dataclasses.replace(SCORE, confidence=0.9)
    record = add_baseline(make_record(REQUEST, make_result(SCORE), preset="draft"), baseline)
    text = json.dumps(record, allow_nan=False)
    again = json.loads(text)
    assert "secret" not in text
    assert (again["clip"], again["voice"], again["output"]) == ("a.mp4", "b.wav", "ä b.mp4")
    assert (again["frames"], again["fps_exact"]) == (30, "30000/1001")
    assert again["size"] == {"width": 160, "height": 90}
    assert again["skipped"] == [{"start_seconds": 0.0, "end_seconds": 0.4, "reason": "no face"}]
    assert again["notes"] == ["Quiet."]
    assert again["timings_seconds"] == {"faces": 1.235}
    settings = again["settings"]
    assert settings["preset"] == "draft"
    assert settings["engine_settings"] == {"amplitude": 1.5, "width": 1.0}
    assert (settings["face"], settings["face_click"]) == (2, None)
    assert (settings["part"], settings["softness"], settings["mark"]) == ([1.0, 3.0], 0.5, True)
    assert again["versions"]["numpy"].count(".") == 2
    assert score_from_json(again["score"]) == SCORE
    assert score_from_json(again["baseline"]) == baseline


def test_not_measured_is_null_and_says_why() -> None:
    click = dataclasses.replace(REQUEST, face=FaceChoice(click=(3.0, 4.0), click_seconds=0.5))
    record = make_record(click, make_result(None))
    assert record["score"] is record["baseline"] is None
    assert record["score_reason"] == "The voice is too short to judge."
    assert record["settings"]["face_click"] == {"x": 3.0, "y": 4.0, "seconds": 0.5}
    holed = score_to_json(dataclasses.replace(SCORE, curve=(0.1, math.nan, 0.2)))
    assert holed["curve"] == [0.1, None, 0.2]
    assert math.isnan(score_from_json(holed).curve[1])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("judge", 7),
        ("verdict", "x" * 3000),
        ("confidence", "0.7"),
        ("confidence", math.inf),
        ("confidence", 10**400),
        ("distance", True),
        ("offset_frames", 1.5),
        ("offset_frames", 10**9),
        ("curve", [0.1]),
        ("curve", "0.1"),
        ("curve_offsets", [None, 0, 1]),
        ("per_second", [[]]),
        ("per_second", [0.1] * 100_001),
        ("fps_exact", "25/0"),
        ("fps_exact", "0"),
        ("fps_exact", "1e999999999"),
        ("fps_exact", 25),
    ],
)
def test_a_forged_score_is_refused(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"cannot be read .*{key}"):
        score_from_json({**score_to_json(SCORE), key: value})


@pytest.mark.parametrize("found", [None, [], "score", {}, {"judge": "correlate"}])
def test_what_is_no_score_is_refused(found: Any) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        score_from_json(found)


def test_a_record_of_an_older_version_is_refused() -> None:
    old = score_to_json(SCORE)
    del old["fps_exact"]
    with pytest.raises(InputError, match="it has no fps_exact"):
        score_from_json(old)
