"""A window of random numbers to denoise, as the UNet is given one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lipsync.bench.small_networks import Sizes
from lipsync.engines.latentsync.noise import LATENT_CHANNELS
from lipsync.engines.latentsync.prepare import LATENT_SCALE, keep_mask, shrink_mask
from lipsync.engines.latentsync.sampling import WindowInputs

_TOKENS = 50  # rows of features a frame hears


@dataclass(frozen=True)
class Window:
    """Inputs of one window and the noise it starts from, float32 on the CPU."""

    inputs: WindowInputs
    noise: Tensor  # (F, 4, h, w), the same for every frame


def make_window(sizes: Sizes, resolution: int) -> Window:
    """Draw a window for faces of `resolution` px; the mask is the real one."""
    side, frames = resolution // LATENT_SCALE, sizes.frames
    generator = torch.Generator().manual_seed(1)
    masked, reference, noise = (
        torch.randn(frames, LATENT_CHANNELS, side, side, generator=generator) for _ in range(3)
    )
    audio = torch.randn(frames, _TOKENS, sizes.unet.audio_width or 0, generator=generator)
    keep = shrink_mask(keep_mask(resolution)).expand(frames, 1, -1, -1)
    return Window(WindowInputs(keep, masked, reference, audio), noise[:1].expand_as(noise))
