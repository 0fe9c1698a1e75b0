"""Putting a generated crop back into its frame, touching the face's rectangle only.

Everything the mask does not cover stays bit-identical, and so does every 2 × 2 block that an engine
hands back exactly as it was given: crop and paste back gives the frame it began with.
"""

from __future__ import annotations

import cv2
import numpy as np

from lipsync.face.align import clip_rect, even_offset, rgb_part, warp_image
from lipsync.media.colour import blend_rgb
from lipsync.types import Frame, Rect


def paste_back(frame: Frame, face: np.ndarray, mask: np.ndarray, matrix: np.ndarray) -> Frame:
    """Return `frame` with the crop `face` blended in by `mask` where the crop was taken.

    `face` is (S, S, 3) uint8 RGB, `mask` (S, S) float32 in [0, 1], `matrix` the (2, 3) float32 that
    took frame px to crop px. A matrix of whole, even px is undone without resampling.
    """
    offset = even_offset(matrix)
    if offset is not None:
        return _paste_moved(frame, face, mask, offset)
    covered = _covered(mask)
    if covered is None:
        return frame
    inverse: np.ndarray = cv2.invertAffineTransform(np.asarray(matrix, np.float64))
    across, down = (covered.left - 1, covered.right), (covered.top - 1, covered.bottom)
    corners = np.array([(x, y) for x in across for y in down], np.float64)
    seen = corners @ inverse[:, :2].T + inverse[:, 2]
    low, high = np.floor(seen.min(axis=0)).astype(int), np.ceil(seen.max(axis=0)).astype(int) + 1
    if (high <= 0).any() or low[0] >= frame.size.width or low[1] >= frame.size.height:
        return frame
    rect = clip_rect(Rect(*low.tolist(), *high.tolist()), frame)
    size = (rect.bottom - rect.top, rect.right - rect.left)
    inverse[:, 2] -= np.array([rect.left, rect.top])
    # the crop's border is repeated while the mask runs out to 0: no dark rim where they meet
    rgb = warp_image(face, inverse, size)
    weight = np.clip(warp_image(mask, inverse, size, outside=0.0), 0.0, 1.0)
    return blend_rgb(frame, rect, rgb, weight)


def _paste_moved(
    frame: Frame, face: np.ndarray, mask: np.ndarray, offset: tuple[int, int]
) -> Frame:
    covered = _covered(mask)
    if covered is None:
        return frame
    left, top = offset
    height, width = frame.size
    rect = Rect(
        max(left + covered.left, 0) & ~1,
        max(top + covered.top, 0) & ~1,
        min(left + covered.right + 1 & ~1, width),
        min(top + covered.bottom + 1 & ~1, height),
    )
    if rect.left >= rect.right or rect.top >= rect.bottom:
        return frame
    part = (slice(rect.top - top, rect.bottom - top), slice(rect.left - left, rect.right - left))
    rgb, weight = np.ascontiguousarray(face[part]), np.ascontiguousarray(mask[part], np.float32)
    weight = _without_unchanged(weight, rgb, rgb_part(frame, rect))
    return blend_rgb(frame, rect, rgb, weight)


def _covered(mask: np.ndarray) -> Rect | None:
    """Return the smallest rectangle around all weights above 0."""
    left, top, width, height = cv2.boundingRect((mask > 0).view(np.uint8))
    if width == 0:
        return None
    return Rect(left, top, left + width, top + height)


def _without_unchanged(weight: np.ndarray, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return `weight` (h, w) with 0 on each 2 × 2 block (the grain of chroma) equal in both."""
    height, width = weight.shape
    differs = cv2.transform(cv2.absdiff(new, old), np.ones((1, 3)))  # saturates, never wraps
    differs = cv2.threshold(differs, 0, 255, cv2.THRESH_BINARY)[1]
    blocks = cv2.resize(differs, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    blocks = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)
    return cv2.copyTo(weight, blocks)
