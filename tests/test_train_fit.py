"""The fits on arrays: planted lags and coefficients come back, training learns and repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from lipsync.audio.signals import standardise
from lipsync.train.fit import (
    NetworkConfig,
    Pair,
    area_under_curve,
    correlations,
    find_lags,
    fit_confidence,
    hold_out,
    solve_ridge,
    train_network,
)

TINY = NetworkConfig(steps=40, batch=4, crop=20)


def make_pair(seed: int, lag: int = 0, noise: float = 0.5) -> Pair:
    """Return 8 s in which the mouth is a fixed mix of six smooth features, `lag` frames later."""
    draw = np.random.default_rng(seed)
    heard = standardise(gaussian_filter1d(draw.normal(size=(200, 6)), 1.5, axis=0))
    mix = np.random.default_rng(99).normal(size=(6, 3))
    mouth = heard @ mix + noise * gaussian_filter1d(draw.normal(size=(200, 3)), 1.5, axis=0)
    return Pair(heard, 0.1 + 0.02 * np.roll(mouth, lag, axis=0))


def test_planted_lags_come_back() -> None:
    planted = {"a": 0, "b": 3, "c": -2, "d": 0, "e": 5}
    pairs = {name: make_pair(seed, lag) for seed, (name, lag) in enumerate(planted.items())}
    people = {name: name for name in planted}
    assert find_lags(pairs, people, {"a": 0, "d": 0}, penalty=5.0, max_lag=5) == planted


def test_a_known_lag_is_left_alone() -> None:
    pairs = {name: make_pair(seed, lag=2) for seed, name in enumerate("ab")}
    people = {"a": "a", "b": "b"}
    assert find_lags(pairs, people, {"a": 0, "b": 0}, 5.0, 5) == {"a": 0, "b": 0}


@pytest.mark.parametrize("lag", [-3, 0, 4])
def test_aligned_rows_belong_together(lag: int) -> None:
    pair = make_pair(0, lag, noise=0.0).aligned(lag)
    mix = np.random.default_rng(99).normal(size=(6, 3))
    assert len(pair.heard) == len(pair.mouth) == 200 - abs(lag)
    assert correlations(pair.heard @ mix, pair.mouth) == pytest.approx([1, 1, 1])
    assert pair.mouth.std(axis=0) == pytest.approx([1, 1, 1])


def test_ridge_without_penalty_is_least_squares() -> None:
    pairs = [make_pair(seed) for seed in range(3)]
    heard, mouth = (np.concatenate([getattr(p, k) for p in pairs]) for k in ("heard", "mouth"))
    expected = np.linalg.lstsq(heard, mouth, rcond=None)[0]
    np.testing.assert_allclose(solve_ridge(pairs, 0.0), expected, rtol=1e-6)


def test_held_out_person_is_not_learnt_from() -> None:
    pairs = {name: make_pair(seed) for seed, name in enumerate("abc")}
    people = {"a": "one", "b": "one", "c": "two"}
    lags = dict.fromkeys(pairs, 0)
    before = hold_out(pairs, lags, people, 5.0)["a"]
    changed = pairs | {"b": make_pair(77, lag=9)}  # the same person's other clip
    np.testing.assert_array_equal(hold_out(changed, lags, people, 5.0)["a"], before)
    changed = pairs | {"c": make_pair(77, lag=9)}
    assert not np.array_equal(hold_out(changed, lags, people, 5.0)["a"], before)


def test_training_learns_and_repeats() -> None:
    pairs = [make_pair(seed).aligned(0) for seed in range(3)]
    state = torch.get_rng_state()
    first, again = (train_network(pairs, 5, TINY) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers were used up"
    assert np.mean(first.losses[-5:]) < 0.8 * np.mean(first.losses[:5])
    assert first.losses == again.losses
    other = train_network(pairs, 6, TINY)
    assert other.losses != first.losses
    assert not first.network.training


def test_clips_shorter_than_a_crop_still_teach() -> None:
    short = make_pair(0).aligned(0)
    pairs = [Pair(short.heard[:12], short.mouth[:12]), make_pair(1).aligned(0)]
    assert len(train_network(pairs, 0, TINY).losses) == TINY.steps


def test_confidence_tells_right_from_wrong_voices() -> None:
    draw = np.random.default_rng(0)
    right, wrong = draw.normal(0.6, 0.1, 300), draw.normal(0.25, 0.08, 300)
    fitted = fit_confidence(right, wrong)
    values = {"right": right, "wrong": wrong}
    sure = {
        name: 1 / (1 + np.exp(-fitted.slope * (peaks - fitted.middle)))
        for name, peaks in values.items()
    }
    assert np.mean(sure["right"] > 0.7) > 0.9
    assert np.mean(sure["wrong"] < 0.3) > 0.9
    assert area_under_curve(right, wrong) > 0.98


def test_confidence_stays_finite_where_nothing_overlaps() -> None:
    fitted = fit_confidence(np.array([0.8, 0.9]), np.array([0.1, 0.2]))
    assert np.isfinite(fitted.slope)
    assert 0.2 < fitted.middle < 0.8


def test_area_under_curve_counts_ties_half() -> None:
    assert area_under_curve(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == pytest.approx(0.875)
