"""Boxes that cover each other are one face, the surest of them."""

from __future__ import annotations

import numpy as np

from lipsync.face.boxes import keep_apart


def test_of_two_that_cover_each_other_the_surer_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [20, 0, 30, 10], [27, 0, 37, 10]], float)
    scores = np.array([0.7, 0.8, 0.5, 0.9])
    assert keep_apart(boxes, scores, 0.5) == [3, 1, 2]
    assert keep_apart(boxes, scores, 0.7) == [3, 1, 0, 2]
    assert keep_apart(np.empty((0, 4)), np.empty(0), 0.5) == []


def test_proposals_of_one_face_are_one_face() -> None:
    boxes = np.array(
        [[0, 0, 100, 100], [10, 0, 110, 100], [90, 0, 190, 100], [0, 0, 30, 100]], np.float32
    )
    scores = np.array([0.6, 0.9, 0.8, 0.7], np.float32)
    assert keep_apart(boxes, scores, 0.4) == [1, 2, 3]
    assert keep_apart(boxes[:0], scores[:0], 0.4) == []
