"""The published way from a detected box to the network's input, and from its output to the frame.

Boxes are padded, smoothed forwards and cut to whole pixels; the face is squeezed to 96 px; what the
network paints is pasted as a hard rectangle, with its levels truncated. For results that can be
compared with Wav2Lip's own; our way aligns, blends and rounds. Pictures are RGB as everywhere in
this program, and only the network's own planes BGR. https://github.com/Rudrabha/Wav2Lip
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipsync.engines.wav2lip.units import HALF, SIDE
from lipsync.types import Size

_REACH = 5  # boxes that each box becomes the mean of
_LEVELS = (np.arange(256) / 255).astype(np.float32)  # divided in float64, as published


@dataclass(frozen=True)
class Pads:
    """Pixels by which a detected box is made larger, negative to make it smaller."""

    top: int = 0
    bottom: int = 10
    left: int = 0
    right: int = 0


def pad_boxes(boxes: np.ndarray, pads: Pads, size: Size) -> np.ndarray:
    """Return (n, 4) int64 boxes x1 y1 x2 y2, made larger and cut to the frame of `size`."""
    change = np.array([-pads.left, -pads.top, pads.right, pads.bottom])
    padded = boxes.astype(np.int64) + change
    ends = np.array([size.width, size.height])
    low = np.clip(padded[:, :2], 0, ends - 1)
    high = np.clip(padded[:, 2:], low + 1, ends)  # a box beside the frame keeps a pixel
    return np.concatenate([low, high], axis=1)


def smooth_boxes(boxes: np.ndarray) -> np.ndarray:
    """Return (n, 4) int64 boxes, each the truncated mean of five: itself and the next four.

    Later ones are means of what has already been smoothed, and near the end the five reach back to
    such: the published arithmetic, which also has fewer than five boxes averaged over the last few.
    """
    smooth = boxes.astype(np.int64)
    for row in range(len(smooth)):
        # of fewer than five boxes this start is below zero, and so counts from the end, as there
        start = min(row, len(smooth) - _REACH)
        smooth[row] = smooth[start:][:_REACH].mean(axis=0)
    return smooth


def crop_face(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the (96, 96, 3) uint8 face in the `box` x1 y1 x2 y2 of an (H, W, 3) uint8 picture."""
    left, top, right, bottom = box.tolist()
    return cv2.resize(picture[top:bottom, left:right], (SIDE, SIDE))


def stack_faces(faces: np.ndarray) -> np.ndarray:
    """Return (B, 6, 96, 96) float32 in [0, 1], BGR, of (B, 96, 96, 3) uint8 RGB faces.

    Each face without its lower half, then the same face whole.
    """
    whole = _LEVELS[faces[..., ::-1].transpose(0, 3, 1, 2)]
    masked = whole.copy()
    masked[:, :, HALF:] = 0.0
    return np.concatenate([masked, whole], axis=1)


def paste_face(picture: np.ndarray, painted: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return a copy of an (H, W, 3) uint8 RGB picture with a painted face in the `box`.

    `painted` is (3, 96, 96) float32 in [0, 1], BGR, as the network answers.
    """
    left, top, right, bottom = box.tolist()
    levels = (painted[::-1].transpose(1, 2, 0) * np.float32(255)).astype(np.uint8)
    pasted = picture.copy()
    pasted[top:bottom, left:right] = cv2.resize(levels, (right - left, bottom - top))
    return pasted
