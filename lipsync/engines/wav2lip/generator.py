"""The generator: a face whose lower half is hidden, a whole one, and 0.2 s of voice, to a face.

A face encoder of seven blocks (96 px down to 1), an audio encoder, and a decoder of seven blocks
that sees the encoder's map of the same size beside its own. Published at `width` 32.
Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild", 2020.
https://github.com/Rudrabha/Wav2Lip
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipsync.engines.wav2lip.units import ConvUnit, GrowUnit, Row, make_audio_encoder, make_stages

_WIDTH_KEYS = (  # a first layer as wide as the network's `width`; of the first that there is
    "audio_encoder.0.conv_block.0.weight",  # generator, expert
    "face_encoder_blocks.0.0.conv_block.0.weight",  # quality discriminator
)
_STEADY, _TIMED = 4, 5  # dimensions of faces without and with time


@dataclass(frozen=True)
class Params:
    """The size of a generator, an expert or a quality discriminator."""

    width: int = 32  # channels of the first audio layer, even; all others are in proportion

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ValueError(f"a width of {self.width} is no even number from 2 on")

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Params:
        """Infer the size from a state dict's shapes; ValueError for one of another lineage."""
        for key in _WIDTH_KEYS:
            if key in state and state[key].ndim > 0:
                return cls(len(state[key]))
        raise ValueError("none of the first layers by which the width is told")


class Generator(nn.Module):
    """The network under its published names."""

    def __init__(self, params: Params | None = None) -> None:
        super().__init__()
        self.params = params or Params()
        width = self.params.width
        encoder = make_stages(6, _encoder_rows(width))
        # the last two rows make one block: 3 px to 1, and one more look at it
        blocks = [*encoder[:6], [*encoder[6], *encoder[7]]]
        self.face_encoder_blocks = nn.ModuleList([nn.Sequential(*block) for block in blocks])
        self.audio_encoder = make_audio_encoder(width, residuals=1)
        self.face_decoder_blocks = _make_decoder(width)
        self.output_block = nn.Sequential(
            ConvUnit(2 * width + width // 2, width), nn.Conv2d(width, 3, 1)
        )

    def forward(self, audio: Tensor, faces: Tensor) -> Tensor:
        """Return (B, 3, 96, 96) in [0, 1], of `audio` and `faces` as `logits` takes them."""
        return self.logits(audio, faces).sigmoid()

    def logits(self, audio: Tensor, faces: Tensor) -> Tensor:
        """Return (B, 3, 96, 96), before the sigmoid, BGR.

        `audio` is (B, 1, 80, 16) in [-4, 4]; `faces` (B, 6, 96, 96) in [0, 1], BGR: the face
        with its rows from 48 on at zero, then a whole one. With time: (B, T, 1, 80, 16) and
        (B, 6, T, 96, 96) to (B, 3, T, 96, 96). Raises ValueError where only one of both has it.
        """
        if faces.dim() != audio.dim() or faces.dim() not in (_STEADY, _TIMED):
            raise ValueError(f"audio of {audio.dim()} and faces of {faces.dim()} dimensions")
        if faces.dim() == _STEADY:
            return self._paint(audio, faces)
        batch, moments = audio.shape[:2]
        # moments outermost, as the published code has the rows of a batch
        audio = audio.transpose(0, 1).flatten(0, 1)
        faces = faces.permute(2, 0, 1, 3, 4).flatten(0, 1)
        painted = self._paint(audio, faces).unflatten(0, (moments, batch))
        return painted.permute(1, 2, 0, 3, 4)

    def _paint(self, audio: Tensor, faces: Tensor) -> Tensor:
        maps = []
        for block in self.face_encoder_blocks:
            faces = block(faces)
            maps.append(faces)
        hidden: Tensor = self.audio_encoder(audio)
        for block in self.face_decoder_blocks:
            hidden = torch.cat([block(hidden), maps.pop()], dim=1)
        painted: Tensor = self.output_block(hidden)
        return painted


def _encoder_rows(width: int) -> tuple[Row, ...]:
    return (
        (width // 2, 7, 1, 3, 0),
        (width, 3, 2, 1, 2),
        (2 * width, 3, 2, 1, 3),
        (4 * width, 3, 2, 1, 2),
        (8 * width, 3, 2, 1, 2),
        (16 * width, 3, 2, 1, 1),
        (16 * width, 3, 1, 0, 0),
        (16 * width, 1, 1, 0, 0),
    )


def _make_decoder(width: int) -> nn.ModuleList:
    """Return the seven blocks; every one but the first takes its predecessor's map and a skip."""
    top = 16 * width
    blocks = [nn.Sequential(ConvUnit(top, top, 1, 1, 0))]
    widths = (top, top, 12 * width, 8 * width, 4 * width, 2 * width)
    skips = (top, top, 8 * width, 4 * width, 2 * width, width)
    channels = top
    for place, (wide, skip) in enumerate(zip(widths, skips, strict=True)):
        grow = GrowUnit(channels + skip, wide, doubles=place > 0)
        residuals = [ConvUnit(wide, wide, is_residual=True) for _ in range(2 if place else 1)]
        blocks.append(nn.Sequential(grow, *residuals))
        channels = wide
    return nn.ModuleList(blocks)
