"""Putting a generated crop back into its frame, touching the face's rectangle only.

Everything the mask does not cover stays bit-identical, and so does every 2 × 2 block that an engine
hands back exactly as it was given: crop and paste back gives the frame it began with.
"""

from __future__ import annotations

import cv2
import numpy as np

from lipsync.face.align import clip_rect, even_offset, warp_image
from lipsync.media.colour import blend_rgb, rgb_image
from lipsync.types import Frame, Rect


def paste_back(frame: Frame, face: np.ndarray, mask: np.ndarray, matrix: np.ndarray) -> Frame:
    """Return `frame` with the crop `face` blended in by `mask` where the crop was taken.

    `face` is (S, S, 3) uint8 RGB, `mask` (S, S) float32 in [0, 1], `matrix` the (2, 3) float32 that
    took frame px to crop px. A matrix of whole, even px is undone without resampling.
    """
    offset = even_offset(matrix)
    if offset is not None:
        return _paste_moved(frame, face, mask, offset)
    rows, columns = np.flatnonzero(mask.max(axis=1)), np.flatnonzero(mask.max(axis=0))
    if not len(rows):
        return frame
    inverse: np.ndarray = cv2.invertAffineTransform(np.asarray(matrix, np.float64))
    box = (columns[0] - 1, rows[0] - 1, columns[-1] + 1, rows[-1] + 1)
    corners = np.array([(x, y) for x in box[::2] for y in box[1::2]], np.float64)
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
    rows, columns = np.flatnonzero(mask.max(axis=1)), np.flatnonzero(mask.max(axis=0))
    if not len(rows):
        return frame
    left, top = offset
    height, width = frame.size
    rect = Rect(
        max(left + int(columns[0]), 0) & ~1,
        max(top + int(rows[0]), 0) & ~1,
        min(left + int(columns[-1]) + 2 & ~1, width),
        min(top + int(rows[-1]) + 2 & ~1, height),
    )
    if rect.left >= rect.right or rect.top >= rect.bottom:
        return frame
    part = (slice(rect.top - top, rect.bottom - top), slice(rect.left - left, rect.right - left))
    rgb, weight = face[part], mask[part].astype(np.float32)
    changed = _changed_blocks(rgb, rgb_image(frame, rect=rect))
    return blend_rgb(frame, rect, np.ascontiguousarray(rgb), weight * changed)


def _changed_blocks(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return (h, w) float32: 0 on each 2 × 2 block (the grain of chroma) that is equal in both."""
    difference = cv2.absdiff(new, old)
    height, width = difference.shape[:2]
    blocks = difference.reshape(height // 2, 2, width // 2, 6).max(axis=(1, 3)) > 0
    return np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1).astype(np.float32)
