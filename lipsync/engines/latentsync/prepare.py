"""What the networks are fed: faces as numbers, the part to fill erased, and the mask of the rest.

The mask is the network's own: **1 = keep**, 0 = erased and made anew. The reference image is the
same face with nothing erased. Nothing here knows of latents but how a mask shrinks to their size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional

from lipsync.assets import asset_path

LATENT_SCALE = 8  # px of a face per px of its latents, each way


@dataclass(frozen=True)
class Prepared:
    """F faces of side R, ready for the VAE."""

    pixels: torch.Tensor  # (F, 3, R, R) float32 RGB [-1, 1]; also the reference images
    masked: torch.Tensor  # (F, 3, R, R) float32, `pixels` with 0 (mid grey) where erased
    keep: torch.Tensor  # (1, 1, R, R) float32 [0, 1], 1 = kept


def keep_mask(resolution: int) -> torch.Tensor:
    """Return the (R, R) float32 mask LatentSync was trained with, 1 = keep, 0 = fill.

    Its own size is 256, where it is 0 or 1; at others its edge is fractional.
    """
    image = cv2.imread(str(asset_path("lower_face_keep.png")), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    sized = cv2.resize(image, (resolution, resolution), interpolation=cv2.INTER_LANCZOS4)
    return torch.from_numpy(sized.astype(np.float32) / 255)


def shrink_mask(keep: torch.Tensor) -> torch.Tensor:
    """Return a (..., R, R) mask at the latents' size: every eighth pixel, neither mean nor rounded.

    Raises ValueError if R is no multiple of 8.
    """
    if keep.shape[-1] % LATENT_SCALE or keep.shape[-2] % LATENT_SCALE:
        raise ValueError(f"a mask of {tuple(keep.shape[-2:])} px has no latents of whole px")
    return keep[..., ::LATENT_SCALE, ::LATENT_SCALE]


def scale_faces(faces: np.ndarray, resolution: int) -> torch.Tensor:
    """Return (F, h, w, 3) uint8 RGB faces as (F, 3, R, R) float32 in [-1, 1].

    Faces of another size are resized by an antialiased cubic, and rounded to whole levels.
    """
    planes = torch.from_numpy(np.ascontiguousarray(faces)).permute(0, 3, 1, 2).float()
    if planes.shape[2:] != (resolution, resolution):
        planes = functional.interpolate(
            planes, (resolution, resolution), mode="bicubic", align_corners=False, antialias=True
        )
        planes = planes.round_().clamp_(0, 255)
    return planes.div_(127.5).sub_(1.0)


def prepare_faces(faces: np.ndarray, resolution: int) -> Prepared:
    """Return what the VAE encodes of (F, h, w, 3) uint8 RGB aligned faces, on the CPU."""
    pixels = scale_faces(faces, resolution)
    keep = keep_mask(resolution)[None, None]
    return Prepared(pixels, pixels * keep, keep)


def paste_surroundings(decoded: torch.Tensor, prepared: Prepared) -> torch.Tensor:
    """Return (F, 3, R, R): `decoded` where the mask erases, the face's own pixels where it keeps.

    `decoded` is what the VAE gives, about [-1, 1]; nothing is clamped.
    """
    keep = prepared.keep.to(decoded)
    return decoded * (1 - keep) + prepared.pixels.to(decoded) * keep
