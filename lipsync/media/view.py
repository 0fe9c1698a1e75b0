"""A frame as an RGB picture of which only the parts that are looked at get converted."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from lipsync.media.colour import yuv_to_rgb_matrix
from lipsync.types import Frame, Size


class Picture(Protocol):
    """What a detector needs of a picture; any (H, W, 3) uint8 RGB array has it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, 3."""
        ...

    def __getitem__(self, part: tuple[slice, slice], /) -> np.ndarray:
        """Return rows and columns (steps allowed, starts and stops inside) as (h, w, 3) uint8."""
        ...


class FrameView:
    """A frame whole or at half its size or less; cutting a part out converts that part to RGB."""

    def __init__(self, frame: Frame, size: Size) -> None:
        self._y = _shrunk(frame.y, size)
        half = size if size.height <= frame.u.shape[0] else Size(*frame.u.shape)
        self._u, self._v = (_shrunk(plane, half) for plane in (frame.u, frame.v))
        self._matrix = yuv_to_rgb_matrix(frame.colour)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self._y.shape, 3)

    def __getitem__(self, part: tuple[slice, slice], /) -> np.ndarray:
        y = self._y[part]
        u, v = (self._chroma(plane, part) for plane in (self._u, self._v))
        return cv2.transform(cv2.merge([y, u, v]), self._matrix)

    def _chroma(self, plane: np.ndarray, part: tuple[slice, slice]) -> np.ndarray:
        """Return the nearest chroma for each luma pixel of `part`."""
        if plane.shape == self._y.shape:
            return plane[part]
        spans = [s.indices(n) for s, n in zip(part, self._y.shape, strict=True)]
        (top, bottom, row_step), (left, right, column_step) = spans
        block = plane[top // 2 : -(-bottom // 2), left // 2 : -(-right // 2)]
        doubled = cv2.resize(block, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        row, column = top % 2, left % 2
        return doubled[
            row : row + bottom - top : row_step, column : column + right - left : column_step
        ]


def _shrunk(plane: np.ndarray, size: Size) -> np.ndarray:
    if plane.shape == tuple(size):
        return plane
    return cv2.resize(plane, (size.width, size.height), interpolation=cv2.INTER_AREA)
