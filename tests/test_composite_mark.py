"""The mark in the corner: seen on any picture, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync.composite.mark import Mark
from lipsync.types import Colour, Frame, Size


def plain(size: Size, luma: int, tint: int = 128, full_range: bool = False) -> Frame:
    y = np.full(size, luma, np.uint8)
    u, v = (np.full((size.height // 2, size.width // 2), tint, np.uint8) for _ in range(2))
    for plane in (y, u, v):
        plane.flags.writeable = False
    return Frame(3, y, u, v, Colour(full_range=full_range))


@pytest.mark.parametrize(
    "size", [Size(16, 16), Size(16, 64), Size(120, 90), Size(720, 1280), Size(2160, 3840)]
)
@pytest.mark.parametrize("luma", [16, 128, 235])
def test_letters_stand_out_in_the_corner(size: Size, luma: int) -> None:
    frame = plain(size, luma)
    marked = Mark(size, frame.colour).draw(frame)
    assert marked.index == frame.index
    changed = np.argwhere(marked.y != frame.y)
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    badge = marked.y[top : bottom + 1, left : right + 1].astype(int)
    assert badge.max() - badge.min() > 60
    assert bottom - top + 1 <= max(0.05 * min(size), 14)
    below, beside = size.height - 1 - bottom, size.width - 1 - right
    assert 0 < below <= max(0.05 * min(size), 12)
    assert 0 < beside <= max(0.05 * min(size), 12)


def test_colours_pale_under_the_badge_only() -> None:
    frame = plain(Size(240, 320), 100, tint=200)
    marked = Mark(frame.size, frame.colour).draw(frame)
    for plane, before in ((marked.u, frame.u), (marked.v, frame.v)):
        changed = plane != before
        assert changed.any()
        assert (plane[changed] < 200).all()
        assert (plane[changed] >= 128).all()
        assert not changed[:100].any()


def test_a_full_range_picture_gets_its_own_white_and_black() -> None:
    size = Size(480, 640)
    narrow = Mark(size, Colour()).draw(plain(size, 16)).y
    full = Mark(size, Colour(full_range=True)).draw(plain(size, 0, full_range=True)).y
    assert narrow.max() == pytest.approx(16 + 0.9 * 219, abs=2)
    assert full.max() == pytest.approx(0.9 * 255, abs=2)
