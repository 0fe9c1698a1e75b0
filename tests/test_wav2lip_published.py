"""The published way with boxes and pixels: cut, squeezed, masked, truncated and pasted."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync.engines.wav2lip.published import (
    Pads,
    crop_face,
    pad_boxes,
    paste_face,
    smooth_boxes,
    stack_faces,
)
from lipsync.types import Size

PICTURE = np.random.default_rng(0).integers(0, 256, (200, 260, 3), np.uint8)
BOX = np.array([40, 30, 136, 126])  # 96 px: nothing is resized


def test_pads_widen_a_box_up_to_the_frame() -> None:
    boxes = np.array([[50, 60, 150, 190], [2, 3, 259, 199]])
    padded = pad_boxes(boxes, Pads(top=5, bottom=10, left=4, right=1), Size(200, 260))
    assert padded.tolist() == [[46, 55, 151, 200], [0, 0, 260, 200]]
    assert pad_boxes(boxes, Pads(), Size(200, 260))[0].tolist() == [50, 60, 150, 200]


def test_a_box_beside_the_frame_keeps_a_pixel_of_it() -> None:
    boxes = np.array([[-50, 20, -10, 60], [300, 20, 340, 60], [10, 230, 50, 260]])
    padded = pad_boxes(boxes, Pads(), Size(200, 260))
    assert padded.tolist() == [[0, 20, 1, 70], [259, 20, 260, 70], [10, 199, 50, 200]]
    assert all(crop_face(PICTURE, box).shape == (96, 96, 3) for box in padded)


def test_a_box_is_the_mean_of_itself_and_the_next_four() -> None:
    boxes = np.zeros((9, 4), int)
    boxes[6] = 100
    smooth = smooth_boxes(boxes)[:, 0]
    assert smooth[:5].tolist() == [0, 0, 20, 20, 20]  # none looks back
    still = np.tile([10, 20, 110, 140], (12, 1))
    assert np.array_equal(smooth_boxes(still), still)


def test_smoothing_truncates_and_leaves_its_input_alone() -> None:
    boxes = np.array([[1, 1, 1, 1], [2, 2, 2, 2]])
    assert smooth_boxes(boxes)[0].tolist() == [1, 1, 1, 1]  # of 1.5
    assert boxes.tolist() == [[1, 1, 1, 1], [2, 2, 2, 2]]
    assert smooth_boxes(boxes[:0]).shape == (0, 4)


def test_the_network_is_given_a_masked_face_and_a_whole_one_bgr() -> None:
    face = crop_face(PICTURE, BOX)
    assert np.array_equal(face, PICTURE[30:126, 40:136])
    given = stack_faces(np.stack([face, face[::-1]]))
    assert given.shape == (2, 6, 96, 96)
    assert given.dtype == np.float32
    wanted = (face[..., ::-1].transpose(2, 0, 1) / 255).astype(np.float32)
    assert np.array_equal(given[0, 3:], wanted)
    assert np.array_equal(given[0, :3, :48], wanted[:, :48])
    assert (given[:, :3, 48:] == 0).all()


def test_a_face_of_another_size_is_squeezed() -> None:
    face = crop_face(PICTURE, np.array([0, 0, 192, 192]))
    assert face.shape == (96, 96, 3)
    halved = PICTURE[:192, :192].reshape(96, 2, 96, 2, 3).mean(axis=(1, 3))
    assert np.abs(face - halved).max() <= 1


def test_what_is_painted_is_truncated_and_pasted_hard() -> None:
    painted = np.zeros((3, 96, 96), np.float32)
    painted[0] = 0.9999  # blue: 254.97
    painted[2] = 100.9 / 255
    made = paste_face(PICTURE, painted, BOX)
    assert (made[30:126, 40:136] == [100, 0, 254]).all()
    made[30:126, 40:136] = PICTURE[30:126, 40:136]
    assert np.array_equal(made, PICTURE)


@pytest.mark.parametrize("box", [[10, 20, 70, 50], [0, 0, 260, 200]])
def test_a_face_fills_its_box(box: list[int]) -> None:
    left, top, right, bottom = box
    made = paste_face(np.zeros_like(PICTURE), np.ones((3, 96, 96), np.float32), np.array(box))
    inside = np.zeros((200, 260), bool)
    inside[top:bottom, left:right] = True
    assert np.array_equal(made[..., 0] == 255, inside)
