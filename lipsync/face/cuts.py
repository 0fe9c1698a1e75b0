"""Finding scene cuts, one pair of frames at a time, from thumbnails of a few hundred pixels.

A cut changes the picture all over and for good. Fast motion changes much of it but keeps its
colours; a flash changes everything but the layout, and only the brightness. So a cut is called
where both the layout (normalised difference) and the colours (histogram) change, and where the
change stands out from the motion just before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipsync.media.view import Picture

THUMBNAIL_SIDE = 48  # px, longer side
LAYOUT_FLOOR = 0.12  # 1 - correlation of consecutive pictures; 43 talking clips stay under 0.05
COLOUR_FLOOR = 0.25  # share of pixels with a new colour after levelling; the same clips: under 0.11
STRONG_LAYOUT = 0.75  # nothing in common any more: a cut even where the colours agree
SPARSE_LAYOUT = 0.4  # the two floors for pictures seconds apart
SPARSE_COLOUR = 0.35
RISE = 3.0  # a cut changes the layout this many times more than the motion before it
FLAT = 4.0  # grey levels; a picture with less contrast (black, white flash) shows no layout
RECENT = 0.8  # weight that the motion seen so far keeps from frame to frame


@dataclass(frozen=True)
class CutState:
    """What the next decision needs: the last thumbnail and how lively the shot has been."""

    thumbnail: np.ndarray  # (h, w, 3) uint8 RGB, the last that was not flat
    motion: float = 0.0  # running mean of the layout change within this shot
    layout_before: np.ndarray | None = None  # thumbnail before the last one, same shot


def cut_thumbnail(image: Picture) -> np.ndarray:
    """Shrink a (H, W, 3) uint8 RGB picture to the few pixels that the cut finder looks at."""
    # every n-th pixel is enough to average over, and spares reading a large picture twice
    step = max(1, max(image.shape[:2]) // (6 * THUMBNAIL_SIDE))
    sparse = np.ascontiguousarray(image[::step, ::step])
    height, width = sparse.shape[:2]
    scale = THUMBNAIL_SIDE / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    return cv2.resize(sparse, size, interpolation=cv2.INTER_AREA)


def layout_change(one: np.ndarray, other: np.ndarray) -> float:
    """Return 1 - correlation of two thumbnails, in [0, 2]; brightness and contrast cancel out."""
    first = _levelled(one)
    second = _levelled(other)
    return float(1.0 - np.mean(first * second))


def colour_change(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of pixels, in [0, 1], whose colour is new after levelling the brightness."""
    first, second = (_histogram(thumbnail) for thumbnail in (one, other))
    return float(np.abs(first - second).sum() / 2)


def is_flat(thumbnail: np.ndarray) -> bool:
    """Tell whether a thumbnail is nearly one tone: a flash, a fade's darkest moment, a blank."""
    return float(_grey(thumbnail).std()) < FLAT


def is_cut(state: CutState, thumbnail: np.ndarray) -> bool:
    """Tell whether `thumbnail` (h, w, 3) uint8 begins a new shot after the ones in `state`."""
    layout = layout_change(state.thumbnail, thumbnail)
    if layout < max(LAYOUT_FLOOR, RISE * state.motion):
        return False
    before = state.layout_before
    if before is not None and layout_change(before, thumbnail) < LAYOUT_FLOOR:
        return False  # back to what was there before a one-frame disturbance
    return layout > STRONG_LAYOUT or colour_change(state.thumbnail, thumbnail) > COLOUR_FLOOR


class CutFinder:
    """Say for each frame of a stream whether it begins a new shot."""

    def __init__(self) -> None:
        self._state: CutState | None = None

    def update(self, image: Picture) -> bool:
        """Take the next (H, W, 3) uint8 RGB picture; True if it begins a new shot."""
        thumbnail = cut_thumbnail(image)
        state = self._state
        if state is None:
            self._state = CutState(thumbnail)
            return False
        if is_flat(thumbnail):
            return False  # the next picture is compared with the one before the flash or fade
        cut = is_cut(state, thumbnail)
        if cut:
            self._state = CutState(thumbnail)
        else:
            change = layout_change(state.thumbnail, thumbnail)
            motion = RECENT * state.motion + (1 - RECENT) * change
            self._state = CutState(thumbnail, motion, state.thumbnail)
        return cut


class SparseCutFinder:
    """Say for each of some pictures seconds apart whether a cut lies between it and the last.

    Within a shot people and camera move far in seconds, so the colours have to be new, too.
    """

    def __init__(self) -> None:
        self._last: np.ndarray | None = None

    def update(self, image: Picture) -> bool:
        """Take the next (H, W, 3) uint8 RGB picture; True if it shows another shot."""
        thumbnail = cut_thumbnail(image)
        if self._last is None:
            self._last = thumbnail
            return False
        if is_flat(thumbnail):
            return False
        last, self._last = self._last, thumbnail
        return (
            layout_change(last, thumbnail) > SPARSE_LAYOUT
            and colour_change(last, thumbnail) > SPARSE_COLOUR
        )


def _grey(thumbnail: np.ndarray) -> np.ndarray:
    grey = thumbnail.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    # a slight blur: what moves by a pixel or two is still the same layout
    return cv2.GaussianBlur(grey, (0, 0), 1.0)


def _levelled(thumbnail: np.ndarray) -> np.ndarray:
    grey = _grey(thumbnail)
    grey -= grey.mean()
    return grey / max(float(grey.std()), 1.0)


def _histogram(thumbnail: np.ndarray) -> np.ndarray:
    """Return the (512,) shares of colours, 8 levels each, with the mean brightness taken out."""
    levelled = thumbnail.astype(np.float32)
    levelled *= 128.0 / max(float(levelled.mean()), 1.0)
    bins = np.clip(levelled / 32.0, 0, 7).astype(np.int64) @ np.array([64, 8, 1])
    counts = np.bincount(bins.ravel(), minlength=512).astype(np.float32)
    return counts / counts.sum()
