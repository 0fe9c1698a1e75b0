"""The network that predicts the noise in a window of latents, hearing what is said.

The layout of Stable Diffusion 1.5 with a frame axis, as LatentSync 1.5 and 1.6 have it
(https://arxiv.org/abs/2412.09262); names and shapes are those of the published checkpoints.
It knows tensors; it does not know videos, schedulers or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from lipsync.engines.latentsync.blocks import Conditions, DownStage, MidStage, UpStage, norm_clip
from lipsync.engines.latentsync.params import UNetParams

_SLOWEST = 10000.0  # period of the slowest sine of a timestep's embedding, over 2 pi


@dataclass
class FeatureCache:
    """Deep features kept from one denoising step to the next, as they change slowly.

    Every `interval`-th call of `UNet.forward`, the first one included, computes everything; those
    between run the finest layers only. One cache belongs to one window (and, where the two passes
    of guidance are separate calls, to one of them): make a new one for the next.
    """

    interval: int  # 1 = nothing is reused
    calls: int = 0
    deep: Tensor | None = None

    def recall(self, compute: Callable[[], Tensor]) -> Tensor:
        """Return the kept features, computed anew when their time has come."""
        if self.deep is None or self.calls % self.interval == 0:
            self.deep = compute()
        self.calls += 1
        return self.deep


def embed_timesteps(timesteps: Tensor, width: int) -> Tensor:
    """Return (B, width) float32: cosines, then sines, of (B,) timesteps at falling frequencies."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    angles = timesteps.float()[:, None] * torch.exp(-math.log(_SLOWEST) * steps / half)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """Two linear layers that turn a timestep's waves into what the layers are told."""

    def __init__(self, params: UNetParams) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(params.widths[0], params.time_width)
        self.linear_2 = nn.Linear(params.time_width, params.time_width)

    def forward(self, timesteps: Tensor) -> Tensor:
        waves = embed_timesteps(timesteps, self.linear_1.in_features)
        hidden = functional.silu(self.linear_1(waves.to(self.linear_1.weight.dtype)))
        embedded: Tensor = self.linear_2(hidden)
        return embedded


class UNet(nn.Module):
    """Predict the noise in B windows of F frames."""

    def __init__(self, params: UNetParams) -> None:
        super().__init__()
        self.params = params
        widths = params.widths
        self.conv_in = nn.Conv2d(params.in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(params)
        self.down_blocks = nn.ModuleList(
            [DownStage(index, widths[max(index - 1, 0)], params) for index in range(len(widths))]
        )
        self.mid_block = MidStage(params)
        self.up_blocks = nn.ModuleList(
            [
                UpStage(index, widths_in, params)
                for index, widths_in in enumerate(_up_widths(params))
            ]
        )
        self.conv_norm_out = nn.GroupNorm(params.groups, widths[0], eps=params.eps)
        self.conv_out = nn.Conv2d(widths[0], params.out_channels, 3, padding=1)

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        audio: Tensor | None,
        cache: FeatureCache | None = None,
    ) -> Tensor:
        """Return the noise (B, 4, F, h, w) in `latents` (B, 13, F, h, w).

        `timesteps` is one number for all or (B,); `audio` (B·F, tokens, audio_width), clip after
        clip, or None to leave out listening. h and w need not be multiples of 8. Raises
        ValueError for a window longer than the positions that the network knows.
        """
        batch, _, num_frames = latents.shape[:3]
        time = functional.silu(self.time_embedding(timesteps.expand(batch)))
        conditions = Conditions(time, audio, num_frames)
        first = self.conv_in(rearrange(latents, "b c f h w -> (b f) c h w"))
        if cache is None:
            deep = self._run_deep(first, conditions)
        else:
            deep = cache.recall(lambda: self._run_deep(first, conditions))
        last = cast(UpStage, self.up_blocks[-1])
        hidden = last.run_layer(-1, torch.cat([deep, first], dim=1), conditions)
        hidden = functional.silu(norm_clip(self.conv_norm_out, hidden, num_frames))
        return rearrange(self.conv_out(hidden), "(b f) c h w -> b c f h w", f=num_frames)

    def _run_deep(self, first: Tensor, conditions: Conditions) -> Tensor:
        """Run all but the last layer of the last stage: what a `FeatureCache` keeps."""
        skips = [first]
        hidden = first
        for stage in self.down_blocks:
            hidden = stage(hidden, skips, conditions)
        hidden = self.mid_block(hidden, conditions)
        for stage in self.up_blocks:
            hidden = stage(hidden, skips, conditions)
        return hidden


def _up_widths(params: UNetParams) -> list[list[int]]:
    """Return the channels that enter each layer of each up stage: its own and those of a skip."""
    skips = [params.widths[0]]
    for width in params.widths:
        skips += [width] * (params.layers + 1)
    skips.pop()  # the coarsest stage is not halved again
    entering = []
    hidden = params.widths[-1]
    for width in reversed(params.widths):
        stage = []
        for _ in range(params.layers + 1):
            stage.append(hidden + skips.pop())
            hidden = width
        entering.append(stage)
    return entering
