"""What is cut out of a clip along a face's track."""

from __future__ import annotations

import numpy as np

from lipsync.score.face_crop import (
    Rectangle,
    crop_face,
    crop_rectangle,
    smooth_path,
    usual_boxes,
)
from lipsync.score.medians import running_median

BOX = np.array([200.0, 100.0, 360.0, 300.0])  # 160 px wide, 200 px high


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


def test_a_running_median_takes_what_it_has_at_the_ends() -> None:
    values = np.array([5.0, 1.0, 9.0, np.nan, 3.0])
    np.testing.assert_array_equal(running_median(values, 3), [3.0, 5.0, 5.0, np.nan, 3.0])
    np.testing.assert_array_equal(running_median(values[:3], 3, 0.0), [1.0, 5.0, 1.0])


def test_the_usual_box_is_as_large_and_lies_higher() -> None:
    boxes = np.array([[10.0, 20.0, 110.0, 140.0], [0.0, 0.0, 50.0, 60.0]], np.float32)
    moved = usual_boxes(boxes)
    np.testing.assert_allclose(moved, [[10, 14, 110, 134], [0, -3, 50, 57]])
    assert boxes[0, 1] == 20.0
