"""Cuts are found; motion, flashes, fades and noise are not taken for cuts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, chelsea, coffee

from lipsync.face.cuts import CutFinder

CLIPS = Path(__file__).parents[1] / ".." / "shared" / "clips"


def _cuts(frames: list[np.ndarray]) -> list[int]:
    finder = CutFinder()
    return [index for index, frame in enumerate(frames) if finder.update(frame)]


def _pictures() -> list[np.ndarray]:
    return [cv2.resize(image, (320, 240)) for image in (astronaut(), coffee(), chelsea())]


def _shaken(image: np.ndarray, count: int, step: int) -> list[np.ndarray]:
    """A camera that swings left and right by `step` px of 320 per frame."""
    places = np.rint(24 * np.sin(np.arange(count) * step / 24)).astype(int)
    return [
        cv2.warpAffine(
            image,
            np.array([[1.0, 0.0, place], [0.0, 1.0, 0.0]]),
            (320, 240),
            borderMode=cv2.BORDER_REFLECT,
        )
        for place in places
    ]


def test_cuts_between_pictures() -> None:
    one, two, three = _pictures()
    assert _cuts([one] * 5 + [two] * 5 + [three] * 4 + [one] * 3) == [5, 10, 14]


def test_cut_in_the_middle_of_motion() -> None:
    one, two, _ = _pictures()
    assert _cuts(_shaken(one, 10, 6) + _shaken(two, 10, 6)) == [10]


def test_motion_is_no_cut() -> None:
    for image in _pictures():
        assert _cuts(_shaken(image, 40, 10)) == []


@pytest.mark.parametrize("level", [0, 255])
def test_flash_and_black_frame_are_no_cut(level: int) -> None:
    one, _, _ = _pictures()
    assert _cuts([one] * 4 + [np.full_like(one, level)] + [one] * 4) == []


def test_brightening_is_no_cut() -> None:
    one, _, _ = _pictures()
    bright = cv2.convertScaleAbs(one, alpha=1.3, beta=60)
    assert _cuts([one] * 4 + [bright] + [one] * 4) == []


def test_cut_through_black() -> None:
    one, two, _ = _pictures()
    black = np.zeros_like(one)
    assert _cuts([one] * 4 + [black] * 3 + [two] * 4) == [7]


def test_noise_is_no_cut() -> None:
    one, _, _ = _pictures()
    rng = np.random.default_rng(1)
    frames = [
        np.clip(one + rng.normal(0, 20, one.shape), 0, 255).astype(np.uint8) for _ in range(10)
    ]
    assert _cuts(frames) == []


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips in ../shared/clips are not here")
def test_real_talking_heads_have_no_cut_but_the_one_we_make() -> None:
    shots = []
    for name in ("st_aoc.mp4", "fit/ve_short_case_tys.mp4"):
        video = cv2.VideoCapture(str(CLIPS / name))
        shots.append([cv2.resize(video.read()[1], (256, 256)) for _ in range(60)])
        video.release()
    assert _cuts(shots[0] + shots[1]) == [60]
