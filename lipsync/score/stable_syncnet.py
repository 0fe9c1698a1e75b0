"""StableSyncNet: LatentSync's own judge of 16 or 25 frames and their mel.

Two encoders of plain pictures: the frames' lower halves (or their latents) stacked on the channels,
and the mel. Each ends in one vector of length 1 and no negative entry; the cosine of the two, in
[0, 1], says how well they belong together. LatentSync is also trained on it.
Li et al., "LatentSync: Taming Audio-Conditioned Latent Diffusion Models for Lip Sync", 2024.
https://github.com/bytedance/LatentSync
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from lipsync.engines.latentsync.attention import Attention, FeedForward
from lipsync.errors import InputError
from lipsync.nn.checkpoint import CHOOSE, map_weights, take_weights

HEADS = 8
_GROUPS = 32
_EPS = 1e-6  # of the group norms


@dataclass(frozen=True)
class EncoderParams:
    """One of the two encoders: a block per width, each made smaller by its factor at the end."""

    channels: int
    widths: tuple[int, ...]
    factors: tuple[tuple[int, int], ...]  # height, width; (1, 1) = stays as large as it is
    attention: tuple[bool, ...]  # whether a block is followed by attention


@dataclass(frozen=True)
class StableSyncNetParams:
    """The sizes of a StableSyncNet."""

    sound: EncoderParams
    sight: EncoderParams
    num_frames: int = 16  # F
    sees_latents: bool = False  # whole faces as latents, not the lower halves of pictures

    @property
    def sight_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what it sees: 256 px faces, frame by frame, then colour."""
        return (
            (self.sight.channels, 32, 32) if self.sees_latents else (self.sight.channels, 128, 256)
        )

    @property
    def mel_columns(self) -> int:
        """Columns of `audio.mel.sync_mel` that it hears at once."""
        return math.ceil(self.num_frames * 16 / 5)


def _encoder(
    channels: int,
    widths: tuple[int, ...],
    factors: tuple[int | tuple[int, int], ...],
    attention: tuple[int, ...] = (),
) -> EncoderParams:
    pairs = tuple((one, one) if isinstance(one, int) else one for one in factors)
    places = range(len(widths))
    return EncoderParams(channels, widths, pairs, tuple(place in attention for place in places))


_EAR_WIDTHS = (32, 64, 128, 256, 512, 1024, 2048)
_EYE_WIDTHS = (64, 128, 256, 256, 512, 1024, 2048, 2048)
_EAR_FACTORS = ((2, 1), 2, 2, 1, 2, 2, (2, 3))
_EYE_FACTORS = ((1, 2), 2, 2, 2, 2, 2, 2, 2)
VARIANTS = MappingProxyType(
    {
        "16_pixel": StableSyncNetParams(
            _encoder(1, _EAR_WIDTHS, _EAR_FACTORS), _encoder(48, _EYE_WIDTHS, _EYE_FACTORS)
        ),
        "16_pixel_attn": StableSyncNetParams(  # the published stable_syncnet.pt
            _encoder(1, _EAR_WIDTHS, _EAR_FACTORS, (3, 4)),
            _encoder(48, _EYE_WIDTHS, _EYE_FACTORS, (4, 5)),
        ),
        "25_pixel": StableSyncNetParams(
            _encoder(1, (64, 128, 256, 256, 512, 1024), (2,) * 6),
            _encoder(75, (128, 128, 256, 256, 512, 512, 1024, 1024), _EYE_FACTORS),
            num_frames=25,
        ),
        "16_latent": StableSyncNetParams(
            _encoder(1, _EAR_WIDTHS[:-1], ((2, 1), 2, 2, 2, 2, (2, 3))),
            _encoder(64, (64, 128, 256, 256, 512, 1024), (2, 2, 2, 1, 2, 2)),
            sees_latents=True,
        ),
    }
)


class StableSyncNet(nn.Module):
    """The two encoders, under the published names."""

    def __init__(self, params: StableSyncNetParams) -> None:
        super().__init__()
        self.params = params
        self.audio_encoder = Encoder(params.sound)
        self.visual_encoder = Encoder(params.sight)

    def embed_sight(self, pictures: Tensor) -> Tensor:
        """Return (B, D) of length 1 of (B, *`sight_shape`): pixels in [-1, 1] or scaled latents."""
        return functional.normalize(self.visual_encoder(pictures).flatten(1))

    def embed_sound(self, mel: Tensor) -> Tensor:
        """Return (B, D) of length 1 of (B, 1, 80, `mel_columns`) levels in [-4, 4]."""
        return functional.normalize(self.audio_encoder(mel).flatten(1))

    def forward(self, pictures: Tensor, mel: Tensor) -> Tensor:
        """Return (B,) cosines in [0, 1]: 1 where sight and sound belong together."""
        return functional.cosine_similarity(self.embed_sight(pictures), self.embed_sound(mel))


class Encoder(nn.Module):
    """From a picture to (B, D, 1, 1), nothing below zero."""

    def __init__(self, params: EncoderParams) -> None:
        super().__init__()
        first, last = params.widths[0], params.widths[-1]
        self.conv_in = nn.Conv2d(params.channels, first, 3, padding=1)
        self.down_blocks = nn.ModuleList()
        width_in = first
        for width, factor, has_attention in zip(
            params.widths, params.factors, params.attention, strict=True
        ):
            self.down_blocks.append(ShrinkingBlock(width_in, width, factor))
            if has_attention:
                self.down_blocks.append(AttentionBlock(width))
            width_in = width
        self.norm_out = nn.GroupNorm(_GROUPS, last, eps=_EPS)

    def forward(self, picture: Tensor) -> Tensor:
        hidden = self.conv_in(picture)
        for block in self.down_blocks:
            hidden = block(hidden)
        if hidden.shape[-2:] != (1, 1):
            raise ValueError(
                f"an input of {tuple(picture.shape[-2:])} does not shrink to one place"
            )
        return functional.relu(self.norm_out(hidden))


class ShrinkingBlock(nn.Module):
    """Two convolutions beside a short cut, then a third one that makes the picture smaller."""

    def __init__(self, width_in: int, width: int, factor: tuple[int, int]) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_GROUPS, width_in, eps=_EPS)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(_GROUPS, width, eps=_EPS)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else None
        self.downsample_conv = nn.Conv2d(width, width, 3, factor) if factor != (1, 1) else None
        # where a side keeps its length it needs a pixel on either end, else one behind will do
        high, wide = factor
        self.padding = (int(wide == 1), 1, int(high == 1), 1)  # left, right, top, bottom

    def forward(self, hidden: Tensor) -> Tensor:
        change = self.conv1(functional.silu(self.norm1(hidden)))
        change = self.conv2(functional.silu(self.norm2(change)))
        hidden = change + (hidden if self.conv_shortcut is None else self.conv_shortcut(hidden))
        if self.downsample_conv is not None:
            hidden = self.downsample_conv(functional.pad(hidden, self.padding))
        return hidden


class AttentionBlock(nn.Module):
    """Each place looks at the others; (B, width, H, W) in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_GROUPS, width, eps=_EPS)
        self.conv_in = nn.Conv2d(width, width, 1)
        self.norm2 = nn.LayerNorm(width)
        self.attn = Attention(width, HEADS, has_bias=True)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width)
        self.conv_out = nn.Conv2d(width, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        height = hidden.shape[-2]
        places = rearrange(self.conv_in(self.norm1(hidden)), "b c h w -> b (h w) c")
        places = places + self.attn(self.norm2(places))
        places = places + self.ff(self.norm3(places))
        change = self.conv_out(rearrange(places, "b (h w) c -> b c h w", h=height))
        changed: Tensor = hidden + change
        return changed


def load_stable_syncnet(
    path: Path,
    params: StableSyncNetParams | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> StableSyncNet:
    """Build the network with the weights in a file such as `stable_syncnet.pt`, ready to judge.

    Without `params` it is the one of `VARIANTS` that the file is of. Raises InputError for a file
    that cannot be read or that belongs to another network.
    """
    state = map_weights(path)
    params = params or _recognise(state.weights)
    if params is None:
        count = len(state.weights)
        raise InputError(f"{path.name} holds {count} tensors but no StableSyncNet; {CHOOSE}.")
    with torch.device("meta"):
        network = StableSyncNet(params)
    take_weights(network, state, part="StableSyncNet", device=device, dtype=dtype)
    return network


def _recognise(weights: Mapping[str, Tensor]) -> StableSyncNetParams | None:
    """Return the variant with this first layer, and attention where there is some."""
    first = weights.get("visual_encoder.conv_in.weight")
    has_attention = any(".attn." in name for name in weights)
    for params in VARIANTS.values():
        shape = (params.sight.widths[0], params.sight.channels, 3, 3)
        if (
            first is not None
            and tuple(first.shape) == shape
            and has_attention == any(params.sight.attention)
        ):
            return params
    return None
