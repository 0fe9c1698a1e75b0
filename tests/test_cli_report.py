"""What a finished job says of itself."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from lipsync.cli.report import describe_result
from lipsync.types import Result, Size, Skipped, SyncScore

SCORE = SyncScore(
    judge="correlate",
    worth="Good for comparing.",
    confidence=0.71,
    offset_frames=-2,
    fps=Fraction(25),
    verdict="in sync",
    curve_offsets=(-1, 0, 1),
    curve=(0.1, 0.3, 0.2),
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


def test_not_measured_says_why() -> None:
    assert "no score: The voice is too short" in describe_result(make_result(None))


def test_people_read_numbers_verdict_and_what_they_are_worth() -> None:
    text = describe_result(make_result(SCORE))
    for words in ("30 frames", "160 x 90 px", "0.71", "-2 frames (-80 ms): in sync", "correlate"):
        assert words in text
    assert "untouched from 0.00 s to 0.40 s: no face" in text
