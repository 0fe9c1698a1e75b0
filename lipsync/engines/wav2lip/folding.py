"""The generator for use only: its batch norms become part of the convolutions before them.

What remains of a unit is a convolution, the residual and the ReLU, both in place.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lipsync.engines.wav2lip.generator import Generator
from lipsync.engines.wav2lip.units import ConvUnit, GrowUnit


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
