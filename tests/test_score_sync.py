"""What distances say: planted offsets, both arithmetics, and how little is kept meanwhile."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lipsync.errors import InputError
from lipsync.score.sync import SyncMeasure, SyncMeter

WIDTH = 64


def draw(count: int, name: int = 0) -> np.ndarray:
    """Return (count, WIDTH) float32 rows far from each other and from zero."""
    drawn = np.random.default_rng(name).standard_normal((count, WIDTH)) + 1
    return drawn.astype(np.float32)


def planted(count: int, shift: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Return lips and sounds of one scene, the sound `shift` windows too early."""
    scene = draw(count + 40)
    sounds = scene[20 + shift : 20 + shift + count] + noise * draw(count, 1)
    return scene[20 : 20 + count], sounds


def measure(
    lips: np.ndarray, sounds: np.ndarray, batch: int = 7, lead: int = 0, compat: bool = False
) -> SyncMeasure:
    meter = SyncMeter(lead=lead, compat=compat)
    for start in range(0, max(len(lips), len(sounds)), batch):
        meter.see(lips[start : start + batch])
        is_last = start + batch >= len(sounds)
        meter.hear(sounds[start : start + batch], is_last=is_last and not compat)
    return meter.finish()


def compare(one: SyncMeasure, other: SyncMeasure) -> None:
    for name in ("offset", "distance", "confidence", "shifts", "curve", "per_window", "distances"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("shift", [-15, -4, 0, 3, 15])
def test_a_sound_that_comes_early_has_a_positive_offset(shift: int, compat: bool) -> None:
    found = measure(*planted(60, shift), compat=compat)
    assert found.offset == shift
    assert found.curve[found.shifts == shift] == found.distance == found.curve.min()
    assert found.confidence == pytest.approx(np.median(found.curve) - found.distance)
    assert found.shifts.tolist() == list(range(-15, 16))


@pytest.mark.parametrize("compat", [False, True])
def test_in_what_pieces_it_comes_does_not_matter(compat: bool) -> None:
    lips, sounds = planted(53, 2)
    whole = measure(lips, sounds, 53, compat=compat)
    for batch in (1, 8, 20):
        compare(measure(lips, sounds, batch, compat=compat), whole)


def test_every_distance_is_that_of_its_pair() -> None:
    lips, sounds = planted(30, 0)
    found = measure(lips, sounds).distances
    for window, place in [(0, 15), (0, 30), (14, 1), (29, 0), (29, 15), (12, 20)]:
        apart = lips[window] - sounds[window + place - 15]
        assert found[window, place] == pytest.approx(np.linalg.norm(apart), rel=1e-5)
    assert np.isnan(found[0, :15]).all()
    assert np.isnan(found[14, 0])
    assert np.isnan(found[29, 16:]).all()


def test_beyond_the_ends_there_is_nothing_where_the_published_way_has_zeros() -> None:
    """In a short clip the zeros lie closest, and the published offset is the farthest one."""
    lips, sounds = planted(30, 2, noise=2.0)
    wrong, right = measure(lips, sounds, compat=True), measure(lips, sounds)
    assert abs(wrong.offset) == 15
    assert right.offset == 2
    assert right.shifts.tolist() == list(range(-9, 10))  # the others have less than a second
    np.testing.assert_allclose(
        wrong.distances[0, 0], np.linalg.norm(lips[0]), rtol=1e-5, err_msg="against zero"
    )


def test_confidence_per_window_keeps_its_level_at_the_ends() -> None:
    lips, sounds = planted(80, 0)
    right, wrong = (measure(lips, sounds, compat=compat) for compat in (False, True))
    inside = slice(4, -4)
    single = np.median(right.curve) - right.distances[:, 15]
    around = np.lib.stride_tricks.sliding_window_view(single, 9)
    np.testing.assert_allclose(right.per_window[inside], np.median(around, axis=1), rtol=1e-6)
    assert right.per_window[0] == pytest.approx(np.median(single[:5]))
    level = right.per_window[inside].mean()
    assert abs(right.per_window[[0, -1]] - level).max() < 0.15 * level
    lowest = np.median(wrong.curve) - wrong.distances[:5, 15].max()
    assert wrong.per_window[0] == pytest.approx(lowest)  # four of its nine are zeros


def test_a_second_without_sound_has_no_confidence() -> None:
    lips, sounds = planted(120, 0)
    found = measure(lips, sounds[:60])
    seconds = found.per_second
    assert len(seconds) == 5  # 124 frames
    assert all(value is not None and value > 0 for value in seconds[:3])
    assert seconds[3:] == (None, None)
    assert np.isnan(found.per_window[60:]).all()
    middles = found.per_window[23:48]  # frames 25 … 49 lie in the second second
    assert seconds[1] == pytest.approx(middles.mean())


def test_what_is_heard_before_the_face_comes_is_held_against_it_too() -> None:
    scene = draw(100)
    lips = scene[30:70]
    found = measure(lips, scene[15:], lead=15)
    assert found.offset == 0
    assert np.isfinite(found.distances).all()
    np.testing.assert_allclose(
        found.distances[0, 0], np.linalg.norm(lips[0] - scene[15]), rtol=1e-5
    )
    late = measure(lips, scene[25:85], lead=5)
    known = np.isfinite(late.distances)
    np.testing.assert_array_equal(late.distances[known], found.distances[known])


@pytest.mark.parametrize(("count", "said"), [(0, "0.00 s"), (20, "0.96 s")])
def test_too_short_a_face_is_said(count: int, said: str) -> None:
    with pytest.raises(InputError, match=rf"together for only {said}; a score needs 1 s or more"):
        measure(*planted(count, 0))


def test_little_is_kept() -> None:
    """More windows take 31 distances each, and not their 1024 numbers twice."""
    peaks = []
    for count in (200, 1200):
        meter, rng = SyncMeter(), np.random.default_rng(0)
        tracemalloc.start()
        for _ in range(count // 10):
            meter.see(rng.standard_normal((10, 1024)).astype(np.float32))
            meter.hear(rng.standard_normal((10, 1024)).astype(np.float32))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1000 * 31 * 4 * 4  # a row and its object; numbers kept were 4 MB


def test_lips_do_not_pile_up_when_the_sound_is_over() -> None:
    meter = SyncMeter()
    meter.hear(np.ones((25, 1024), np.float32), is_last=True)
    tracemalloc.start()
    for _ in range(100):
        meter.see(np.ones((10, 1024), np.float32))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 1000 * 1024 * 4 / 4
