"""Masks lie in [0, 1], end before the crop does, and soften inwards only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipsync.face.align import TEMPLATES
from lipsync.face.mask import OUTLINES, feather_mask, fill_polygon, template_mask

GOLDEN = Path(__file__).parents[1] / ".." / "shared" / "golden" / "latentsync" / "mask.npz"


@pytest.mark.parametrize("name", OUTLINES)
@pytest.mark.parametrize("size", [64, 96, 256, 512])
def test_template_masks(name: str, size: int) -> None:
    mask = template_mask(name, size)
    assert mask.shape == (size, size)
    assert mask.dtype == np.float32
    assert mask.min() == 0.0
    assert mask.max() == pytest.approx(1.0)
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert not edge.any()
    assert mask[int(0.6 * size), size // 2] > 0.9  # the mouth
    assert mask[int(0.2 * size), size // 2] == 0.0  # the brows
    hard = template_mask(name, size, feather=0.0)
    assert set(np.unique(hard)) == {0.0, 1.0}
    assert not mask[hard == 0].any()


def test_every_template_names_a_mask() -> None:
    assert {template.mask for template in TEMPLATES.values()} == set(OUTLINES)
    assert all(name == template.name for name, template in TEMPLATES.items())


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the recordings in ../shared/golden are not here")
def test_lower_face_covers_what_the_network_was_trained_to_fill() -> None:
    recorded = np.load(GOLDEN)["mask_256"] < 0.5  # 1 = keep there
    ours = template_mask("lower_face", 256, feather=0.0) > 0.5
    assert (recorded & ours).sum() / (recorded | ours).sum() > 0.97


def test_feather_rises_inwards_from_the_edge() -> None:
    region = np.zeros((41, 41), bool)
    region[10:31, 10:31] = True
    mask = feather_mask(region, 6.0)
    assert not mask[~region].any()
    assert (mask[region] > 0).all()
    profile = mask[20, 10:21]
    assert (np.diff(profile) >= 0).all()
    assert profile[0] < 0.1
    assert profile[-1] == pytest.approx(1.0)
    assert np.array_equal(feather_mask(region, 0.0), region.astype(np.float32))


def test_feather_counts_the_crops_border_as_an_edge() -> None:
    mask = feather_mask(np.ones((20, 20), bool), 4.0)
    assert mask[0].max() < 0.2
    assert mask[10, 10] == pytest.approx(1.0)


def test_a_polygon_is_filled() -> None:
    square = np.array([[2.0, 3.0], [7.0, 3.0], [7.0, 9.0], [2.0, 9.0]])
    filled = fill_polygon((12, 12), square) >= 0.5
    assert filled[3:10, 2:8].all()
    assert filled.sum() == 42
