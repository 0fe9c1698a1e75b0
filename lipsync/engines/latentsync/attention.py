"""Attention inside a frame: each place looks at the others, then listens to the frame's sound.

It knows frames as separate pictures; what happens between frames is in `motion`.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from lipsync.engines.latentsync.params import UNetParams

TRANSFORMER_EPS = 1e-6  # of the group norm in front of a transformer


class Attention(nn.Module):
    """Multi-head attention, (N, L, width) -> (N, L, width), on itself or on a context."""

    def __init__(
        self, width: int, heads: int, context_width: int | None = None, *, has_bias: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=has_bias)
        self.to_k = nn.Linear(context_width or width, width, bias=has_bias)
        self.to_v = nn.Linear(context_width or width, width, bias=has_bias)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        context = hidden if context is None else context
        query, key, value = (
            rearrange(projected, "n l (heads d) -> n heads l d", heads=self.heads)
            for projected in (self.to_q(hidden), self.to_k(context), self.to_v(context))
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.to_out(rearrange(mixed, "n heads l d -> n l (heads d)"))
        return attended


class GatedLinear(nn.Module):
    """A linear layer whose one half, through a GELU, opens and closes the other (GEGLU)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width_in, 2 * width_out)

    def forward(self, hidden: Tensor) -> Tensor:
        value, gate = self.proj(hidden).chunk(2, dim=-1)
        gated: Tensor = value * functional.gelu(gate)
        return gated


class FeedForward(nn.Module):
    """Widen four times, gate, and come back: (…, width) -> (…, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # the place in the middle was a dropout in training; the checkpoints count it
        self.net = nn.Sequential(
            GatedLinear(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        changed: Tensor = self.net(hidden)
        return changed


class SpatialBlock(nn.Module):
    """Look around, listen, think: three residual steps on (B·F, places, width)."""

    def __init__(self, width: int, params: UNetParams) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, params.heads)
        self.norm2 = self.attn2 = None
        if params.audio_width is not None:
            self.norm2 = nn.LayerNorm(width)
            self.attn2 = Attention(width, params.heads, params.audio_width)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width)

    def forward(self, hidden: Tensor, audio: Tensor | None) -> Tensor:
        hidden = hidden + self.attn1(self.norm1(hidden))
        if audio is not None and self.norm2 is not None and self.attn2 is not None:
            hidden = hidden + self.attn2(self.norm2(hidden), audio)
        thought: Tensor = hidden + self.ff(self.norm3(hidden))
        return thought


class SpatialTransformer(nn.Module):
    """Attention over the places of each frame, and on its sound; (B·F, width, H, W) in and out."""

    def __init__(self, width: int, params: UNetParams) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(params.groups, width, eps=TRANSFORMER_EPS)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([SpatialBlock(width, params)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, hidden: Tensor, audio: Tensor | None) -> Tensor:
        height = hidden.shape[-2]
        places = rearrange(self.proj_in(self.norm(hidden)), "n c h w -> n (h w) c")
        for block in self.transformer_blocks:
            places = block(places, audio)
        change = self.proj_out(rearrange(places, "n (h w) c -> n c h w", h=height))
        changed: Tensor = hidden + change
        return changed
