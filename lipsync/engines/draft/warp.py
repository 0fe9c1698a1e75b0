"""Smooth backward warps from moved points: thin radial splines, solved afresh for every frame.

phi(r) = r plus an affine part: in the plane this is the smoothest interpolant that does not ripple
(Duchon 1977). A mouth needs two fields, one that follows the upper lip and one that follows the
lower, because the picture tears along the line where the lips meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SMOOTHING = 2e-3  # regulariser, in the unit of the points


@dataclass(frozen=True)
class Grid:
    """Places where a field is evaluated: every `step` px over a rectangle of whole pixels."""

    left: int
    top: int
    width: int  # px
    height: int  # px
    step: int  # px, odd

    @property
    def points(self) -> np.ndarray:
        """Return (rows * columns, 2) float32 px, covering the rectangle and a little more."""
        columns = np.arange(0, self.width + self.step, self.step) + self.left
        rows = np.arange(0, self.height + self.step, self.step) + self.top
        return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float32)

    def fill(self, values: np.ndarray) -> np.ndarray:
        """Interpolate values (rows * columns, C) at `points` to every pixel: (height, width, C)."""
        columns = -(-(self.width + self.step) // self.step)
        coarse = np.ascontiguousarray(values, np.float32).reshape(-1, columns, values.shape[-1])
        # resize works to the last bit and in a tenth of the time; warpAffine knows only 32 places
        # between two points, which at a wide step shifts the picture by a quarter of a pixel
        fine = cv2.resize(coarse, None, fx=self.step, fy=self.step, interpolation=cv2.INTER_LINEAR)
        first = (self.step - 1) // 2  # resize counts from the outer edge of the first point
        return fine[first : first + self.height, first : first + self.width]


@dataclass(frozen=True)
class Field:
    """A displacement at every point of the plane: target + field(target) = source."""

    centres: np.ndarray  # (N, 2), in `unit`
    weights: np.ndarray  # (N + 3, 2)
    unit: float  # px

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the displacement (M, 2) px at points (M, 2) px."""
        scaled = np.asarray(points, np.float32) / np.float32(self.unit)
        distance = _distances(scaled, self.centres.astype(np.float32))
        weights = self.weights.astype(np.float32)
        count = len(self.centres)
        affine = scaled @ weights[count : count + 2] + weights[count + 2]
        return (distance @ weights[:count] + affine) * np.float32(self.unit)


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances (N, M) between points (N, 2) and (M, 2)."""
    across = first[:, None, 0] - second[None, :, 0]
    along = first[:, None, 1] - second[None, :, 1]
    across *= across
    along *= along
    across += along
    return np.sqrt(across, out=across)


def solve_field(target: np.ndarray, source: np.ndarray, unit: float) -> Field:
    """Fit the field that carries target points (N, 2) px back to source points (N, 2) px.

    `unit` (px) scales the problem: the regulariser is in that unit. BLAS should be held to one
    thread around this call; a second one makes such small systems forty times slower.
    """
    centres = np.asarray(target, np.float64) / unit
    count = len(centres)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _distances(centres, centres)
    system[np.arange(count), np.arange(count)] -= _SMOOTHING
    system[:count, count : count + 2] = centres
    system[:count, count + 2] = 1
    system[count:, :count] = system[:count, count:].T
    moved = np.zeros((count + 3, 2))
    moved[:count] = (np.asarray(source, np.float64) - target) / unit
    return Field(centres, np.linalg.solve(system, moved), unit)


def absolute_map(grid: Grid, displacement: np.ndarray) -> np.ndarray:
    """Return (height, width, 2) float32 source coordinates for cv2.remap."""
    return grid.fill(grid.points + displacement)


def sample(image: np.ndarray, where: np.ndarray, outside: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """Read an image (h, w[, 3]) at coordinates (H, W, 2) float32 px; `outside` is cv2's border."""
    # the stubs do not know that one map of both coordinates needs no second
    return cv2.remap(  # type: ignore[call-overload]
        image, where, None, cv2.INTER_LINEAR, borderMode=outside
    )


def soften(mask: np.ndarray, grow: float, feather: float) -> np.ndarray:
    """Grow a mask (h, w) by `grow` px and soften its edge over `feather` px."""
    radius = max(1, round(abs(grow)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown = cv2.dilate(mask, kernel) if grow > 0 else cv2.erode(mask, kernel)
    return cv2.GaussianBlur(grown, (0, 0), max(feather, 0.5))
