"""Colour match: a tint is undone, outside the mask nothing moves, strange pictures are left be."""

from __future__ import annotations

import numpy as np
from skimage.data import astronaut

from lipsync.composite.colour import MAX_OFFSET, match_colour, ring_around

ORIGINAL = astronaut()[60:190, 160:290]
MASK = np.zeros(ORIGINAL.shape[:2], np.float32)
MASK[50:100, 40:90] = 1.0


def test_ring_lies_just_outside() -> None:
    ring = ring_around(MASK, 5)
    assert ring.dtype == bool
    assert not (ring & (MASK > 0)).any()
    assert ring[45, 60]
    assert not ring[44, 60]


def test_a_tint_is_undone() -> None:
    tinted = np.clip(ORIGINAL.astype(int) * 0.9 + [12, -8, 5], 0, 255).astype(np.uint8)
    matched = match_colour(tinted, ORIGINAL, MASK, ring_around(MASK, 8))
    inside = MASK > 0

    def error(picture: np.ndarray) -> float:
        return float(np.abs(picture[inside].astype(int) - ORIGINAL[inside]).mean())

    assert error(matched) < 0.4 * error(tinted)
    assert np.array_equal(matched[~inside], tinted[~inside])


def test_equal_pictures_stay_equal() -> None:
    assert np.array_equal(match_colour(ORIGINAL, ORIGINAL, MASK, ring_around(MASK, 8)), ORIGINAL)


def test_strange_pixels_in_the_ring_do_not_count() -> None:
    ring = ring_around(MASK, 8)
    spoilt = ORIGINAL.copy()
    rows, columns = np.nonzero(ring)
    spoilt[rows[::10], columns[::10]] = 255
    matched = match_colour(ORIGINAL, spoilt, MASK, ring)
    change = np.abs(matched.astype(int) - ORIGINAL)
    assert np.median(change) <= 2
    assert change.max() < 30


def test_the_correction_is_limited() -> None:
    black = np.zeros_like(ORIGINAL)
    matched = match_colour(black, np.full_like(ORIGINAL, 200), MASK, ring_around(MASK, 8))
    assert matched.max() <= MAX_OFFSET + 1


def test_without_a_ring_nothing_is_done() -> None:
    everything = np.ones_like(MASK)
    ring = ring_around(everything, 8)
    assert match_colour(ORIGINAL[::-1], ORIGINAL, everything, ring) is not None
    assert np.array_equal(match_colour(ORIGINAL[::-1], ORIGINAL, everything, ring), ORIGINAL[::-1])
