"""Masks: which part of a crop an engine's picture replaces, 1 = generated.

The templates' masks are drawn from a few numbers at any size and named for what they cover;
`feather_mask` softens the edge of any region inwards, so that nothing outside it is touched.
"""

from __future__ import annotations

import cv2
import numpy as np

# Outline of the region LatentSync's network was trained to fill, as shares of the crop's sides:
# from under the eyes, around the nose, down over cheeks and chin.
_LOWER_FACE = (
    (0.035, 0.371),
    (0.305, 0.371),
    (0.305, 0.500),
    (0.695, 0.500),
    (0.695, 0.371),
    (0.967, 0.371),
    (0.963, 0.560),
    (0.948, 0.672),
    (0.930, 0.703),
    (0.887, 0.766),
    (0.828, 0.828),
    (0.738, 0.891),
    (0.668, 0.922),
    (0.500, 0.949),
    (0.352, 0.922),
    (0.281, 0.891),
    (0.176, 0.828),
    (0.113, 0.766),
    (0.070, 0.703),
    (0.051, 0.672),
    (0.039, 0.560),
)
# An oval over mouth, cheeks and chin in a crop centred on the mouth, 1.45 IOD to each side.
_MOUTH_AND_CHIN = tuple(
    (0.5 + 0.24 * float(np.sin(turn)), 0.55 + 0.22 * float(np.cos(turn)))
    for turn in np.linspace(0, 2 * np.pi, 48, endpoint=False)
)
# What Wav2Lip's network repaints, its crop's lower half, as far as the jaw may reach.
_LOWER_HALF = (
    (0.03, 0.50),
    (0.97, 0.50),
    (0.97, 0.62),
    (0.95, 0.73),
    (0.90, 0.83),
    (0.82, 0.91),
    (0.70, 0.955),
    (0.50, 0.975),
    (0.30, 0.955),
    (0.18, 0.91),
    (0.10, 0.83),
    (0.05, 0.73),
    (0.03, 0.62),
)
OUTLINES = {
    "lower_face": _LOWER_FACE,
    "mouth_and_chin": _MOUTH_AND_CHIN,
    "lower_half": _LOWER_HALF,
}
TEMPLATE_FEATHER = 0.04  # of the crop's side


def template_mask(name: str, size: int, feather: float = TEMPLATE_FEATHER) -> np.ndarray:
    """Return the (S, S) float32 mask `name` (a key of `OUTLINES`) for a crop of `size` px.

    `feather` is the width of the soft edge as a share of the side; 0 gives a hard mask.
    """
    outline = np.array(OUTLINES[name], np.float32)
    region = fill_polygon((size, size), outline * size - 0.5) >= 0.5
    return feather_mask(region, feather * size)


def fill_polygon(size: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """Return (h, w) float32: 1 inside the closed polygon (N, 2) px, with an anti-aliased edge."""
    canvas = np.zeros(size, np.uint8)
    # four more bits of position than whole pixels
    fixed = np.rint(points * 16).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], (255.0,), lineType=cv2.LINE_AA, shift=4)
    return canvas.astype(np.float32) / 255


def feather_mask(region: np.ndarray, width: float) -> np.ndarray:
    """Return (h, w) float32 that rises smoothly from 0 at the edge of `region` to 1 inside it.

    `region` is (h, w) bool; the rise takes `width` px and lies wholly inside the region, whose
    pixels outside stay exactly 0. The picture's border counts as an edge: a crop ends there.
    """
    if width <= 0:
        return region.astype(np.float32)
    bordered = np.pad(region.astype(np.uint8), 1)
    distance = cv2.distanceTransform(bordered, cv2.DIST_L2, 5)[1:-1, 1:-1]
    rise = np.clip(distance / np.float32(width + 1.0), 0.0, 1.0)
    return rise * rise * (3.0 - 2.0 * rise)
