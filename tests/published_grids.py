"""What the two published S3FD face detectors have in common: how six grids of places mean boxes.

SyncNet's and Wav2Lip's differ in names, in the sizes of their grids, in colours and in what is done
with the boxes. Each place of a grid has one square box.
Zhang et al., "S3FD: Single Shot Scale-invariant Face Detector", 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32, 64, 128)  # px from one place of a grid to the next
SOURCES = (256, 512, 512, 1024, 512, 256)  # widths of what the six grids look at
BACKGROUNDS = 3  # of the finest grid's four classes
MIN_SCORE = 0.05  # of a box that is looked at any further
MAX_OVERLAP = 0.3  # intersection over union of two boxes that are two faces
_PRIOR_SIDE = 4  # strides
_VARIANCES = (0.1, 0.2)  # of the middle, of the size


@dataclass(frozen=True)
class Heads:
    """What a network says of the places of one grid."""

    classes: Tensor  # (B, 2, h, w), of the finest grid (B, 4, h, w): three backgrounds, then face
    boxes: Tensor  # (B, 4, h, w)

    def as_float(self) -> Heads:
        """Return the same in float32 on the CPU."""
        return Heads(self.classes.float().cpu(), self.boxes.float().cpu())

    def background_and_face(self) -> Tensor:
        """Return (B, 2, h, w): a face must be surer than the likeliest of three backgrounds."""
        if self.classes.shape[1] == 2:
            return self.classes
        background = self.classes[:, :BACKGROUNDS].amax(dim=1, keepdim=True)
        return torch.cat([background, self.classes[:, BACKGROUNDS:]], dim=1)


class ChannelNorm(nn.Module):
    """Bring each place to length one, then weigh its channels; (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, hidden: Tensor) -> Tensor:
        length = hidden.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return hidden / length * self.weight[:, None, None]


def prior_boxes(grids: list[tuple[int, int]], size: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Return (N, 4) float32 middles and sides, in px or as shares of a `size` (height, width).

    `grids` are the heights and widths of the six grids; places are in row order.
    """
    height, width = size
    priors = []
    for stride, (rows, columns) in zip(STRIDES, grids, strict=True):
        y, x = np.mgrid[:rows, :columns].reshape(2, -1)
        sides = np.full(len(x), _PRIOR_SIDE * stride)
        middles = (x + 0.5) * stride / width, (y + 0.5) * stride / height
        priors.append(np.stack([*middles, sides / width, sides / height], axis=1))
    return np.concatenate(priors).astype(np.float32)


def decode_heads(
    heads: list[Heads], picture: int = 0, size: tuple[float, float] = (1.0, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (N,) scores in [0, 1] and (N, 4) corners of one picture's places, both float32.

    Corners are in px, or shares of a `size` (height, width); overlapping boxes are all there.
    """
    scores = [head.background_and_face()[picture].softmax(dim=0)[1].flatten() for head in heads]
    change = torch.cat([head.boxes[picture].flatten(1).T for head in heads]).numpy()
    priors = prior_boxes([(head.boxes.shape[2], head.boxes.shape[3]) for head in heads], size)
    middles = priors[:, :2] + change[:, :2] * np.float32(_VARIANCES[0]) * priors[:, 2:]
    sides = priors[:, 2:] * np.exp(change[:, 2:] * np.float32(_VARIANCES[1]))
    corners = np.concatenate([middles - sides / 2, middles + sides / 2], axis=1)
    return torch.cat(scores).numpy(), corners
