"""Softer and harder edges for masks of any engine, never outside the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipsync.composite.edge import soften_edge
from lipsync.face.mask import OUTLINES, template_mask

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


def painted() -> np.ndarray:
    """Return a mask as an engine may paint it: a blurred ellipse with a high plateau."""
    canvas = np.zeros((160, 160), np.float32)
    cv2.ellipse(canvas, ((80.0, 90.0), (100.0, 70.0), 20.0), (1.0,), -1)
    soft = cv2.GaussianBlur(canvas, (0, 0), 6)
    soft[soft < 1 / 256] = 0.0
    return np.minimum(soft, 1.0)


MASKS = {"painted": painted(), **{name: template_mask(name, 192) for name in OUTLINES}}


@pytest.mark.parametrize("name", MASKS)
def test_the_edge_widens_with_softness_and_stays_inside(name: str) -> None:
    mask = MASKS[name]
    before = mask.copy()
    widths, covered = [], []
    for softness in STEPS:
        made = soften_edge(mask, softness)
        assert made.dtype == np.float32
        assert made.min() >= 0.0
        assert made.max() == pytest.approx(mask.max())
        assert not made[mask == 0].any(), "nothing outside is touched"
        widths.append(int(((made > 0.02) & (made < 0.98)).sum()))
        covered.append(float(made.sum()))
    assert np.array_equal(mask, before)
    assert widths == sorted(widths)
    assert widths[0] < 0.05 * widths[4]
    assert widths[-1] > 1.3 * widths[4]
    assert covered[-1] < covered[4]


def test_at_one_the_mask_is_the_engine_s_own() -> None:
    mask = MASKS["painted"]
    assert soften_edge(mask, 1.0) is mask


def test_a_faint_or_empty_mask_keeps_its_height() -> None:
    faint = np.float32(0.4) * MASKS["painted"]
    for softness in (0.0, 0.5, 2.0):
        assert soften_edge(faint, softness).max() == pytest.approx(faint.max())
        assert not soften_edge(np.zeros((8, 8), np.float32), softness).any()


def test_a_thin_mask_is_still_laid_in_fully() -> None:
    """Its rise cannot get wider than it is deep, else an old mouth would shine through."""
    thin = np.zeros((40, 40), np.float32)
    thin[18:23] = 1.0
    assert soften_edge(thin, 2.0).max() == pytest.approx(1.0)


def test_a_hard_mask_gets_a_soft_edge() -> None:
    hard = np.zeros((40, 40), np.float32)
    hard[5:35, 5:35] = 1.0
    soft = soften_edge(hard, 2.0)
    assert 0.0 < soft[5, 20] < 1.0
    assert soft[20, 20] == 1.0
