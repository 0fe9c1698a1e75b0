"""The visual quality discriminator: tells painted lower halves of faces from filmed ones.

It is needed for training only.
Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild", 2020.
https://github.com/Rudrabha/Wav2Lip
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lipsync.engines.wav2lip.generator import Params
from lipsync.engines.wav2lip.units import HALF, Pair

_SLOPE = 0.01  # of an activation below zero


class LeakyUnit(nn.Module):
    """Convolution and leaky ReLU."""

    def __init__(
        self, channels: int, width: int, kernel: int, stride: Pair = 1, padding: int | None = None
    ) -> None:
        super().__init__()
        edge = kernel // 2 if padding is None else padding
        self.conv_block = nn.Sequential(nn.Conv2d(channels, width, kernel, stride, edge))

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.leaky_relu(self.conv_block(hidden), _SLOPE)


class QualityDiscriminator(nn.Module):
    """The network under its published names."""

    def __init__(self, params: Params | None = None) -> None:
        super().__init__()
        self.params = params or Params()
        width = self.params.width
        wide = 16 * width
        pairs: tuple[tuple[int, int, Pair], ...] = (
            (2 * width, 5, (1, 2)),
            (4 * width, 5, 2),
            (8 * width, 5, 2),
            (wide, 3, 2),
            (wide, 3, 2),
        )
        blocks = [nn.Sequential(LeakyUnit(3, width, 7))]
        channels = width
        for out, kernel, stride in pairs:
            first = LeakyUnit(channels, out, kernel, stride)
            blocks.append(nn.Sequential(first, LeakyUnit(out, out, kernel)))
            channels = out
        blocks.append(nn.Sequential(LeakyUnit(wide, wide, 3, 1, 0), LeakyUnit(wide, wide, 1)))
        self.face_encoder_blocks = nn.ModuleList(blocks)
        self.binary_pred = nn.Sequential(nn.Conv2d(wide, 1, 1), nn.Sigmoid())

    def forward(self, faces: Tensor) -> Tensor:
        """Return (T * B, 1) in [0, 1], 1 = filmed, moment by moment.

        `faces` are (B, 3, T, 96, 96) in [0, 1], BGR.
        """
        hidden = faces[..., HALF:, :].permute(2, 0, 1, 3, 4).flatten(0, 1)
        for block in self.face_encoder_blocks:
            hidden = block(hidden)
        answer: Tensor = self.binary_pred(hidden).flatten(1)
        return answer
