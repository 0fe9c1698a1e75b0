"""The generator for use only: its batch norms become part of the convolutions before them.

What remains of a unit is a convolution, the residual and the ReLU, both in place. On a processor,
blocks whose maps are large take few faces at once: what one layer writes, the next still finds in
the cache. Blocks whose weights are large take many: to lay them out takes longer than a face.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lipsync.engines.wav2lip.generator import Generator
from lipsync.engines.wav2lip.units import ConvUnit, GrowUnit

# faces at once per block, measured on a processor with 1 MB of cache per core
_ENCODER_PARTS = (4, 8, 16, 32, 32, 32, 32)
_DECODER_PARTS = (32, 32, 32, 32, 16, 8)
_LAST_PART = 4


class FoldedUnit(nn.Module):
    """What a unit in eval mode computes, in one convolution."""

    def __init__(self, unit: ConvUnit | GrowUnit) -> None:
        super().__init__()
        conv, norm = unit.conv_block
        assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
        assert isinstance(norm, nn.BatchNorm2d)
        self.is_residual = isinstance(unit, ConvUnit) and unit.is_residual
        is_transposed = isinstance(conv, nn.ConvTranspose2d)
        self.conv = fuse_conv_bn_eval(conv, norm, transpose=is_transposed)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (B, C, H, W) for what the unit was given."""
        changed: Tensor = self.conv(hidden)
        if self.is_residual:
            changed += hidden
        return functional.relu(changed, inplace=True)


def fold_norms(network: Generator) -> Generator:
    """Replace every unit by its `FoldedUnit`, in place, and return the network in eval mode.

    It keeps the rounding of the dtype it has: fold in float32, convert afterwards.
    """
    network.eval()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, ConvUnit | GrowUnit):
                setattr(parent, name, FoldedUnit(child))
    return network.requires_grad_(False)


class PartedGenerator(nn.Module):
    """A generator, its channels innermost in memory, that runs each block on as many faces at once
    as suit it."""

    def __init__(self, network: Generator) -> None:
        """Take over the blocks of `network`."""
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, mels: Tensor, faces: Tensor) -> Tensor:
        """Return what `Generator.logits` does, for the form without time."""
        network, maps = self.network, []
        for block, size in zip(network.face_encoder_blocks, _ENCODER_PARTS, strict=True):
            faces = torch.cat([block(part) for part in faces.split(size)])
            maps.append(faces)
        hidden: Tensor = network.audio_encoder(mels)
        *blocks, last = network.face_decoder_blocks
        for block, size in zip(blocks, _DECODER_PARTS, strict=True):
            hidden = torch.cat(list(_join(block, hidden, maps.pop(), size)))
        joined = _join(last, hidden, maps.pop(), _LAST_PART)
        return torch.cat([network.output_block(part) for part in joined])


def _join(block: nn.Module, hidden: Tensor, skip: Tensor, size: int) -> Iterator[Tensor]:
    pairs = zip(hidden.split(size), skip.split(size), strict=True)
    return (torch.cat([block(part), beside], dim=1) for part, beside in pairs)
