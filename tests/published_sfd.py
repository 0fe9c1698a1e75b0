"""S3FD, the face detector that goes with SyncNet, for the vectors that were recorded with it.

The program itself finds faces by `face.detect` or `face.insight`. This one sees six grids of
places, 4 to 128 px apart, with one square box per place.
Zhang et al., "S3FD: Single Shot Scale-invariant Face Detector", 2017.
https://github.com/joonson/syncnet_python
"""

from __future__ import annotations

import cv2
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

_POOL, _CEIL_POOL = 0, -1  # among the widths: halve, the second one rounding up
_WIDTHS = (
    *(64, 64, _POOL, 128, 128, _POOL, 256, 256, 256, _CEIL_POOL),
    *(512, 512, 512, _POOL, 512, 512, 512, _POOL),
)
_TOP_WIDTH = 1024
_NORMED = {16: "L2Norm3_3", 23: "L2Norm4_3", 30: "L2Norm5_3"}  # looked at before these layers
_MEAN = (123.0, 117.0, 104.0)  # red, green, blue
_MAX_CANDIDATES, _MAX_FACES = 5000, 750


class S3FDNet(nn.Module):
    """The network under its published names; `find_boxes` reads its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = _make_trunk()
        for name, width in zip(_NORMED.values(), SOURCES, strict=False):
            self.add_module(name, ChannelNorm(width))
        self.extras = nn.ModuleList(
            [
                nn.Conv2d(_TOP_WIDTH, 256, 1),
                nn.Conv2d(256, 512, 3, stride=2, padding=1),
                nn.Conv2d(512, 128, 1),
                nn.Conv2d(128, 256, 3, stride=2, padding=1),
            ]
        )
        self.loc = nn.ModuleList([nn.Conv2d(width, 4, 3, padding=1) for width in SOURCES])
        kinds = (BACKGROUNDS + 1, *[2] * (len(SOURCES) - 1))
        self.conf = nn.ModuleList(
            [nn.Conv2d(w, n, 3, padding=1) for w, n in zip(SOURCES, kinds, strict=True)]
        )

    def forward(self, pictures: Tensor) -> list[Heads]:
        """Return the six grids' answers, finest first, to (B, 3, H, W) RGB less the mean."""
        hidden, sources = pictures, []
        for index, layer in enumerate(self.vgg):
            if index in _NORMED:
                sources.append(self.get_submodule(_NORMED[index])(hidden))
            hidden = layer(hidden)
        sources.append(hidden)
        for index, layer in enumerate(self.extras):
            hidden = functional.relu(layer(hidden))
            if index % 2:
                sources.append(hidden)
        return [
            Heads(classes(source), boxes(source))
            for source, classes, boxes in zip(sources, self.conf, self.loc, strict=True)
        ]


def _make_trunk() -> nn.ModuleList:
    layers: list[nn.Module] = []
    width_in = 3
    for width in _WIDTHS:
        if width in (_POOL, _CEIL_POOL):
            layers.append(nn.MaxPool2d(2, ceil_mode=width == _CEIL_POOL))
        else:
            layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.ReLU()]
            width_in = width
    layers += [nn.Conv2d(width_in, _TOP_WIDTH, 3, padding=6, dilation=6), nn.ReLU()]
    layers += [nn.Conv2d(_TOP_WIDTH, _TOP_WIDTH, 1), nn.ReLU()]
    return nn.ModuleList(layers)


def find_boxes(heads: list[Heads], size: tuple[int, int]) -> np.ndarray:
    """Return (k, 5) float32 [score, x1, y1, x2, y2] of the first picture's faces, best first.

    Corners are shares of the picture, whose `size` (height, width) was looked at; up to 750 boxes
    with a score over 0.05, none of which covers more than 0.3 of another.
    """
    score, corners = decode_heads(heads, size=size)
    sure = np.flatnonzero(score > MIN_SCORE)
    sure = sure[np.argsort(-score[sure], kind="stable")[:_MAX_CANDIDATES]]
    kept = sure[keep_apart(corners[sure], score[sure], MAX_OVERLAP)[:_MAX_FACES]]
    return np.concatenate([score[kept, None], corners[kept]], axis=1)


@torch.inference_mode()
def detect_published(
    network: S3FDNet, image: np.ndarray, min_score: float = 0.9, scale: float = 0.25
) -> np.ndarray:
    """Return (k, 5) float64 [x1, y1, x2, y2, score] in px of a (H, W, 3) uint8 RGB picture.

    As the published evaluation finds them: in the picture made smaller by `scale`, none covering
    more than a tenth of another, best first.
    """
    height, width = image.shape[:2]
    small = cv2.resize(image, (0, 0), fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    planes = (small.astype(np.float32) - np.array(_MEAN, np.float32)).transpose(2, 0, 1)
    weight = next(network.parameters())
    pictures = torch.from_numpy(np.ascontiguousarray(planes))[None].to(weight.device, weight.dtype)
    heads = [head.as_float() for head in network(pictures)]
    found = find_boxes(heads, (small.shape[0], small.shape[1]))
    found = found[found[:, 0] > min_score].astype(np.float64)
    boxes = found[:, 1:] * np.array([width, height, width, height])
    kept = keep_apart(boxes, found[:, 0], 0.1)
    return np.concatenate([boxes, found[:, :1]], axis=1)[kept]
