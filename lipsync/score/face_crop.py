"""Faces as SyncNet was shown them: what is cut out of a frame around a face's box.

224 px squares at 25 fps, along a smoothed track: 1 half side of the box above its middle, 1.8
below, 1.4 to either side.
https://github.com/joonson/syncnet_python
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipsync.media.view import Picture
from lipsync.score.medians import running_median
from lipsync.score.syncnet import SIDE

_SMOOTH = 13  # frames, odd
_ROOM = 0.4  # of half a side, on either side of the box; twice that below
_BEYOND = 110  # grey level outside the frame
_RISE = 0.05  # of its height, by which S3FD's box lies higher than one around the mesh's points


@dataclass(frozen=True)
class CropPath:
    """Where a face is cut out of each frame of its track."""

    half_sides: np.ndarray  # (n,) float64 px, half the longer side of the box
    x: np.ndarray  # (n,) float64 px, middle of the box
    y: np.ndarray  # (n,) float64 px


@dataclass(frozen=True)
class Rectangle:
    """Whole px of a frame; it may reach beyond its edges."""

    top: int
    bottom: int
    left: int
    right: int


def usual_boxes(boxes: np.ndarray) -> np.ndarray:
    """Return (n, 4) boxes as S3FD sets them, of (n, 4) boxes around the mesh's points, px.

    Detectors that learned from WIDER FACE, as S3FD did, take in the forehead and end above the
    chin's edge; the mesh ends below the hair and on the edge. In units of the distance d from the
    eyes to the mouth, boxes around the mesh reach from 0.84 d above the eyes to 0.65 d below the
    mouth (medians on four real clips: 0.80 to 0.85 and 0.61 to 0.69) and are 2.05 d wide; three
    published examples of such detectors have 0.9 to 1.1 d, 0.4 to 0.65 d and 1.8 to 2.1 d: as
    large within 3 %, and a twentieth of the height further up.
    """
    rise = _RISE * (boxes[:, 3] - boxes[:, 1])
    moved = np.asarray(boxes, np.float64).copy()
    moved[:, [1, 3]] -= rise[:, None]
    return moved


def smooth_path(boxes: np.ndarray, *, compat: bool = False) -> CropPath:
    """Return where to cut along (n, 4) boxes, by a running median over half a second.

    `compat`: the published median takes zeros for what is beyond the ends, so that the first and
    last six faces are cut too small and too far up and left.
    """
    corners = np.asarray(boxes, np.float64)
    half = (corners[:, 2:] - corners[:, :2]).max(axis=1) / 2
    middle = (corners[:, 2:] + corners[:, :2]) / 2
    beyond = 0.0 if compat else np.nan
    return CropPath(*(running_median(v, _SMOOTH, beyond) for v in (half, *middle.T)))


def crop_rectangle(half_side: float, x: float, y: float, size: tuple[int, int]) -> Rectangle:
    """Return what to cut around a box, in px of a frame of `size` (height, width)."""
    below, beside = half_side * (1 + 2 * _ROOM), half_side * (1 + _ROOM)
    margin = int(below)  # counted from there, px are whole as published
    height, width = size
    return Rectangle(
        top=int(y + margin - half_side) - margin,
        bottom=min(int(y + margin + below) - margin, height + margin),
        left=int(x + margin - beside) - margin,
        right=min(int(x + margin + beside) - margin, width + margin),
    )


def crop_face(frame: Picture, where: Rectangle) -> np.ndarray:
    """Return (224, 224, 3) uint8 cut out of a (H, W, 3) RGB frame, grey beyond its edges."""
    height, width = frame.shape[:2]
    shape = (where.bottom - where.top, where.right - where.left, 3)
    canvas = np.full(shape, _BEYOND, np.uint8)
    top, left = max(where.top, 0), max(where.left, 0)
    bottom, right = min(where.bottom, height), min(where.right, width)
    if top < bottom and left < right:
        inside = canvas[
            top - where.top : bottom - where.top, left - where.left : right - where.left
        ]
        inside[:] = frame[top:bottom, left:right]
    return cv2.resize(canvas, (SIDE, SIDE))
