"""Smoothing over time: identities, no leak across gaps and cuts, same rows in any pieces."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lipsync.face.smooth import BLOCK, smooth_track
from lipsync.landmarks import LandmarkStore


def test_constant_stays_constant() -> None:
    values = np.full((50, 3, 2), 7.25, np.float32)
    assert np.allclose(smooth_track(values, np.ones(50, bool), (0,), 2.0), 7.25)


def test_inside_a_long_run_it_is_a_gaussian() -> None:
    values = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    ours = smooth_track(values, np.ones(200, bool), (0,), 1.5)
    theirs = gaussian_filter1d(values, 1.5, axis=0, truncate=4.0)
    assert np.allclose(ours[20:-20], theirs[20:-20], atol=1e-5)


def test_nothing_leaks_across_a_cut_or_a_gap() -> None:
    values = np.concatenate([np.zeros(20), np.ones(20), np.full(20, 5.0)])[:, None]
    present = np.ones(60, bool)
    present[38:42] = False
    result = smooth_track(values, present, (0, 20), 3.0)[:, 0]
    assert np.all(result[:20] == 0)
    assert np.allclose(result[20:38], 1)
    assert np.isnan(result[38:42]).all()
    assert np.allclose(result[42:], 5)


def test_pieces_equal_the_whole() -> None:
    count = 2 * BLOCK + 37
    values = np.random.default_rng(1).normal(size=(count, 4)).astype(np.float32)
    present = np.ones(count, bool)
    present[100] = False
    whole = smooth_track(values, present, (0, 300), 2.0)
    for rows in (slice(0, 1), slice(95, 120), slice(250, 310), slice(BLOCK - 1, count)):
        piece = smooth_track(values, present, (0, 300), 2.0, rows)
        assert np.array_equal(piece, whole[rows], equal_nan=True)


def test_sigma_zero_changes_nothing() -> None:
    values = np.random.default_rng(2).normal(size=(10, 2)).astype(np.float32)
    assert np.array_equal(smooth_track(values, np.ones(10, bool), (0,), 0.0), values)


def test_takes_a_landmark_store() -> None:
    store = LandmarkStore(0, 5)
    points = np.random.default_rng(3).uniform(0, 500, (30, 5, 3)).astype(np.float32)
    for row in points:
        store.append(row)
    ours = smooth_track(store, np.ones(30, bool), (0,), 1.0)
    assert np.allclose(ours, smooth_track(points, np.ones(30, bool), (0,), 1.0), atol=0.02)
