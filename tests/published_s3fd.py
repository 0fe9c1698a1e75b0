"""S3FD, the face detector that goes with Wav2Lip, for the vectors that were recorded with it.

The program itself finds faces by `face.detect` or `face.insight`. This one gives one whole box per
frame. It is not the network of SyncNet's file: other names, other colours, and a sixth layer whose
wide edge makes the coarse grids larger than the picture. https://github.com/Rudrabha/Wav2Lip
"""

from __future__ import annotations

import numpy as np
import torch
from published_grids import (
    BACKGROUNDS,
    MAX_OVERLAP,
    MIN_SCORE,
    SOURCES,
    ChannelNorm,
    Heads,
    decode_heads,
)
from torch import Tensor, nn
from torch.nn import functional

from lipsync.face.boxes import keep_apart

_FACE_SCORE = 0.5  # of a box that is a face
_LAST_PIXEL = np.array([0, 0, 1, 1])  # what a box covers of others goes to the end of its last px
_MEAN = (104.0, 117.0, 123.0)  # of blue, green, red, yet taken from red, green, blue: as published
_SOURCE_NAMES = ("conv3_3_norm", "conv4_3_norm", "conv5_3_norm", "fc7", "conv6_2", "conv7_2")
_SCALES = (10.0, 8.0, 5.0)  # of the three norms before training
_STEMS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # width and layers between two poolings
_TOP = 1024


class S3FD(nn.Module):
    """The network under its published names."""

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for stem, (width, layers) in enumerate(_STEMS, 1):
            for layer in range(1, layers + 1):
                self.add_module(f"conv{stem}_{layer}", nn.Conv2d(channels, width, 3, padding=1))
                channels = width
        self.fc6 = nn.Conv2d(channels, _TOP, 3, padding=3)
        self.fc7 = nn.Conv2d(_TOP, _TOP, 1)
        self.conv6_1 = nn.Conv2d(_TOP, 256, 1)
        self.conv6_2 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv7_1 = nn.Conv2d(512, 128, 1)
        self.conv7_2 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        for name, width, scale in zip(_SOURCE_NAMES, SOURCES, _SCALES, strict=False):
            norm = ChannelNorm(width)
            nn.init.constant_(norm.weight, scale)
            self.add_module(name, norm)
        for grid, (name, width) in enumerate(zip(_SOURCE_NAMES, SOURCES, strict=True)):
            kinds = 2 if grid else BACKGROUNDS + 1
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(width, kinds, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(width, 4, 3, padding=1))

    def forward(self, pictures: Tensor) -> list[Heads]:
        """Return the six grids' answers, finest first, to (B, 3, H, W) RGB less the mean."""
        hidden, sources = pictures, []
        for stem, (_, layers) in enumerate(_STEMS, 1):
            for layer in range(1, layers + 1):
                hidden = self._activate(f"conv{stem}_{layer}", hidden)
            if (name := f"conv{stem}_3_norm") in _SOURCE_NAMES:
                sources.append(self.get_submodule(name)(hidden))
            hidden = functional.max_pool2d(hidden, 2)
        for names in (("fc6", "fc7"), ("conv6_1", "conv6_2"), ("conv7_1", "conv7_2")):
            for name in names:
                hidden = self._activate(name, hidden)
            sources.append(hidden)
        return [
            Heads(
                self.get_submodule(f"{name}_mbox_conf")(source),
                self.get_submodule(f"{name}_mbox_loc")(source),
            )
            for name, source in zip(_SOURCE_NAMES, sources, strict=True)
        ]

    def _activate(self, name: str, hidden: Tensor) -> Tensor:
        return functional.relu(self.get_submodule(name)(hidden))


@torch.inference_mode()
def detect_faces(network: S3FD, pictures: np.ndarray) -> list[np.ndarray]:
    """Return each picture's faces, (k, 5) float64 [x1, y1, x2, y2, score] in px, best first.

    `pictures` are (B, H, W, 3) uint8 RGB, H and W 32 or more.
    """
    planes = (pictures.astype(np.float32) - np.array(_MEAN, np.float32)).transpose(0, 3, 1, 2)
    weight = next(network.parameters())
    given = torch.from_numpy(np.ascontiguousarray(planes)).to(weight.device, weight.dtype)
    heads = [head.as_float() for head in network(given)]
    return [_read_faces(heads, picture) for picture in range(len(pictures))]


def _read_faces(heads: list[Heads], picture: int) -> np.ndarray:
    scores, corners = decode_heads(heads, picture)
    sure = np.flatnonzero(scores > MIN_SCORE)
    scores, corners = scores[sure].astype(np.float64), corners[sure].astype(np.float64)
    whole = corners + _LAST_PIXEL
    kept = [row for row in keep_apart(whole, scores, MAX_OVERLAP) if scores[row] > _FACE_SCORE]
    return np.concatenate([corners[kept], scores[kept, None]], axis=1)


def pick_box(faces: np.ndarray) -> np.ndarray | None:
    """Return the surest of (k, 5) faces as (4,) int64 px x1 y1 x2 y2, None where there is none.

    Corners left of or above the picture lie at its edge; fractions are cut off.
    """
    return np.maximum(faces[0, :4], 0).astype(np.int64) if len(faces) else None
