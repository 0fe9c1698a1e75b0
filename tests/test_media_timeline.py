"""The timeline in numbers: every fit, exact lengths, trims and their complaints."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipsync.errors import InputError
from lipsync.media.timeline import num_output_frames, part_range, plan_timeline, trim_range
from lipsync.types import FITS, Clip, Fit, Size

CLIP = Clip(Path("c.mp4"), Fraction(25), 100, Size(64, 96), 4.0, False, False, "h264")
STILL = Clip(Path("p.png"), Fraction(25), 1, Size(64, 96), 0.0, False, True, "png")


@pytest.mark.parametrize(
    ("fit", "wanted"),
    [
        ("bounce", [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]),
        ("loop", [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]),
        ("hold", [0, 1, 2, 3, 3, 3, 3, 3, 3, 3]),
        ("stretch", [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]),
        ("cut", [0, 1, 2, 3, 3, 3, 3, 3, 3, 3]),
    ],
)
def test_a_short_clip_is_fitted(fit: Fit, wanted: list[int]) -> None:
    plan = plan_timeline(fit, 4, 10)
    assert plan.dtype == np.int64
    assert plan.tolist() == wanted


@pytest.mark.parametrize("fit", FITS)
def test_a_clip_as_long_as_the_voice_plays_once(fit: Fit) -> None:
    np.testing.assert_array_equal(plan_timeline(fit, 7, 7), np.arange(7))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("num_source", [1, 2, 9])
def test_plans_stay_inside_the_clip(fit: Fit, num_source: int) -> None:
    plan = plan_timeline(fit, num_source, 50)
    assert plan.shape == (50,)
    assert plan.min() == 0
    assert plan.max() == num_source - 1


def test_bounce_never_stands_still_nor_jumps() -> None:
    assert set(np.abs(np.diff(plan_timeline("bounce", 6, 60))).tolist()) == {1}


def test_stretch_is_even_and_never_goes_back() -> None:
    slow = plan_timeline("stretch", 10, 37)
    assert (np.diff(slow) >= 0).all()
    assert set(np.bincount(slow).tolist()) <= {3, 4}
    fast = plan_timeline("stretch", 100, 10)
    assert set(np.diff(fast).tolist()) == {10}


def test_the_result_lasts_as_long_as_the_voice() -> None:
    ntsc = Fraction(30000, 1001)
    assert num_output_frames("bounce", 4.0, 10.0, Fraction(25)) == 250
    assert num_output_frames("loop", 4.0, 10.0, ntsc) == round(10 * ntsc)
    assert num_output_frames("cut", 4.0, 10.0, Fraction(25)) == 100
    assert num_output_frames("cut", 4.0, 1.5, Fraction(24)) == 36
    assert num_output_frames("cut", 0.0, 1.5, Fraction(25)) == round(37.5)
    assert num_output_frames("hold", 4.0, 0.001, Fraction(25)) == 1


def test_trims() -> None:
    assert trim_range(CLIP, None, None) == range(100)
    assert trim_range(CLIP, 1.0, None) == range(25, 100)
    assert trim_range(CLIP, None, 2.0) == range(50)
    assert trim_range(CLIP, 1.0, 1.04) == range(25, 26)
    assert trim_range(CLIP, 0.0, 4.04) == range(100)
    assert trim_range(STILL, None, None) == range(1)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (float("nan"), None, "trim start is nan"),
        (None, float("inf"), "trim end is inf"),
        (-0.5, None, "trim start is -0.5"),
        (2.0, 1.0, "end must come after the start"),
        (2.0, 2.0, "end must come after the start"),
        (4.0, None, "beyond the clip, which lasts 4.00 s"),
        (None, 9.0, "beyond the clip, which lasts 4.00 s"),
    ],
)
def test_trims_that_make_no_sense(start: float | None, end: float | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        trim_range(CLIP, start, end)


def test_a_still_cannot_be_trimmed() -> None:
    with pytest.raises(InputError, match="single picture"):
        trim_range(STILL, 0.0, 1.0)


def test_a_part_is_whole_frames_and_ends_with_the_result() -> None:
    fps = Fraction(30000, 1001)
    assert part_range((0.0, 3.0), 300, fps) == range(0, 90)
    assert part_range((1.0, 3.0), 300, fps) == range(30, 120)
    assert part_range((9.5, 3.0), 300, fps) == range(285, 300)
    assert part_range((1.0, 0.001), 300, fps) == range(30, 31)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ((10.1, 1.0), "begins at 10.1 s, but the result lasts 10.00 s"),
        ((-0.5, 1.0), "from -0.5 s"),
        ((0.0, 0.0), "length above 0"),
        ((float("inf"), 1.0), "from inf s"),
        ((0.0, float("nan")), "part of nan s"),
    ],
)
def test_parts_that_cannot_be(part: tuple[float, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        part_range(part, 250, Fraction(25))
