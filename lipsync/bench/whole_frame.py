"""Crop and paste-back over the whole frame, as the published LatentSync does them, written plainly.

What the program's own ways are held against: one bilinear look-up per pixel of the picture, whether
the face is there or not, masks as large as the picture, and every pixel blended.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_FILL = 127.0  # grey level of what lies beyond a picture


def crop_plainly(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the (h, w, 3) uint8 crop of `size` (h, w) of an (H, W, 3) uint8 picture.

    The picture becomes float numbers and is looked up beside a picture of ones of its own size.
    """
    planes = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)
    inverse: np.ndarray = cv2.invertAffineTransform(matrix.astype(np.float64))
    warped = _look_up(planes, inverse, size)
    covered = _look_up(torch.ones_like(planes), inverse, size)
    filled = warped + (1 - covered) * _FILL
    return filled.permute(1, 2, 0).clamp(0, 255).to(torch.uint8).numpy()


def paste_plainly(
    image: np.ndarray, face: Tensor, matrix: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture with a (3, R, R) float32 face in [-1, 1] pasted back.

    `size` (h, w) is the crop's, to which `matrix` (2, 3) took px of the picture.
    """
    whole = image.shape[:2]
    crop = functional.interpolate(
        face[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )[0]
    ones = torch.ones(1, *size)
    covered = _look_up(ones, matrix, whole)
    warped = _look_up(crop, matrix, whole) + (1 - covered) * _FILL
    levels = (warped / 2 + 0.5).clamp(0, 1) * 255
    hard = cv2.erode(covered[0].numpy(), np.ones((2, 2), np.uint8))
    pasted = hard[:, :, None] * levels.permute(1, 2, 0).numpy()
    edge = int(float(hard.sum(dtype=np.float64)) ** 0.5) // 20
    inner = cv2.erode(hard, np.ones((2 * edge, 2 * edge) if edge else (3, 3), np.uint8))
    side = 2 * edge + 1
    soft = cv2.GaussianBlur(inner, (side, side), 0.3 * ((side - 1) * 0.5 - 1) + 0.8)
    soft = soft[:, :, None]
    return (soft * pasted + (1 - soft) * image).astype(np.uint8)


def _look_up(planes: Tensor, matrix: np.ndarray, size: tuple[int, ...]) -> Tensor:
    """Return (C, h, w): `planes` (C, H, W) looked up at `matrix` (2, 3), result px -> theirs."""
    rows, columns = torch.meshgrid(
        torch.arange(size[0], dtype=torch.float32),
        torch.arange(size[1], dtype=torch.float32),
        indexing="ij",
    )
    (a, b, c), (d, e, f) = matrix.tolist()
    height, width = planes.shape[1:]
    x = (a * columns + b * rows + c) * (2 / (width - 1)) - 1
    y = (d * columns + e * rows + f) * (2 / (height - 1)) - 1
    grid = torch.stack([x, y], dim=-1)[None]
    return functional.grid_sample(planes[None], grid, align_corners=True)[0]
