"""How far a head is turned, from the mesh alone."""

from __future__ import annotations

import numpy as np

# pairs of mesh points at the same height left and right: outer eye corners, temples, cheek sides
ACROSS = np.array([[33, 263], [127, 356], [234, 454]])


def head_yaw(landmarks: np.ndarray) -> np.ndarray:
    """Return the yaw in degrees of (..., L, 3) mesh landmarks, (...), > 0 = nose to picture right.

    From the depth difference between the two sides of the face; NaN for absent rows. MediaPipe's
    depth is an estimate: within about 10 degrees for turned heads, flatter beyond 60.
    """
    right, left = landmarks[..., ACROSS[:, 0], :], landmarks[..., ACROSS[:, 1], :]
    across = (left - right).mean(axis=-2)
    return np.degrees(np.arctan2(across[..., 2], np.hypot(across[..., 0], across[..., 1])))
