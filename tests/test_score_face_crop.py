"""Who the published procedure follows, and what is cut out along a track."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync.score.face_crop import (
    BoxTrack,
    Rectangle,
    crop_face,
    crop_rectangle,
    follow_published,
    smooth_path,
    usual_boxes,
)
from lipsync.score.medians import running_median

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


def test_the_cut_follows_the_box_through_single_outliers() -> None:
    boxes = np.repeat(BOX[None], 40, axis=0)
    boxes[[0, 20, 39]] += 50.0
    path = smooth_path(boxes)
    np.testing.assert_array_equal(path.half_sides, 100.0)
    np.testing.assert_array_equal(path.x, 280.0)
    np.testing.assert_array_equal(path.y, 200.0)


def test_the_published_cut_is_too_small_at_the_ends() -> None:
    boxes = np.repeat(BOX[None], 40, axis=0) + np.arange(40.0)[:, None]
    right, published = smooth_path(boxes), smooth_path(boxes, compat=True)
    inside = slice(6, -6)
    np.testing.assert_array_equal(published.x[inside], right.x[inside])
    assert published.x[0] == 280.0  # the lowest of the first seven
    assert right.x[0] == 283.0  # their middle
    short = smooth_path(boxes[:6], compat=True)
    assert short.half_sides[0] == 0.0
    assert smooth_path(boxes[:6]).half_sides[0] == 100.0


def test_a_rectangle_has_room_below_and_beside() -> None:
    cut = crop_rectangle(100.0, 280.0, 200.0, (480, 960))
    assert cut == Rectangle(top=100, bottom=380, left=140, right=420)


def test_a_cut_is_the_frame_where_there_is_one_and_grey_elsewhere() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    whole = crop_face(frame, Rectangle(20, 244, 30, 254))
    np.testing.assert_array_equal(whole, frame[20:244, 30:254])
    corner = crop_face(frame, Rectangle(-100, 124, 300, 524))
    np.testing.assert_array_equal(corner[100:, :100], frame[:124, 300:])
    assert (corner[:100] == 110).all()
    assert (corner[:, 100:] == 110).all()
    outside = crop_face(frame, Rectangle(-400, -176, 0, 224))
    assert (outside == 110).all()


def test_a_cut_of_another_size_is_resized() -> None:
    frame = np.zeros((600, 600, 3), np.uint8)
    frame[:, 300:] = 200
    cut = crop_face(frame, Rectangle(20, 580, 20, 580))
    assert cut.shape == (224, 224, 3)
    assert (cut[:, :111] == 0).all()
    assert (cut[:, 113:] == 200).all()


def test_a_track_knows_its_moments() -> None:
    track = BoxTrack(37, np.zeros((50, 4)))
    assert (track.start_seconds, track.end_seconds) == (1.48, 3.48)


def test_a_running_median_takes_what_it_has_at_the_ends() -> None:
    values = np.array([5.0, 1.0, 9.0, np.nan, 3.0])
    np.testing.assert_array_equal(running_median(values, 3), [3.0, 5.0, 5.0, np.nan, 3.0])
    np.testing.assert_array_equal(running_median(values[:3], 3, 0.0), [1.0, 5.0, 1.0])


def test_the_usual_box_is_as_large_and_lies_higher() -> None:
    boxes = np.array([[10.0, 20.0, 110.0, 140.0], [0.0, 0.0, 50.0, 60.0]], np.float32)
    moved = usual_boxes(boxes)
    np.testing.assert_allclose(moved, [[10, 14, 110, 134], [0, -3, 50, 57]])
    assert boxes[0, 1] == 20.0
