"""Stretches end where a movement ends: gaps, cuts, seams; what is left out is named."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from made_faces import FPS, faces_with, placed, speaking, track_of

from lipsync.face.scenes import Stretch, describe_skipped, leave_out_profiles, split_output
from lipsync.media.timeline import plan_timeline
from lipsync.types import FaceTrack


def _track(
    count: int, absent: slice = slice(0, 0), shots: tuple[int, ...] = (0,), yaw: float = 0.0
) -> FaceTrack:
    return track_of(placed(faces_with(speaking(count)), degrees=(yaw, 0.0, 0.0)), absent, shots)


def _borders(track: FaceTrack, rows: np.ndarray, fps: Fraction = FPS) -> list[tuple[int, int]]:
    return [(s.start, s.stop) for s in split_output(track, rows, fps)]


def test_one_movement_is_one_stretch() -> None:
    assert split_output(_track(40), np.arange(40), FPS) == [Stretch(0, 40, slice(0, 40))]


def test_a_still_is_one_stretch() -> None:
    assert _borders(_track(1), np.zeros(50, int)) == [(0, 50)]


def test_gaps_and_cuts_end_a_stretch() -> None:
    track = _track(40, absent=slice(12, 20), shots=(0, 30))
    assert split_output(track, np.arange(40), FPS) == [
        Stretch(0, 12, slice(0, 12)),
        Stretch(20, 30, slice(20, 30)),
        Stretch(30, 40, slice(30, 40)),
    ]


def test_nobody_at_all_is_no_stretch() -> None:
    assert split_output(_track(10, absent=slice(0, 10)), np.arange(10), FPS) == []


def test_the_seam_of_a_loop_ends_a_stretch_but_a_turn_does_not() -> None:
    track = _track(40)
    assert _borders(track, plan_timeline("loop", 40, 100)) == [(0, 40), (40, 80), (80, 100)]
    assert _borders(track, plan_timeline("bounce", 40, 100)) == [(0, 100)]
    assert _borders(track, plan_timeline("hold", 40, 100)) == [(0, 100)]
    # a seam so short that nobody sees it
    assert _borders(_track(3), plan_timeline("loop", 3, 9)) == [(0, 9)]


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(60), Fraction(24000, 1001)])
def test_stretched_clips_have_no_seams(fps: Fraction) -> None:
    track = _track(400)
    for total in (1000, 400, 100, 20):
        assert _borders(track, plan_timeline("stretch", 400, total), fps) == [(0, total)]


def test_profiles_are_left_out_and_named() -> None:
    points = placed(faces_with(speaking(60)))
    points[30:45] = placed(faces_with(speaking(60)), degrees=(75.0, 0.0, 0.0))[30:45]
    track = track_of(points, absent=slice(0, 5))
    kept, turned = leave_out_profiles(track)
    assert np.flatnonzero(turned).tolist() == list(range(30, 45))
    assert np.flatnonzero(kept.present).tolist() == [*range(5, 30), *range(45, 60)]
    assert track.present[30]  # the given track is as it was
    first, second = describe_skipped(kept, turned, np.arange(60), FPS)
    assert (first.start_seconds, first.end_seconds) == (0.0, 0.2)
    assert "no face was found" in first.reason
    assert (second.start_seconds, second.end_seconds) == (1.2, 1.8)
    assert "turned away" in second.reason


def test_turned_but_not_in_profile_stays() -> None:
    kept, turned = leave_out_profiles(_track(10, yaw=40.0))
    assert kept.present.all()
    assert not turned.any()


def test_a_glimpse_between_gaps_is_left_alone() -> None:
    points = placed(faces_with(speaking(30)))
    points[[10, 13]] = placed(faces_with(speaking(2)), degrees=(80.0, 0.0, 0.0))
    kept, _ = leave_out_profiles(track_of(points))
    assert np.flatnonzero(~kept.present).tolist() == [10, 11, 12, 13]
    assert leave_out_profiles(_track(1))[0].present.all()  # but a still is one frame by nature


def test_skipped_spans_count_output_seconds() -> None:
    track = _track(20, absent=slice(5, 10))
    spans = list(describe_skipped(track, np.zeros(20, bool), plan_timeline("loop", 20, 40), FPS))
    assert [(s.start_seconds, s.end_seconds) for s in spans] == [(0.2, 0.4), (1.0, 1.2)]
    assert list(describe_skipped(_track(5), np.zeros(5, bool), np.arange(5), FPS)) == []
