"""Cross-fades stand at gaps only."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipsync.composite.fade import fade_weights
from lipsync.landmarks import LandmarkStore
from lipsync.types import FaceTrack


def _weights(present: list[int], shots: tuple[int, ...] = (0,), fps: int = 25) -> np.ndarray:
    count = len(present)
    track = FaceTrack(
        np.zeros((count, 4), np.float32), LandmarkStore(count, 1), np.array(present, bool), shots
    )
    return fade_weights(track, Fraction(fps))


def test_always_there_means_no_fade() -> None:
    assert np.array_equal(_weights([1] * 30), np.ones(30))


def test_ramps_beside_a_gap() -> None:
    weights = _weights([1] * 30 + [0] * 10 + [1] * 30)
    assert weights.dtype == np.float32
    assert np.allclose(weights[26:30], [0.8, 0.6, 0.4, 0.2])
    assert not weights[30:40].any()
    assert np.allclose(weights[40:44], [0.2, 0.4, 0.6, 0.8])
    assert (weights[:26] == 1).all()
    assert (weights[44:] == 1).all()


def test_no_fade_at_a_cut() -> None:
    weights = _weights([0] * 10 + [1] * 30 + [1] * 30, shots=(0, 10, 40))
    assert np.array_equal(weights[10:], np.ones(60))


@pytest.mark.parametrize("length", [1, 2, 5])
def test_short_runs_are_still_seen(length: int) -> None:
    weights = _weights([0] * 5 + [1] * length + [0] * 5)
    assert weights.max() == 1.0


def test_more_frames_at_a_higher_rate() -> None:
    fast = _weights([1] * 60 + [0] * 10, fps=50)
    assert np.count_nonzero(fast[:60] < 1) == 8
