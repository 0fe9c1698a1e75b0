"""Colour there and back, and pasting that touches only what the mask covers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Ffmpeg

from lipsync.media.colour import blend_rgb, frame_from_rgb, rgb_image
from lipsync.media.view import FrameView
from lipsync.media.writer import VideoWriter
from lipsync.types import Colour, Frame, Rect, Size

COLOURS = [
    Colour(matrix, full)  # type: ignore[arg-type]
    for matrix in ("bt601", "bt709", "bt2020")
    for full in (False, True)
]


def smooth_picture(height: int = 64, width: int = 96) -> np.ndarray:
    """Return (h, w, 3) uint8 with soft colours, as 4:2:0 can hold them."""
    rng = np.random.default_rng(3)
    small = rng.integers(30, 226, (4, 6, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def noise_frame(height: int = 64, width: int = 96) -> Frame:
    rng = np.random.default_rng(1)
    sizes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    y, u, v = (rng.integers(0, 256, size, dtype=np.uint8) for size in sizes)
    return Frame(5, y, u, v, Colour())


@pytest.mark.parametrize("colour", COLOURS, ids=lambda c: f"{c.matrix}-{c.full_range}")
def test_rgb_there_and_back(colour: Colour) -> None:
    picture = smooth_picture()
    back = rgb_image(frame_from_rgb(picture, colour=colour))
    assert np.abs(back.astype(int) - picture).max() <= 6
    assert np.abs(back.astype(int) - picture).mean() < 1.0


@pytest.mark.parametrize("colour", COLOURS, ids=lambda c: f"{c.matrix}-{c.full_range}")
def test_primary_colours_have_the_codes_of_the_standard(colour: Colour) -> None:
    red = frame_from_rgb(np.full((16, 16, 3), (255, 0, 0), np.uint8), colour=colour)
    luma = {"bt601": 0.299, "bt709": 0.2126, "bt2020": 0.2627}[colour.matrix]
    wanted = 255 * luma if colour.full_range else 16 + 219 * luma
    assert abs(int(red.y[0, 0]) - wanted) <= 1
    assert abs(int(red.v[0, 0]) - (255 if colour.full_range else 240)) <= 1
    white = frame_from_rgb(np.full((16, 16, 3), 255, np.uint8), colour=colour)
    assert int(white.y[0, 0]) == (255 if colour.full_range else 235)


def test_rgb_agrees_with_ffmpeg(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    frame = frame_from_rgb(smooth_picture())
    path = tmp_path / "picture.mp4"
    with VideoWriter(path, Fraction(25), frame.size, frame.colour, quality="lossless") as writer:
        writer.write(frame)
    png = ffmpeg("-i", path, "-frames:v", 1, "-update", 1, tmp_path / "picture.png")
    theirs = cv2.cvtColor(cv2.imread(str(png)), cv2.COLOR_BGR2RGB)
    assert (
        np.abs(theirs.astype(int) - rgb_image(frame)).mean() < 3
    )  # swscale's fast path rounds down


def test_a_part_and_a_smaller_copy() -> None:
    frame = frame_from_rgb(smooth_picture())
    part = rgb_image(frame, rect=Rect(16, 8, 64, 40))
    assert part.shape == (32, 48, 3)
    whole = rgb_image(frame)[8:40, 16:64]
    assert np.abs(part[2:-2, 2:-2].astype(int) - whole[2:-2, 2:-2]).max() <= 1
    small = rgb_image(frame, Size(32, 48))
    assert small.shape == (32, 48, 3)
    area = cv2.resize(rgb_image(frame), (48, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - area).mean() < 1.5


def test_planes_with_padded_rows_are_read_right() -> None:
    frame = frame_from_rgb(smooth_picture())
    padded = [np.pad(plane, ((0, 0), (0, 32))) for plane in (frame.y, frame.u, frame.v)]
    views = [wide[:, :-32] for wide in padded]
    strided = Frame(0, views[0], views[1], views[2], frame.colour)
    np.testing.assert_array_equal(rgb_image(strided), rgb_image(frame))
    mask = np.ones((16, 16), np.float32)
    face = np.zeros((16, 16, 3), np.uint8)
    pasted = blend_rgb(strided, Rect(0, 0, 16, 16), face, mask)
    assert rgb_image(pasted)[:14, :14].max() <= 3
    assert rgb_image(strided)[:14, :14].min() > 3


def test_weight_zero_leaves_every_bit() -> None:
    frame = noise_frame()
    rng = np.random.default_rng(2)
    mask = np.zeros((40, 48), np.float32)
    mask[5:31, 7:40] = rng.random((26, 33)) * (rng.random((26, 33)) > 0.3)
    rect = Rect(20, 10, 68, 50)
    face = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    pasted = blend_rgb(frame, rect, face, mask)
    assert pasted.index == frame.index
    whole = np.zeros((64, 96), np.float32)
    whole[10:50, 20:68] = mask
    assert (pasted.y[whole == 0] == frame.y[whole == 0]).all()
    untouched = (whole.reshape(32, 2, 48, 2) == 0).any(axis=(1, 3))
    assert (pasted.u[untouched] == frame.u[untouched]).all()
    assert (pasted.v[untouched] == frame.v[untouched]).all()
    assert (pasted.y != frame.y).any()
    assert (pasted.u != frame.u).any()


def test_an_empty_mask_changes_nothing_and_shares_nothing() -> None:
    frame = noise_frame()
    before = frame.y.copy()
    rect = Rect(0, 0, 32, 32)
    pasted = blend_rgb(frame, rect, np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.float32))
    np.testing.assert_array_equal(pasted.y, frame.y)
    pasted.y[:] = 0
    np.testing.assert_array_equal(frame.y, before)


def test_weight_one_is_the_new_picture_and_half_is_the_middle() -> None:
    frame = frame_from_rgb(np.full((64, 96, 3), 40, np.uint8))
    rect = Rect(16, 16, 48, 48)
    face = np.full((32, 32, 3), 200, np.uint8)
    full = rgb_image(blend_rgb(frame, rect, face, np.ones((32, 32), np.float32)))
    assert np.abs(full[20:44, 20:44].astype(int) - 200).max() <= 1
    half = rgb_image(blend_rgb(frame, rect, face, np.full((32, 32), 0.5, np.float32)))
    assert np.abs(half[20:44, 20:44].astype(int) - 120).max() <= 1


def test_pasting_a_part_back_keeps_it() -> None:
    frame = frame_from_rgb(smooth_picture())
    rect = Rect(16, 8, 80, 56)
    pasted = blend_rgb(frame, rect, rgb_image(frame, rect=rect), np.ones((48, 64), np.float32))
    for ours, theirs in ((pasted.y, frame.y), (pasted.u, frame.u), (pasted.v, frame.v)):
        assert np.abs(ours.astype(int) - theirs).max() <= 3


def test_a_view_agrees_with_the_whole_conversion() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(picture[::4, ::4], 4, axis=0), 4, axis=1)
    frame = frame_from_rgb(smooth)
    view = FrameView(frame, frame.size)
    assert view.shape == (48, 64, 3)
    whole = view[:, :]
    assert np.abs(whole.astype(int) - smooth.astype(int)).mean() < 4.0
    assert np.array_equal(view[5:21, 7:40], whole[5:21, 7:40])
    assert np.array_equal(view[::3, ::2], whole[::3, ::2])
    half = FrameView(frame, Size(24, 32))
    assert np.array_equal(half[3:9, 5:20], half[:, :][3:9, 5:20])
    assert half.shape == (24, 32, 3)
