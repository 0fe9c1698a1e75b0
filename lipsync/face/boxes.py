"""Which of many overlapping boxes are faces of their own."""

from __future__ import annotations

import cv2
import numpy as np


def keep_apart(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    """Return the rows of (N, 4) boxes, best score first, of which none covers more of another.

    `overlap` is the largest intersection over union of two that both stay.
    """
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.0, overlap)
    return [int(row) for row in np.asarray(kept).ravel()]
