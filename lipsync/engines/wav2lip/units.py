"""What the networks of this lineage are built of: convolution, norm and activation in one unit.

The names inside a unit are the published ones, so that published files fit. Each list of layers is
given as rows of (channels, kernel, stride, padding, how many residual units follow).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

Pair = int | tuple[int, int]
Row = tuple[int, int, Pair, int, int]

MEL_SHAPE = (80, 16)  # bands and columns of the mel that belongs to a frame: 0.2 s
SIDE = 96  # px of a face
HALF = SIDE // 2  # the first row of the lower half, which is painted


class ConvUnit(nn.Module):
    """Convolution, batch norm and ReLU; a residual unit adds its input before the ReLU."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int = 3,
        stride: Pair = 1,
        padding: int = 1,
        *,
        is_residual: bool = False,
    ) -> None:
        super().__init__()
        self.is_residual = is_residual
        self.conv_block = nn.Sequential(
            nn.Conv2d(channels, width, kernel, stride, padding), nn.BatchNorm2d(width)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        changed = self.conv_block(hidden)
        return functional.relu(changed + hidden if self.is_residual else changed)


class GrowUnit(nn.Module):
    """Transposed convolution, batch norm and ReLU: 1 px becomes 3, or every side is doubled."""

    def __init__(self, channels: int, width: int, *, doubles: bool) -> None:
        super().__init__()
        stride, edge = (2, 1) if doubles else (1, 0)
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(channels, width, 3, stride, edge, edge), nn.BatchNorm2d(width)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.relu(self.conv_block(hidden))


def make_stages(channels: int, rows: tuple[Row, ...]) -> list[list[ConvUnit]]:
    """Return the units of every row: one that changes the shape, then its residual ones."""
    stages = []
    for width, kernel, stride, padding, residuals in rows:
        units = [ConvUnit(channels, width, kernel, stride, padding)]
        units += [ConvUnit(width, width, is_residual=True) for _ in range(residuals)]
        stages.append(units)
        channels = width
    return stages


def make_audio_encoder(width: int, residuals: int) -> nn.Sequential:
    """Return the encoder from (B, 1, 80, 16) to (B, 16 * width, 1, 1).

    The generator's and the expert's differ in how many residual units follow the fourth row.
    """
    rows: tuple[Row, ...] = (
        (width, 3, 1, 1, 2),
        (2 * width, 3, (3, 1), 1, 2),
        (4 * width, 3, 3, 1, 2),
        (8 * width, 3, (3, 2), 1, residuals),
        (16 * width, 3, 1, 0, 0),
        (16 * width, 1, 1, 0, 0),
    )
    return nn.Sequential(*[unit for stage in make_stages(1, rows) for unit in stage])
