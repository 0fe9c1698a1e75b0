"""The noise a job is made of: from the seed alone, whatever the machine and whatever ran before.

All frames of a job start from the same noise, as the checkpoints expect. Which of a face's many
possible latents is taken, too, is drawn: by default for each frame of the result by itself, so that
it does not depend on how the result is cut into windows, parts or jobs.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

LATENT_CHANNELS = 4


class Noise(Protocol):
    """Where a scene's random numbers come from, all (…, 4, h, w) float32 on the CPU."""

    def draw_start(self) -> Tensor:
        """Return (1, 4, h, w): what every frame is denoised from."""
        ...

    def draw_choices(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return what chooses the latents of `count` frames, (count, 4, h, w) each: of the erased
        faces, then of the whole ones. `first` is the first frame's number in the whole result."""
        ...


class FrameNoise:
    """Noise that belongs to the frame's number; drawn in any order, as often as one likes."""

    def __init__(self, seed: int, side: int) -> None:
        """`side` is that of the latents, px."""
        self._seed = seed % 2**64
        self._shape = (LATENT_CHANNELS, side, side)

    def draw_start(self) -> Tensor:
        """See `Noise.draw_start`."""
        generator = torch.Generator().manual_seed(self._seed)
        return torch.randn((1, *self._shape), generator=generator)

    def draw_choices(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """See `Noise.draw_choices`."""
        drawn = [
            np.random.default_rng((self._seed, frame)).standard_normal(
                (2, *self._shape), np.float32
            )
            for frame in range(first, first + count)
        ]
        both = torch.from_numpy(np.stack(drawn, axis=1))
        return both[0], both[1]


class SequentialNoise:
    """Noise from one generator, in the order of the published program's calls."""

    def __init__(self, generator: torch.Generator, side: int) -> None:
        self._generator = generator
        self._shape = (LATENT_CHANNELS, side, side)

    def draw_start(self) -> Tensor:
        """See `Noise.draw_start`; call it once, before anything else."""
        return torch.randn((1, *self._shape), generator=self._generator)

    def draw_choices(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """See `Noise.draw_choices`; what comes depends on the calls before, not on `first`."""
        masked, whole = (
            torch.randn((count, *self._shape), generator=self._generator) for _ in range(2)
        )
        return masked, whole
