"""The stages of the UNet: residual layers, each followed by attention and motion where it has them.

Frames travel stacked on the batch, (B·F, C, H, W), so that a convolution sees plain pictures;
only the group norms of the residual layers and the motion modules look across frames.
"""

from __future__ import annotations

from dataclasses import dataclass

from einops import rearrange, repeat
from torch import Size, Tensor, cat, nn
from torch.nn import functional

from lipsync.engines.latentsync.attention import SpatialTransformer
from lipsync.engines.latentsync.motion import MotionModule
from lipsync.engines.latentsync.params import UNetParams


@dataclass(frozen=True)
class Conditions:
    """What every layer is told besides the picture."""

    time: Tensor  # (B, time_width), the embedded timestep after its SiLU
    audio: Tensor | None  # (B·F, tokens, audio_width); None = no listening at all
    num_frames: int  # F


def norm_clip(norm: nn.GroupNorm, hidden: Tensor, num_frames: int) -> Tensor:
    """Normalise (B·F, C, H, W) with statistics over all frames of a clip together."""
    height = hidden.shape[-2]
    clip = norm(rearrange(hidden, "(b f) c h w -> b c (f h) w", f=num_frames))
    return rearrange(clip, "b c (f h) w -> (b f) c h w", h=height)


class ResidualLayer(nn.Module):
    """Two convolutions around the embedded timestep, beside a short cut."""

    def __init__(self, width_in: int, width_out: int, params: UNetParams) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(params.groups, width_in, eps=params.eps)
        self.conv1 = nn.Conv2d(width_in, width_out, 3, padding=1)
        self.time_emb_proj = nn.Linear(params.time_width, width_out)
        self.norm2 = nn.GroupNorm(params.groups, width_out, eps=params.eps)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, padding=1)
        self.conv_shortcut = None
        if width_in != width_out:
            self.conv_shortcut = nn.Conv2d(width_in, width_out, 1)

    def forward(self, hidden: Tensor, conditions: Conditions) -> Tensor:
        frames = conditions.num_frames
        change = self.conv1(functional.silu(norm_clip(self.norm1, hidden, frames)))
        time = self.time_emb_proj(conditions.time)
        change = change + repeat(time, "b c -> (b f) c 1 1", f=frames)
        change = self.conv2(functional.silu(norm_clip(self.norm2, change, frames)))
        return change + (hidden if self.conv_shortcut is None else self.conv_shortcut(hidden))


class Downsampler(nn.Module):
    """Halve height and width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        halved: Tensor = self.conv(hidden)
        return halved


class Upsampler(nn.Module):
    """Enlarge to a size, twice the old one or a pixel less, by repeating pixels; then smooth."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, hidden: Tensor, size: Size) -> Tensor:
        enlarged: Tensor = self.conv(functional.interpolate(hidden, size=size, mode="nearest"))
        return enlarged


class Stage(nn.Module):
    """Layers at one resolution: residual, attention, motion, as many times as `widths_in` says."""

    def __init__(
        self,
        widths_in: list[int],
        width: int,
        params: UNetParams,
        *,
        has_attention: bool,
        has_motion: bool,
    ) -> None:
        super().__init__()
        count = len(widths_in)
        self.resnets = nn.ModuleList([ResidualLayer(w, width, params) for w in widths_in])
        self.attentions: nn.ModuleList | None = None
        self.motion_modules: nn.ModuleList | None = None
        if has_attention:
            self.attentions = nn.ModuleList(
                [SpatialTransformer(width, params) for _ in range(count)]
            )
        if has_motion:
            self.motion_modules = nn.ModuleList([MotionModule(width, params) for _ in range(count)])

    def run_layer(self, index: int, hidden: Tensor, conditions: Conditions) -> Tensor:
        """Run one layer on (B·F, C, H, W)."""
        hidden = self.resnets[index](hidden, conditions)
        if self.attentions is not None:
            hidden = self.attentions[index](hidden, conditions.audio)
        if self.motion_modules is not None:
            hidden = self.motion_modules[index](hidden, conditions.num_frames)
        return hidden


class DownStage(Stage):
    """A stage on the way to the coarse; it leaves what the way back will need."""

    def __init__(self, index: int, width_in: int, params: UNetParams) -> None:
        width = params.widths[index]
        super().__init__(
            [width_in] + [width] * (params.layers - 1),
            width,
            params,
            has_attention=params.down_attention[index],
            has_motion=params.down_motion[index],
        )
        self.downsamplers: nn.ModuleList | None = None
        if index < len(params.widths) - 1:
            self.downsamplers = nn.ModuleList([Downsampler(width)])

    def forward(self, hidden: Tensor, skips: list[Tensor], conditions: Conditions) -> Tensor:
        for index in range(len(self.resnets)):
            hidden = self.run_layer(index, hidden, conditions)
            skips.append(hidden)
        if self.downsamplers is not None:
            hidden = self.downsamplers[0](hidden)
            skips.append(hidden)
        return hidden


class MidStage(nn.Module):
    """The coarsest picture: residual, attention, perhaps motion, residual."""

    def __init__(self, params: UNetParams) -> None:
        super().__init__()
        width = params.widths[-1]
        self.attentions = nn.ModuleList([SpatialTransformer(width, params)])
        self.resnets = nn.ModuleList([ResidualLayer(width, width, params) for _ in range(2)])
        self.motion_modules: nn.ModuleList | None = None
        if params.mid_motion:
            self.motion_modules = nn.ModuleList([MotionModule(width, params)])

    def forward(self, hidden: Tensor, conditions: Conditions) -> Tensor:
        hidden = self.resnets[0](hidden, conditions)
        hidden = self.attentions[0](hidden, conditions.audio)
        if self.motion_modules is not None:
            hidden = self.motion_modules[0](hidden, conditions.num_frames)
        result: Tensor = self.resnets[1](hidden, conditions)
        return result


class UpStage(Stage):
    """A stage on the way back to the fine; each layer takes up one of the pictures left behind."""

    def __init__(self, index: int, widths_in: list[int], params: UNetParams) -> None:
        width = params.widths[-1 - index]
        super().__init__(
            widths_in,
            width,
            params,
            has_attention=params.up_attention[index],
            has_motion=params.up_motion[index],
        )
        self.upsamplers: nn.ModuleList | None = None
        if index < len(params.widths) - 1:
            self.upsamplers = nn.ModuleList([Upsampler(width)])

    def forward(self, hidden: Tensor, skips: list[Tensor], conditions: Conditions) -> Tensor:
        """Run the layers that still find two skips or more, and enlarge to the next one's size.

        The very first skip belongs to the last layer of all, which `UNet` runs by itself.
        """
        for index in range(len(self.resnets)):
            if len(skips) == 1:
                break
            hidden = self.run_layer(index, cat([hidden, skips.pop()], dim=1), conditions)
        if self.upsamplers is not None:
            hidden = self.upsamplers[0](hidden, skips[-1].shape[-2:])
        return hidden
