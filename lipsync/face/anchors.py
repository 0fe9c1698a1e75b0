"""Three points that place a head: both brows and the nose, from either landmark set.

LatentSync's crops hang on them. They are means of groups of landmarks: its own groups for the 106
points of InsightFace, and for MediaPipe's 478-point mesh the groups below, which name the same
places. "Left" and "right" are those of the picture, as in the published program: the left brow is
the person's right one.

| anchor     | 106 points, averaged   | the mesh's points, averaged                               |
| ---------- | ---------------------- | --------------------------------------------------------- |
| left brow  | 43 48 49 51 50         | upper edge 70 63 105 66 107, lower edge 46 53 52 65 55    |
| right brow | 101 102 103 104 105    | upper edge 300 293 334 296 336, lower 276 283 282 295 285 |
| nose       | 74 77 83 86            | ridge 5, tip 4, wings 64 and 294                          |

On frames recorded from the published program the mesh's means lie within 2.5 px of its own at 85 px
between the outer eye corners; tests/test_face_anchors.py holds them to it.
"""

from __future__ import annotations

import numpy as np

Groups = tuple[tuple[int, ...], ...]

# landmarks per face -> left brow, right brow, nose
ANCHORS: dict[int, Groups] = {
    106: ((43, 48, 49, 51, 50), (101, 102, 103, 104, 105), (74, 77, 83, 86)),
    478: (
        (70, 63, 105, 66, 107, 46, 53, 52, 65, 55),
        (300, 293, 334, 296, 336, 276, 283, 282, 295, 285),
        (5, 4, 64, 294),
    ),
}


def mean_points(landmarks: np.ndarray, groups: Groups) -> np.ndarray:
    """Return (..., A, 2) px: the mean of each group of the (..., L, 2 or 3) landmarks."""
    points = landmarks[..., :2]
    return np.stack([points[..., list(group), :].mean(axis=-2) for group in groups], axis=-2)


def face_anchors(landmarks: np.ndarray) -> np.ndarray:
    """Return (..., 3, 2) px: left brow, right brow and nose of (..., 106 or 478, 2 or 3) landmarks.

    Raises ValueError for another number of landmarks.
    """
    count = landmarks.shape[-2]
    if count not in ANCHORS:
        raise ValueError(f"no anchors are known among {count} landmarks, only {sorted(ANCHORS)}")
    return mean_points(landmarks, ANCHORS[count])


def rounded_anchors(landmarks: np.ndarray) -> np.ndarray:
    """Return `face_anchors` of whole-px landmarks in whole px, halves to even.

    The published program computes with these; they make the crop tremble by up to half a px.
    """
    return np.round(face_anchors(np.round(landmarks.astype(np.float64))))
