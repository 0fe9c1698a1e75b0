"""How soft the edge of a mask is, whoever drew it: the engine itself or its template."""

from __future__ import annotations

import cv2
import numpy as np

MAX_SOFTNESS = 2.0
_HARDEST = 1e-3  # a rise within a thousandth of the mask's own is a step
_MIDDLE = (0.35, 0.65)  # of the highest weight: pixels half-way up the mask's edge


def soften_edge(mask: np.ndarray, softness: float) -> np.ndarray:
    """Return a (h, w) float32 mask whose edge is `softness` times as wide as that of `mask`.

    `softness` lies in [0, 2]; at 1 the mask is returned as it is. A harder edge stays where the
    middle of the soft one was; a softer one reaches further in, never out: weights of 0 stay
    exactly 0. The highest weight is kept, so that the inside of the mask is never let through.
    """
    top = float(mask.max())
    if softness == 1.0 or top <= 0.0:
        return mask
    if softness < 1.0:
        middle = np.float32(top / 2)
        steep = (mask - middle) / np.float32(max(softness, _HARDEST)) + middle
        return np.clip(steep, 0.0, top, out=steep)
    depth = _depth_inside(mask)
    low, high = _MIDDLE
    half_way = depth[(mask > low * top) & (mask < high * top)]
    own_width = 2 * float(np.median(half_way)) if len(half_way) else 1.0
    width = min(softness * own_width, float(depth.max()))
    rise = np.clip(depth / np.float32(width), 0.0, 1.0)
    return np.minimum(mask, np.float32(top) * rise * rise * (3.0 - 2.0 * rise))


def _depth_inside(mask: np.ndarray) -> np.ndarray:
    """Return (h, w) float32: px from each weight above 0 to the nearest 0 or the picture's end."""
    covered = np.pad((mask > 0).astype(np.uint8), 1)
    depth: np.ndarray = cv2.distanceTransform(covered, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return depth
