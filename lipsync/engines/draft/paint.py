"""One frame's picture: the face warped to its new mouth, and the mouth itself laid on top.

The base layer moves skin, chin and cheeks of the frame itself. The mouth layer is a small patch
around the lips, lent by one or two pictures (see `choice`), warped by one field above the line
where the lips meet and another below it, with the mouth's inside filled in where the lender has
none to show.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipsync.engines.draft.cavity import Light, draw_cavity, judge_light
from lipsync.engines.draft.mesh import (
    ANCHOR,
    CHEEK,
    CHIN,
    CONTROL,
    CORNERS,
    INNER_CORNERS,
    INNER_LIP,
    LOWER_LIP,
    OUTER_LIP,
    UPPER_LIP,
    positions,
)
from lipsync.engines.draft.warp import (
    Grid,
    absolute_map,
    sample,
    soften,
    solve_field,
)
from lipsync.face.mask import fill_polygon

_OUTER, _INNER = positions(OUTER_LIP), positions(INNER_LIP)
_INNER_LOWER = _INNER[:11]
_INNER_UPPER = _INNER[np.array([0, *range(19, 9, -1)])]
_SKIN = positions((*CHIN, *CHEEK))
_ALL = np.arange(len(CONTROL))
_FOLLOWS_UPPER = np.setdiff1d(_ALL, positions(LOWER_LIP))
_FOLLOWS_LOWER = np.setdiff1d(_ALL, positions(UPPER_LIP))
# the mouth layer's fields know nothing of the other lip nor of the skin beyond it: so they carry
# teeth on rigidly instead of stretching them between the lips
_RIDES_UPPER = positions((*UPPER_LIP, *CORNERS, *INNER_CORNERS, *CHEEK, *ANCHOR))
_RIDES_LOWER = positions((*LOWER_LIP, *CORNERS, *INNER_CORNERS, *CHIN))

_REGION = 1.35  # IOD, half the side of what the base layer moves
_BASE_STEP, _MOUTH_STEP = 1 / 14, 1 / 26  # IOD between places where a field is evaluated
_MOUTH_MARGIN = 0.14  # IOD around the lips that the mouth layer covers
_LIP_GROW, _LIP_FEATHER = 0.045, 0.022  # IOD
_FACE_GROW, _FACE_FEATHER = 0.16, 0.06  # IOD; the warp has died away there
_MASK_SHRINK = 4  # the soft face mask is drawn this many times smaller
_SEAL = 0.028  # IOD of opening below which lips count as meeting
_TUCK = 0.30  # share of the lip's thickness by which a sealing lip is read from further inside
_EDGE = 0.008  # IOD, softness of the line where the lips meet and of the mouth's rim
_TOOTH_SHARE = 0.8  # of the opening, from above, that shows what rides with the upper lip
_SHADE, _SHADE_DEPTH = 0.65, 0.06  # how much a lip coming down darkens, below which IOD of opening
_VISIBLE = 0.02  # share of a pixel that is worth drawing
_LIP_LINE = 0.45  # brightness of the line between closed lips, of the lip's own
_MAX_OFFSET = 40.0  # levels by which a lent mouth may be relit


@dataclass(frozen=True)
class MouthPicture:
    """A mouth to borrow: where its control points are in which picture."""

    image: np.ndarray  # (h, w, 3) uint8 RGB
    points: np.ndarray  # (C, 2) float32 px of the image


@dataclass(frozen=True)
class Painted:
    """One finished crop."""

    face: np.ndarray  # (S, S, 3) uint8 RGB
    mask: np.ndarray  # (S, S) float32, 1 = generated


def paint_frame(
    face: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    lenders: list[tuple[MouthPicture, float]],
    unit: float,
    light: Light,
) -> Painted:
    """Paint one crop (S, S, 3) uint8 whose control points (C, 2) px move from `source` to `target`.

    `lenders` are pictures with their shares, which add up to 1; `unit` is px per IOD.
    """
    size = face.shape[0]
    result = face.copy()
    region = _box_around(
        target[_OUTER].mean(axis=0, keepdims=True), _REGION, _BASE_STEP, unit, size
    )
    _cut(result, region)[:] = _warp_base(face, region, source, target, unit)
    around = _box_around(target[_OUTER], _MOUTH_MARGIN, _MOUTH_STEP, unit, size)
    mouth = MouthPlace(around, target, unit)
    below = _cut(result, around)
    patch = np.zeros(below.shape, np.float32)
    for picture, share in lenders:
        patch += np.float32(share) * mouth.relight(mouth.borrow(picture, light), below)
    patch -= below
    below[:] = np.clip(below + mouth.weight[..., None] * patch + 0.5, 0, 255).astype(np.uint8)
    return Painted(result, face_mask(size, source, target, unit))


def own_mouth(face: np.ndarray, source: np.ndarray, unit: float) -> MouthPicture:
    """Return the frame's own mouth as a picture to borrow, cut close."""
    box = _box_around(source[_OUTER], 2 * _MOUTH_MARGIN, _MOUTH_STEP, unit, face.shape[0])
    corner = np.array([box.left, box.top], np.float32)
    return MouthPicture(np.ascontiguousarray(_cut(face, box)), source - corner)


def face_mask(size: int, source: np.ndarray, target: np.ndarray, unit: float) -> np.ndarray:
    """Return (S, S) float32: 1 over chin and cheeks before and after, fading to exact 0 around."""
    points = np.concatenate([source[_SKIN], target[_SKIN], source[_OUTER], target[_OUTER]])
    hull = cv2.convexHull(points.astype(np.float32))[:, 0] / _MASK_SHRINK
    small = -(-size // _MASK_SHRINK)
    mask = fill_polygon((small, small), hull)
    scale = unit / _MASK_SHRINK
    mask = soften(mask, _FACE_GROW * scale, _FACE_FEATHER * scale)
    mask = cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR)
    mask[mask < 1 / 256] = 0.0
    return np.minimum(mask, 1.0)  # blurring ones gives a rounding error more


def read_light(face: np.ndarray, source: np.ndarray, unit: float) -> Light:
    """Judge the clip's light from the skin of one crop."""
    mask = face_mask(face.shape[0], source, source, unit)
    return judge_light(face[::4, ::4], mask[::4, ::4])


class MouthPlace:
    """Where the target's mouth lies: per pixel of a box, across and along, in IOD."""

    def __init__(self, box: Grid, target: np.ndarray, unit: float) -> None:
        self._box, self._target, self._unit = box, target, unit
        left, right = target[_INNER[0]], target[_INNER[10]]
        middle = (left + right) / 2
        axis = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
        turn = np.column_stack([axis, [-axis[1], axis[0]]])
        upper = (target[_INNER_UPPER] - middle) @ turn / unit
        lower = (target[_INNER_LOWER] - middle) @ turn / unit
        here = (box.points - middle) @ turn / unit
        above = np.interp(here[:, 0], np.maximum.accumulate(upper[:, 0]), upper[:, 1])
        beneath = np.interp(here[:, 0], np.maximum.accumulate(lower[:, 0]), lower[:, 1])
        across, along, above, beneath = cv2.split(box.fill(np.column_stack([here, above, beneath])))
        self.across = across
        self.below = along - above  # under the upper lip's rim
        self.depth = np.maximum(beneath - above, 0)
        self.half_width = float(right @ axis - left @ axis) / unit / 2
        self.opening = float(self.depth.max())
        # 1 where the lower lip's field rules, 0 where the upper one's does
        self.is_lower = _ramp(self.below - _TOOTH_SHARE * self.depth, _EDGE)
        self.slimness = _slimness(target)
        rim = np.minimum(self.below, self.depth - self.below)
        self.inside = _ramp(rim, _EDGE) * _ramp(self.half_width - np.abs(across), _EDGE)
        corner = np.array([box.left, box.top])
        lips = fill_polygon((box.height, box.width), target[_OUTER] - corner)
        self.weight = soften(lips, _LIP_GROW * unit, _LIP_FEATHER * unit)
        self._ring = soften(lips, 2 * _LIP_GROW * unit, 1) * (1 - soften(lips, 0.01 * unit, 1))

    def borrow(self, picture: MouthPicture, light: Light) -> np.ndarray:
        """Return the picture's mouth moved to this place, (height, width, 3) float32 RGB."""
        points = _tucked(picture.points, 1 - self.opening / _SEAL)
        height, width = picture.image.shape[:2]
        shown = fill_polygon((height, width), picture.points[_INNER])
        halves = []
        for riders in (_RIDES_UPPER, _RIDES_LOWER):
            field = solve_field(self._target[riders], points[riders], self._unit)
            where = absolute_map(self._box, field(self._box.points))
            interior = sample(shown, where, outside=cv2.BORDER_CONSTANT)
            halves.append((sample(picture.image, where).astype(np.float32), interior))
        share = self.is_lower[..., None]
        lips = halves[0][0] + share * (halves[1][0] - halves[0][0])
        interior = halves[0][1] + self.is_lower * (halves[1][1] - halves[0][1])
        # teeth and tongue lie in the dark where lips close over them
        slimmer = self.slimness / max(_slimness(picture.points), 1e-3)
        closing = max(1.0 - slimmer, 0.0)
        dim = _SHADE * closing * np.clip(1 - self.depth / _SHADE_DEPTH, 0, 1)
        lips *= (1 - dim * interior)[..., None]
        hollow = self.inside * (1 - interior)  # open here, but the lender shows lip
        leak = interior * (1 - self.inside)  # lip here, but the lender shows its inside
        empty = hollow > _VISIBLE
        cavity = draw_cavity(
            self.across[empty], self.below[empty], self.depth[empty], self.half_width, light
        )
        lips[empty] += hollow[empty, None] * (cavity - lips[empty])
        lips += leak[..., None] * (_LIP_LINE * _lip_colour(picture) - lips)
        return lips

    def relight(self, lent: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Shift a lent mouth's colour so that the skin around it agrees with what is below."""
        total = max(float(self._ring.sum()), 1e-6)
        offset = ((below - lent) * self._ring[..., None]).sum(axis=(0, 1)) / total
        return lent + np.clip(offset, -_MAX_OFFSET, _MAX_OFFSET).astype(np.float32)


def _ramp(distance: np.ndarray, softness: float) -> np.ndarray:
    """Return 0 below -softness/2, 1 above softness/2."""
    return np.clip(distance / softness + 0.5, 0, 1)


def _slimness(points: np.ndarray) -> float:
    """Return the opening's height over its width."""
    width = float(np.linalg.norm(points[_INNER[10]] - points[_INNER[0]]))
    return float(np.linalg.norm(points[_INNER[5]] - points[_INNER[15]])) / max(width, 1e-6)


def _lip_colour(picture: MouthPicture) -> np.ndarray:
    """Return the (3,) float32 median RGB along the middle of both lips."""
    middles = np.rint((picture.points[_OUTER] + picture.points[_INNER]) / 2).astype(int)
    highest = np.array(picture.image.shape[1::-1]) - 1
    columns, rows = np.clip(middles, 0, highest).T
    return np.median(picture.image[rows, columns], axis=0).astype(np.float32)


def _tucked(points: np.ndarray, closing: float) -> np.ndarray:
    """Move a lender's inner rim into the lip where lips are to meet, so that no tooth shows."""
    if closing <= 0:
        return points
    moved = points.copy()
    moved[_INNER] += _TUCK * min(closing, 1.0) * (points[_OUTER] - points[_INNER])
    return moved


def _warp_base(
    face: np.ndarray, region: Grid, source: np.ndarray, target: np.ndarray, unit: float
) -> np.ndarray:
    """Return the region's pixels moved from `source` to `target`, still at the region's rim."""
    rim = _rim(region)
    places = region.points
    moved = []
    for followers in (_FOLLOWS_UPPER, _FOLLOWS_LOWER):
        field = solve_field(
            np.concatenate([target[followers], rim]),
            np.concatenate([source[followers], rim]),
            unit,
        )
        moved.append(field(places))
    seam_left, seam_right = target[_INNER[0]], target[_INNER[10]]
    middle = target[_INNER].mean(axis=0)
    axis = (seam_right - seam_left) / max(float(np.linalg.norm(seam_right - seam_left)), 1e-6)
    down = (places - middle) @ np.array([-axis[1], axis[0]])
    share = np.clip(down / (0.1 * unit) + 0.5, 0, 1)[:, None]
    return sample(face, absolute_map(region, moved[0] + share * (moved[1] - moved[0])))


def _rim(region: Grid) -> np.ndarray:
    """Return (16, 2) px along the region's border, where nothing moves."""
    across = np.linspace(region.left, region.left + region.width - 1, 5)
    down = np.linspace(region.top, region.top + region.height - 1, 5)
    border = [(x, y) for x in across for y in (down[0], down[-1])]
    border += [(x, y) for y in down[1:-1] for x in (across[0], across[-1])]
    return np.array(border)


def _box_around(points: np.ndarray, margin: float, step: float, unit: float, size: int) -> Grid:
    """Return the box of points (N, 2) px with a margin (IOD), kept inside a crop of side `size`."""
    low = np.clip(np.floor(points.min(axis=0) - margin * unit), 0, size - 8).astype(int)
    high = np.clip(np.ceil(points.max(axis=0) + margin * unit), low + 8, size).astype(int)
    extent = high - low
    odd = 2 * max(1, round((step * unit - 1) / 2)) + 1
    return Grid(int(low[0]), int(low[1]), int(extent[0]), int(extent[1]), odd)


def _cut(image: np.ndarray, box: Grid) -> np.ndarray:
    return image[box.top : box.top + box.height, box.left : box.left + box.width]
