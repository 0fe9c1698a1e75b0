"""A small "AI" in the picture's corner, for those who want a result to be told at a glance."""

from __future__ import annotations

import cv2
import numpy as np

from lipsync.types import Colour, Frame, Size

_SHARE = 0.045  # height of the badge, of the picture's shorter side
_SMALLEST = 14  # px; under that nobody can read it
_MARGIN = 0.5  # from the picture's edges, of the badge's height
_WIDTH = 1.7  # of its height
_BADGE_STRENGTH, _LETTER_STRENGTH = 0.55, 0.9
_FINE = 8  # drawn this many times larger, then averaged: smooth edges at any size
_STROKE = 0.11  # of the badge's height
# The strokes of both letters, from the badge's middle, in badge heights.
_STROKES = (
    ((-0.50, 0.25), (-0.22, -0.25)),
    ((-0.22, -0.25), (0.06, 0.25)),
    ((-0.41, 0.09), (-0.03, 0.09)),
    ((0.36, -0.25), (0.36, 0.25)),
)


class Mark:
    """Lays the badge over frames of one size and colour; prepared once, drawn on the planes."""

    def __init__(self, size: Size, colour: Colour) -> None:
        height = min(max(round(_SHARE * min(size)), _SMALLEST), min(size) // 2) & ~1
        width = min(round(_WIDTH * height), size.width) & ~1
        margin = min(round(_MARGIN * height), (min(size) - height) // 2) & ~1
        bottom, right = (size.height - margin) & ~1, max(size.width - margin, width) & ~1
        self._luma = (slice(bottom - height, bottom), slice(right - width, right))
        self._chroma = tuple(slice(part.start // 2, part.stop // 2) for part in self._luma)
        badge, letters = _draw_badge(height, width)
        black, white = (0.0, 255.0) if colour.full_range else (16.0, 235.0)
        lighter = _LETTER_STRENGTH * letters
        darker = _BADGE_STRENGTH * badge * (1 - lighter)
        self._kept = 1 - darker - lighter
        self._added = darker * black + lighter * white
        half = (width // 2, height // 2)
        self._kept_chroma = cv2.resize(self._kept, half, interpolation=cv2.INTER_AREA)

    def draw(self, frame: Frame) -> Frame:
        """Return a copy of `frame` with the badge in its lower right corner."""
        y, u, v = (np.array(plane) for plane in (frame.y, frame.u, frame.v))
        y[self._luma] = np.rint(y[self._luma] * self._kept + self._added)
        for plane in (u, v):
            tint = plane[self._chroma] - np.float32(128)
            plane[self._chroma] = np.rint(tint * self._kept_chroma + 128)
        return Frame(frame.index, y, u, v, frame.colour)


def _draw_badge(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two (h, w) float32 in [0, 1]: where the badge is, and where its letters are."""
    fine = (height * _FINE, width * _FINE)
    unit, middle = fine[0], np.array([fine[1], fine[0]]) / 2
    badge, letters = np.zeros(fine, np.uint8), np.zeros(fine, np.uint8)
    radius = unit // 4
    cv2.rectangle(badge, (radius, 0), (fine[1] - 1 - radius, fine[0] - 1), (255.0,), -1)
    cv2.rectangle(badge, (0, radius), (fine[1] - 1, fine[0] - 1 - radius), (255.0,), -1)
    for x in (radius, fine[1] - 1 - radius):
        for y in (radius, fine[0] - 1 - radius):
            cv2.circle(badge, (x, y), radius, (255.0,), -1)
    for stroke in _STROKES:
        start, end = (
            tuple(np.rint(middle + unit * np.array(point)).astype(int).tolist()) for point in stroke
        )
        cv2.line(letters, start, end, (255.0,), max(round(_STROKE * unit), 1), cv2.LINE_AA)
    shrunk = (
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        for image in (badge, letters)
    )
    drawn, written = (image.astype(np.float32) / 255 for image in shrunk)
    return drawn, written
