"""Who the published procedure follows through a scene."""

from __future__ import annotations

import numpy as np
import pytest
from published_tracks import BoxTrack, follow_published

BOX = np.array([200.0, 100.0, 360.0, 300.0])  # 160 px wide, 200 px high
FAR = BOX + np.array([400.0, 0.0, 400.0, 0.0])


def scene(count: int, gap: range = range(0)) -> list[np.ndarray]:
    """One still face per frame, missing in `gap`."""
    return [np.empty((0, 4)) if number in gap else BOX[None] for number in range(count)]


@pytest.mark.parametrize(("count", "kept"), [(50, 0), (51, 1)])
def test_a_track_needs_more_detections_than_asked(count: int, kept: int) -> None:
    assert len(follow_published(scene(count), 50)) == kept


@pytest.mark.parametrize(("missing", "lengths"), [(24, [83]), (25, [30, 29])])
def test_a_gap_under_a_second_is_bridged(missing: int, lengths: list[int]) -> None:
    tracks = follow_published(scene(59 + missing, range(30, 30 + missing)), 20)
    assert [len(track.boxes) for track in tracks] == lengths


def test_boxes_in_a_gap_lie_on_a_line() -> None:
    faces = [BOX[None], np.empty((0, 4)), np.empty((0, 4)), np.empty((0, 4)), BOX[None] + 8.0]
    (track,) = follow_published([np.empty((0, 4))] * 2 + faces, 1)
    assert (track.first, track.start_seconds, track.end_seconds) == (2, 0.08, 0.28)
    np.testing.assert_allclose(track.boxes - BOX, np.arange(0, 10, 2)[:, None].repeat(4, 1))


def test_a_small_face_is_not_kept_and_a_jump_is_another_face() -> None:
    small = np.array([[0.0, 0.0, 99.0, 99.0]])
    assert follow_published([small] * 10, 5) == []
    tracks = follow_published([BOX[None]] * 10 + [BOX[None] + [60, 60, 60, 60]] * 10, 5)
    assert [(track.first, len(track.boxes)) for track in tracks] == [(0, 10), (10, 10)]


def test_two_people_are_two_tracks_and_the_first_in_the_list_comes_first() -> None:
    tracks = follow_published([np.stack([FAR, BOX])] * 10, 5)
    assert [track.boxes[3, 0] for track in tracks] == [600.0, 200.0]


def test_the_next_in_the_list_is_passed_over_once_one_was_taken() -> None:
    """A double of the first face joins its track only where somebody stands between them."""
    double = BOX + 6.0
    beside = follow_published([np.stack([BOX, double])] * 10, 5)
    assert [track.boxes[3, 0] for track in beside] == [200.0, 206.0]
    apart = follow_published([np.stack([BOX, FAR, double])] * 10, 5)
    assert [track.boxes[3, 0] for track in apart] == [206.0, 600.0]  # the later of the two counts


def test_a_track_knows_its_moments() -> None:
    track = BoxTrack(37, np.zeros((50, 4)))
    assert (track.start_seconds, track.end_seconds) == (1.48, 3.48)
