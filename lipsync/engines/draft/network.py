"""The small recurrent network that hears articulation. It knows channels and numbers, no files."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ArticulationParams:
    """Shape of the network: about 20 000 parameters."""

    num_inputs: int = 42  # 14 channels at three offsets
    num_outputs: int = 3  # opening, width, jaw
    width: int = 32
    kernel: int = 5  # steps of 40 ms
    dropout: float = 0.3


class ArticulationNet(nn.Module):
    """Convolution, bidirectional GRU, linear: (B, T, inputs) -> (B, T, outputs), both z-scored."""

    def __init__(self, params: ArticulationParams) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            params.num_inputs, params.width, params.kernel, padding=params.kernel // 2
        )
        self.drop = nn.Dropout(params.dropout)
        self.gru = nn.GRU(params.width, params.width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * params.width, params.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.conv(self.drop(inputs).transpose(1, 2))).transpose(1, 2)
        hidden, _ = self.gru(self.drop(hidden))
        outputs: Tensor = self.out(self.drop(hidden))
        return outputs
