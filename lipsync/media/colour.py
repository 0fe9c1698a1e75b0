"""RGB from YUV and back, on small rectangles and fast.

Chroma is taken as centred on its 2×2 luma pixels in both directions, so that a round trip puts
colour back where it was found.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from lipsync.types import Colour, Frame, Rect, Size

# Weights of red and blue in luma, ITU-R BT.601, BT.709 and BT.2020.
_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
SRGB_VIDEO = Colour(matrix="bt709", full_range=False, primaries=1, transfer=1, space=1)


@lru_cache(maxsize=16)
def rgb_to_yuv_matrix(colour: Colour) -> np.ndarray:
    """Return (3, 4) float64 that takes RGB in [0, 255], and 1, to Y, U, V codes."""
    red, blue = _LUMA[colour.matrix]
    luma = np.array([red, 1.0 - red - blue, blue])
    rows = np.stack(
        [
            luma,
            (np.array([0.0, 0.0, 1.0]) - luma) / (2.0 * (1.0 - blue)),
            (np.array([1.0, 0.0, 0.0]) - luma) / (2.0 * (1.0 - red)),
        ]
    )
    scale = [1.0, 1.0, 1.0] if colour.full_range else [219.0 / 255, 224.0 / 255, 224.0 / 255]
    offset = [0.0 if colour.full_range else 16.0, 128.0, 128.0]
    return np.column_stack([rows * np.array(scale)[:, None], offset])


@lru_cache(maxsize=16)
def yuv_to_rgb_matrix(colour: Colour) -> np.ndarray:
    """Return (3, 4) float64 that takes Y, U, V codes, and 1, to RGB in [0, 255]."""
    forward = rgb_to_yuv_matrix(colour)
    inverse = np.linalg.inv(forward[:, :3])
    return np.column_stack([inverse, -inverse @ forward[:, 3]])


def rgb_image(frame: Frame, size: Size | None = None, rect: Rect | None = None) -> np.ndarray:
    """Return the frame, or the part inside `rect`, as (h, w, 3) uint8 RGB.

    `size` (height, width) shrinks or enlarges the result; shrinking averages the planes before
    the conversion. `rect` has even coordinates and lies inside the frame.
    """
    y, u, v = frame.y, frame.u, frame.v
    if rect is not None:
        y, u, v = _inside(frame, rect)
    height, width = size or y.shape
    y, u, v = (_resized(plane, width, height) for plane in (y, u, v))
    return cv2.transform(cv2.merge([y, u, v]), yuv_to_rgb_matrix(frame.colour))


def blend_rgb(frame: Frame, rect: Rect, rgb: np.ndarray, mask: np.ndarray) -> Frame:
    """Return a new frame with `rgb` laid over `frame` inside `rect`, weighted by `mask`.

    `rgb` is (h, w, 3) uint8 and `mask` (h, w) float32 in [0, 1] for an h × w `rect` with even
    coordinates inside the frame. Luma is weighted by the mask, chroma by the mean of its four
    mask pixels, and by 0 where any of the four is 0. Pixels of weight 0 stay bit-identical.
    """
    left, top, right, bottom = rect
    assert not (left | top | right | bottom) & 1, "the rectangle must have even coordinates"
    assert rgb.shape[:2] == mask.shape == (bottom - top, right - left)
    planes = [np.array(plane) for plane in (frame.y, frame.u, frame.v)]
    result = Frame(frame.index, planes[0], planes[1], planes[2], frame.colour)
    box = _even_bounding_box(mask)
    if box is None:
        return result
    rgb = rgb[box.top : box.bottom, box.left : box.right]
    mask = np.ascontiguousarray(mask[box.top : box.bottom, box.left : box.right], np.float32)
    y, u, v = _inside(
        result, Rect(left + box.left, top + box.top, left + box.right, top + box.bottom)
    )
    matrix = rgb_to_yuv_matrix(frame.colour)
    _blend_plane(y, cv2.transform(rgb, matrix[:1]), mask)
    half = (mask.shape[1] // 2, mask.shape[0] // 2)
    weight = cv2.resize(mask, half, interpolation=cv2.INTER_AREA)
    weight[_any_zero(mask)] = 0.0
    small = cv2.resize(rgb, half, interpolation=cv2.INTER_AREA)
    chroma = cv2.transform(small, matrix[1:])
    _blend_plane(u, cv2.extractChannel(chroma, 0), weight)
    _blend_plane(v, cv2.extractChannel(chroma, 1), weight)
    return result


def frame_from_rgb(rgb: np.ndarray, index: int = 0, colour: Colour = SRGB_VIDEO) -> Frame:
    """Return (H, W, 3) uint8 RGB as a 4:2:0 frame; odd sides grow by repeating the edge."""
    height, width = rgb.shape[:2]
    rgb = cv2.copyMakeBorder(rgb, 0, height & 1, 0, width & 1, cv2.BORDER_REPLICATE)
    matrix = rgb_to_yuv_matrix(colour)
    half = (rgb.shape[1] // 2, rgb.shape[0] // 2)
    y = cv2.transform(rgb, matrix[:1])
    chroma = cv2.transform(cv2.resize(rgb, half, interpolation=cv2.INTER_AREA), matrix[1:])
    u, v = cv2.split(chroma)
    return Frame(index, y, u, v, colour)


def resize_frame(frame: Frame, size: Size) -> Frame:
    """Return the frame at another size, both sides even; its colours stay YUV as they are."""
    height, width = size
    y = _resized(frame.y, width, height)
    u, v = (_resized(plane, width // 2, height // 2) for plane in (frame.u, frame.v))
    return Frame(frame.index, y, u, v, frame.colour)


def _inside(frame: Frame, rect: Rect) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return views on the three planes inside `rect`."""
    left, top, right, bottom = rect
    assert not (left | top | right | bottom) & 1, "the rectangle must have even coordinates"
    assert 0 <= left < right <= frame.size.width
    assert 0 <= top < bottom <= frame.size.height
    rows, columns = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
    return frame.y[top:bottom, left:right], frame.u[rows, columns], frame.v[rows, columns]


def _resized(plane: np.ndarray, width: int, height: int) -> np.ndarray:
    if plane.shape == (height, width):
        return plane
    shrinks = height <= plane.shape[0] and width <= plane.shape[1]
    return cv2.resize(
        plane, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def _even_bounding_box(mask: np.ndarray) -> Rect | None:
    """Return the smallest rectangle of even coordinates around all weights above 0."""
    rows = np.flatnonzero(mask.max(axis=1) > 0)
    columns = np.flatnonzero(mask.max(axis=0) > 0)
    if not len(rows):
        return None
    return Rect(
        int(columns[0]) & ~1,
        int(rows[0]) & ~1,
        (int(columns[-1]) + 2) & ~1,
        (int(rows[-1]) + 2) & ~1,
    )


def _any_zero(mask: np.ndarray) -> np.ndarray:
    """Return (h/2, w/2) bool: one of the four mask pixels is not above 0."""
    rows = np.minimum(mask[0::2], mask[1::2])
    return np.minimum(rows[:, 0::2], rows[:, 1::2]) <= 0.0


def _blend_plane(plane: np.ndarray, new: np.ndarray, weight: np.ndarray) -> None:
    """Move `plane` towards `new` by `weight`, in place, rounding to the nearest code."""
    difference = cv2.subtract(new, plane, dtype=cv2.CV_32F)
    step = cv2.multiply(difference, weight)
    cv2.add(plane, step, dst=plane, dtype=cv2.CV_8U)
