"""Attention across frames: each place of the picture looks at itself at other moments."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from lipsync.engines.latentsync.attention import TRANSFORMER_EPS, Attention, FeedForward
from lipsync.engines.latentsync.params import UNetParams

_GROUPS = 32  # fixed, whatever the rest of the network uses


def encode_positions(num_frames: int, width: int) -> Tensor:
    """Return (num_frames, width) sines in even columns and cosines in odd, from fast to slow."""
    rates = 10000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(num_frames)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class PositionCode(nn.Module):
    """Tell the frames of a window apart by adding their place in time; (N, F, width)."""

    pe: Tensor  # the checkpoints carry this table, so it is not left out of the state

    def __init__(self, width: int, max_frames: int) -> None:
        super().__init__()
        self.register_buffer("pe", encode_positions(max_frames, width)[None])

    def forward(self, hidden: Tensor) -> Tensor:
        num_frames, longest = hidden.shape[1], self.pe.shape[1]
        if num_frames > longest:
            raise ValueError(f"a window of {num_frames} frames; this network takes {longest}")
        return hidden + self.pe[:, :num_frames]


class TemporalAttention(Attention):
    """Attention among the frames of one place; queries, keys and values all know their moment."""

    def __init__(self, width: int, params: UNetParams) -> None:
        super().__init__(width, params.motion_heads)
        self.pos_encoder = PositionCode(width, params.max_frames)

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(self.pos_encoder(hidden), context)


class TemporalBlock(nn.Module):
    """Residual attentions among frames, then a feed-forward; (B·H·W, F, width)."""

    def __init__(self, width: int, params: UNetParams) -> None:
        super().__init__()
        count = params.motion_attentions
        self.attention_blocks = nn.ModuleList(
            [TemporalAttention(width, params) for _ in range(count)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(count)])
        self.ff = FeedForward(width)
        self.ff_norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            hidden = hidden + attention(norm(hidden))
        thought: Tensor = hidden + self.ff(self.ff_norm(hidden))
        return thought


class TemporalTransformer(nn.Module):
    """The frames of each place through temporal blocks; (B·F, width, H, W) in and out."""

    def __init__(self, width: int, params: UNetParams) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width, eps=TRANSFORMER_EPS)
        self.proj_in = nn.Linear(width, width)
        self.transformer_blocks = nn.ModuleList(
            [TemporalBlock(width, params) for _ in range(params.motion_layers)]
        )
        self.proj_out = nn.Linear(width, width)
        # so that a network without motion, given fresh motion modules, is unchanged at first
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, hidden: Tensor, num_frames: int) -> Tensor:
        height, width = hidden.shape[-2:]
        moments = rearrange(self.norm(hidden), "(b f) c h w -> (b h w) f c", f=num_frames)
        moments = self.proj_in(moments)
        for block in self.transformer_blocks:
            moments = block(moments)
        change = self.proj_out(moments)
        changed: Tensor = hidden + rearrange(
            change, "(b h w) f c -> (b f) c h w", h=height, w=width
        )
        return changed


class MotionModule(nn.Module):
    """A temporal transformer under the name that the checkpoints give it."""

    def __init__(self, width: int, params: UNetParams) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(width, params)

    def forward(self, hidden: Tensor, num_frames: int) -> Tensor:
        moved: Tensor = self.temporal_transformer(hidden, num_frames)
        return moved
