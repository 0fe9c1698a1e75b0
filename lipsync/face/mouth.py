"""The mouth as three numbers, measured on the 478-point mesh free of pose and of the person.

Lengths are in IOD, the 3-D distance of the outer eye corners (mesh points 33 and 263). Each frame's
rigid points (forehead, eyes, nose, temples) are fitted to a mean face by a 3-D similarity; what
remains in that canonical space is expression. Similarity: Umeyama, "Least-squares estimation of
transformation parameters between two point patterns", PAMI 1991.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from lipsync.assets import asset_path
from lipsync.face.detect import EYE_CORNERS
from lipsync.landmarks import LandmarkStore

INNER_LIPS = (13, 14)  # middle of the upper and the lower inner lip
MOUTH_CORNERS = (61, 291)
CHIN = 152
# fmt: off
RIGID = np.array([
    33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 19, 2, 98, 327, 129, 358, 9, 8, 151, 10, 67,
    297, 109, 338, 54, 284, 127, 356, 21, 251, 162, 389, 143, 372, 117, 346, 118, 347, 122, 351,
    196, 419, 3, 248, 236, 456, 198, 420, 209, 429, 49, 279, 131, 360,
])
# fmt: on
# the points that a mouth and the head around it are measured by
MEASURED = np.unique([*RIGID, *INNER_LIPS, *MOUTH_CORNERS, CHIN])
_CHUNK = 512  # rows handled at once, so that memory does not grow with the clip
_MAX_MEAN_ROWS = 400  # rows enough for a person's mean face


@dataclass(frozen=True)
class Pose:
    """Similarity per row: image point = scale * canonical @ rotation.T + origin."""

    scale: np.ndarray  # (T,) px per IOD
    rotation: np.ndarray  # (T, 3, 3)
    origin: np.ndarray  # (T, 3) px

    def to_canonical(self, points: np.ndarray) -> np.ndarray:
        """Map image points (T, L, 3) px to canonical space, IOD."""
        centred = points - self.origin[:, None]
        return np.einsum("tlk,tkj->tlj", centred, self.rotation) / self.scale[:, None, None]

    def to_image(self, canonical: np.ndarray) -> np.ndarray:
        """Map canonical points (T, L, 3) IOD to image px."""
        turned = np.einsum("tlj,tkj->tlk", canonical, self.rotation)
        return turned * self.scale[:, None, None] + self.origin[:, None]

    def __getitem__(self, rows: slice | np.ndarray) -> Pose:
        return Pose(self.scale[rows], self.rotation[rows], self.origin[rows])


@cache
def mean_face() -> np.ndarray:
    """Return the generic canonical face (478, 3) float64, IOD, y down."""
    with np.load(asset_path("mouth_shape.npz")) as stored:
        return stored["mean_face"].astype(np.float64)


def fit_pose(points: np.ndarray, canonical: np.ndarray | None = None) -> Pose:
    """Fit the similarity from `canonical` (478, 3) to each row of `points` (T, 478, 3)."""
    target = (mean_face() if canonical is None else canonical)[RIGID]
    target_centre = target.mean(axis=0)
    centred_target = target - target_centre
    source = np.asarray(points, np.float64)[:, RIGID]
    source_centre = source.mean(axis=1)
    covariance = np.einsum("tlk,lj->tkj", source - source_centre[:, None], centred_target)
    left, singular, right = np.linalg.svd(covariance)
    sign = np.ones_like(singular)
    sign[:, 2] = np.sign(np.linalg.det(left @ right))
    rotation = (left * sign[:, None]) @ right
    scale = (singular * sign).sum(axis=1) / (centred_target**2).sum()
    origin = source_centre - scale[:, None] * np.einsum("tkj,j->tk", rotation, target_centre)
    return Pose(scale, rotation, origin)


def person_face(landmarks: LandmarkStore | np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return this person's own mean canonical face (478, 3), IOD, over the given rows."""
    if len(rows) > _MAX_MEAN_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, _MAX_MEAN_ROWS).astype(int)]
    points = landmarks[rows]
    mean = fit_pose(points).to_canonical(points).mean(axis=0)
    mean = fit_pose(points, mean).to_canonical(points).mean(axis=0)
    unit = np.linalg.norm(mean[EYE_CORNERS[0]] - mean[EYE_CORNERS[1]])
    return mean / unit


def measure_canonical(canonical: np.ndarray) -> np.ndarray:
    """Return (T, 3) opening, width and jaw drop, IOD, of canonical faces (T, 478, 3)."""
    opening = np.linalg.norm(canonical[:, INNER_LIPS[0]] - canonical[:, INNER_LIPS[1]], axis=1)
    width = np.linalg.norm(canonical[:, MOUTH_CORNERS[0]] - canonical[:, MOUTH_CORNERS[1]], axis=1)
    return np.stack([opening, width, canonical[:, CHIN, 1]], axis=1)


def measure_mouth(
    landmarks: LandmarkStore | np.ndarray, rows: np.ndarray, face: np.ndarray | None = None
) -> np.ndarray:
    """Return (len(rows), 3) float64 opening, width and jaw drop, IOD, in the given rows.

    `face` is the person's mean canonical face (478, 3); measured from the rows where not given.
    """
    face = person_face(landmarks, rows) if face is None else face
    parts = []
    for start in range(0, len(rows), _CHUNK):
        points = landmarks[rows[start : start + _CHUNK]]
        parts.append(measure_canonical(fit_pose(points, face).to_canonical(points)))
    return np.concatenate(parts) if parts else np.zeros((0, 3))


def head_angles(rotation: np.ndarray) -> np.ndarray:
    """Return (T, 3) yaw, pitch, roll in degrees of rotations (T, 3, 3); 0 = facing the camera."""
    yaw = np.degrees(np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2]))
    pitch = np.degrees(np.arcsin(np.clip(-rotation[:, 1, 2], -1, 1)))
    roll = np.degrees(np.arctan2(rotation[:, 1, 0], rotation[:, 1, 1]))
    return np.stack([yaw, pitch, roll], axis=1)
