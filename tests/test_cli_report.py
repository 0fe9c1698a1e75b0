"""What a finished job says of itself."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

from lipsync.cli.report import describe_result, result_as_json
from lipsync.types import FaceChoice, Request, Result, Size, Skipped, SyncScore

SCORE = SyncScore(
    judge="correlate",
    worth="Good for comparing.",
    confidence=0.71,
    offset_frames=-2,
    fps=Fraction(25),
    verdict="in sync",
    curve_offsets=(-1, 0, 1),
    curve=(0.1, math.nan, 0.2),
    per_second=(0.5, None),
)


def make_result(score: SyncScore | None) -> Result:
    return Result(
        output=Path("out/ä b.mp4"),
        num_frames=30,
        fps=Fraction(30000, 1001),
        size=Size(height=90, width=160),
        duration=1.001,
        score=score,
        score_reason=None if score else "The voice is too short to judge.",
        skipped=(Skipped(0.0, 0.4, "no face"),),
        timings={"faces": 1.23456},
    )


REQUEST = Request(
    Path("a.mp4"), Path("b.wav"), Path("c.mp4"), settings={"x": 1.5}, face=FaceChoice(2)
)


def test_report_is_strict_json_with_everything_in_it() -> None:
    report = result_as_json(make_result(SCORE), REQUEST, "draft")
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again["output"] == "out/ä b.mp4"
    assert (again["frames"], again["fps_exact"]) == (30, "30000/1001")
    assert again["size"] == {"width": 160, "height": 90}
    assert again["score"]["offset_ms"] == -80.0
    assert again["score"]["curve"] == [0.1, None, 0.2]
    assert again["score"]["per_second"] == [0.5, None]
    assert again["skipped"] == [{"start_seconds": 0.0, "end_seconds": 0.4, "reason": "no face"}]
    assert again["timings_seconds"] == {"faces": 1.235}
    assert again["settings"]["preset"] == "draft"
    assert again["settings"]["engine_settings"] == {"x": 1.5}
    assert again["settings"]["face"] == 2
    assert again["versions"]["numpy"].count(".") == 2


def test_not_measured_is_null_and_says_why() -> None:
    report = result_as_json(make_result(None), REQUEST, None)
    assert report["score"] is None
    assert report["score_reason"] == "The voice is too short to judge."
    assert "no score: The voice is too short" in describe_result(make_result(None))


def test_people_read_numbers_verdict_and_what_they_are_worth() -> None:
    text = describe_result(make_result(SCORE))
    for words in ("30 frames", "160 x 90 px", "0.71", "-2 frames (-80 ms): in sync", "correlate"):
        assert words in text
    assert "untouched from 0.00 s to 0.40 s: no face" in text
