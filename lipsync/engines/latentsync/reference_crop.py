"""Crop and paste-back as the published LatentSync does them, in float32 and within the face only.

For `compat` results and for comparisons: whole-px anchors, a template of whole px, one bilinear
look-up without averaging, and truncation on the way. The program's own way is face/align.py and
composite/paste.py. https://github.com/bytedance/LatentSync
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional

from lipsync.face.align import fit_similarities, moved_origin
from lipsync.types import Rect

_FILL = 127.0  # grey level where a crop reaches beyond the picture
_PLACES = ((17.0, 20.0), (58.0, 20.0), (37.5, 40.0))  # left brow, right brow, nose
_EXTENT = (75, 100)  # width and height of the template
_SCALE = 2.8  # px per template unit at 256
_NOISE = 5e-5  # levels; float32's, which must not cost a flat area one of its levels
_MEMORY = 0.2  # how much of the last frame's drift stays


@dataclass(frozen=True)
class ReferenceTemplate:
    """Where the anchors belong in a crop for a network of one resolution."""

    resolution: int  # R, side of what the network sees, px

    @property
    def _unit(self) -> float:
        return self.resolution / 256 * _SCALE

    @property
    def width(self) -> int:
        """Width of the crop in px, before it is stretched to R × R."""
        return int(_EXTENT[0] * self._unit)

    @property
    def height(self) -> int:
        """Height of the crop in px."""
        return int(_EXTENT[1] * self._unit)

    @property
    def places(self) -> np.ndarray:
        """(3, 2) float64 px of the crop: left brow, right brow, nose."""
        return np.array(_PLACES) * self._unit


class ReferenceAligner:
    """The matrices of successive frames, one after the other.

    To the similarity comes a drift of tenths of a px, by which the nose is off where it belongs;
    of the frame before, the share `memory` stays in it.
    """

    def __init__(self, template: ReferenceTemplate, memory: float = _MEMORY) -> None:
        self._places = template.places
        self._memory = memory
        self._drift: np.ndarray | None = None

    def align(self, anchors: np.ndarray) -> np.ndarray:
        """Return the (2, 3) float32 matrix, frame px -> crop px, for the next frame's (3, 2)."""
        own = _normalised(self._places)[2] - _normalised(anchors)[2]
        kept = own if self._drift is None else self._drift
        self._drift = self._memory * kept + (1 - self._memory) * own
        matrix: np.ndarray = fit_similarities(anchors[None], self._places)[0]
        matrix[:, 2] += self._drift
        return matrix


def reference_matrices(
    anchors: np.ndarray, template: ReferenceTemplate, memory: float = _MEMORY
) -> np.ndarray:
    """Return (T, 2, 3) float32, frame px -> crop px, for (T, 3, 2) anchors of successive frames."""
    aligner = ReferenceAligner(template, memory)
    return np.array([aligner.align(points) for points in anchors], np.float32).reshape(-1, 2, 3)


def crop_reference(
    image: np.ndarray, matrix: np.ndarray, template: ReferenceTemplate
) -> np.ndarray:
    """Return the (height, width, 3) uint8 RGB crop of an (H, W, 3) uint8 RGB picture."""
    rect = _rect_of_crop(matrix, template, (image.shape[0], image.shape[1]))
    part = image[rect.top : rect.bottom, rect.left : rect.right].astype(np.float32)
    planes = torch.from_numpy(part).permute(2, 0, 1)
    inverse: np.ndarray = cv2.invertAffineTransform(moved_origin(matrix, rect))
    warped, covered = _look_up(planes, inverse, (template.height, template.width))
    filled = warped.add_((1.0 - covered) * _FILL).add_(_NOISE).clamp_(0, 255)
    crop: np.ndarray = cv2.merge(list(filled.to(torch.uint8).numpy()))
    return crop


def stretch_reference(crop: np.ndarray, template: ReferenceTemplate) -> np.ndarray:
    """Return the crop as the (R, R, 3) uint8 face that the network sees."""
    side = template.resolution
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_LANCZOS4)


def paste_reference(
    image: np.ndarray, face: torch.Tensor, matrix: np.ndarray, template: ReferenceTemplate
) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture with a (3, R, R) float32 face in [-1, 1] pasted back.

    Equal to what computing over the whole picture gives, but only around the face.
    """
    result = image.copy()
    rect = _rect_of_crop(matrix, template, (image.shape[0], image.shape[1]))
    size = (template.height, template.width)
    crop = functional.interpolate(
        face[None].float(), size=size, mode="bicubic", align_corners=False, antialias=True
    )[0]
    part = result[rect.top : rect.bottom, rect.left : rect.right]
    warped, covered = _look_up(crop, moved_origin(matrix, rect), part.shape[:2])
    # what lies outside the face counts as white
    filled = warped.add_((1.0 - covered) * _FILL).div_(2).add_(0.5).clamp_(0, 1).mul_(255)
    hard, soft = _soften(covered[0].numpy())
    pasted = hard[:, :, None] * cv2.merge(list(filled.numpy()))
    part[:] = (soft[:, :, None] * pasted + (1 - soft[:, :, None]) * part).astype(np.uint8)
    return result


def reference_weight(
    size: tuple[int, int], matrix: np.ndarray, template: ReferenceTemplate
) -> np.ndarray:
    """Return the (H, W) float32 weight in [0, 1] of a pasted face in a picture of that size."""
    weight = np.zeros(size, np.float32)
    rect = _rect_of_crop(matrix, template, size)
    part = weight[rect.top : rect.bottom, rect.left : rect.right]
    nothing = torch.zeros(0, template.height, template.width)
    _, covered = _look_up(nothing, moved_origin(matrix, rect), part.shape)
    part[:] = _soften(covered[0].numpy())[1]
    return weight


def _soften(covered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where a crop lies and the weight it gets there, (h, w) float32 both.

    Edge and blur grow with the crop: a twentieth of its side.
    """
    hard = cv2.erode(covered, np.ones((2, 2), np.uint8))
    edge = int(float(hard.sum(dtype=np.float64)) ** 0.5) // 20
    # a crop under 20 px has no edge of its own: OpenCV then takes 3 x 3
    kernel = np.ones((2 * edge, 2 * edge) if edge else (3, 3), np.uint8)
    side = 2 * edge + 1
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    return hard, cv2.GaussianBlur(cv2.erode(hard, kernel), (side, side), sigma)


def _normalised(points: np.ndarray) -> np.ndarray:
    """Return (3, 2) float32 points centred and divided by the deviation of all six numbers."""
    centred = points.astype(np.float32) - points.astype(np.float32).mean(axis=0)
    return centred / centred.std(ddof=1)


def _look_up(
    planes: torch.Tensor, matrix: np.ndarray, size: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (C, h, w) planes looked up bilinearly at `matrix` (result px -> theirs), and coverage.

    Beyond the planes lies 0; coverage is (1, h, w), 1 inside, 0 outside, the share between.
    """
    height, width = planes.shape[1:]
    theirs, ours = _unit_square(height, width), _unit_square(*size)
    full = torch.from_numpy(np.vstack([matrix, [0, 0, 1]])).float()
    normal = theirs @ full @ torch.linalg.inv(ours)
    # sums of a row and a column: affine_grid multiplies matrices for every pixel
    across, down = torch.linspace(-1, 1, size[1]), torch.linspace(-1, 1, size[0])[:, None]
    places = [x * across + (y * down + shift) for x, y, shift in normal[:2].tolist()]
    grid = torch.stack(places, dim=-1)[None]
    with_ones = torch.cat([planes, torch.ones(1, height, width)])
    found = functional.grid_sample(
        with_ones[None],
        grid,
        mode="bilinear",
        padding_mode="zeros",
        align_corners=True,
    )[0]
    return found[:-1], found[-1:]


def _unit_square(height: int, width: int) -> torch.Tensor:
    """Return the (3, 3) matrix that takes px to [-1, 1], the outer pixels' centres to the ends."""
    return torch.tensor([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]])


def _rect_of_crop(matrix: np.ndarray, template: ReferenceTemplate, size: tuple[int, int]) -> Rect:
    """Return the part of a picture of `size` (height, width) that the crop can touch."""
    inverse: np.ndarray = cv2.invertAffineTransform(matrix.astype(np.float64))
    across, down = (-1.0, float(template.width)), (-1.0, float(template.height))
    corners = np.array([(x, y) for x in across for y in down])
    seen = corners @ inverse[:, :2].T + inverse[:, 2]
    # room for the blur, whose radius is a twentieth of the crop's side
    area = template.width * template.height * abs(float(np.linalg.det(inverse[:, :2])))
    margin = int(area**0.5) // 20 + 3
    low = np.floor(seen.min(axis=0)).astype(int) - margin
    high = np.ceil(seen.max(axis=0)).astype(int) + margin + 1
    # two px at least: a single one has no place between the first and the last
    left, top = np.minimum(np.maximum(low, 0), (size[1] - 2, size[0] - 2)).tolist()
    right, bottom = np.maximum(np.minimum(high, (size[1], size[0])), 2).tolist()
    return Rect(left, top, right, bottom)
