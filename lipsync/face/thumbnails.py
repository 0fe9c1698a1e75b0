"""Small pictures of people, for choosing among them."""

from __future__ import annotations

import numpy as np

from lipsync.face.align import crop_face
from lipsync.types import Frame

MARGIN = 1.4  # the mesh's box ends at brow and chin; people know each other by more than that


def face_thumbnail(frame: Frame, box: np.ndarray, side: int = 128) -> np.ndarray:
    """Return (side, side, 3) uint8 RGB of the face in a (4,) `box` of `frame`, with some hair."""
    x1, y1, x2, y2 = box.tolist()
    scale = side / (MARGIN * max(x2 - x1, y2 - y1, 1.0))
    middle = (side - 1) / 2
    matrix = np.array(
        [
            [scale, 0.0, middle - scale * (x1 + x2) / 2],
            [0.0, scale, middle - scale * (y1 + y2) / 2],
        ],
        np.float32,
    )
    return crop_face(frame, matrix, side)
