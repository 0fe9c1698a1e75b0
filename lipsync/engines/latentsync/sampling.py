"""From noise to latents: one window's walk down the schedule, hearing more or less.

It knows one window at a time and keeps nothing between two of them. Where windows begin and end,
and which noise they start from, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from einops import rearrange
from torch import Tensor

from lipsync.engines.latentsync.unet import FeatureCache, UNet

SchedulerName = Literal["ddim", "dpm++", "unipc"]
Scheduler = DDIMScheduler | DPMSolverMultistepScheduler | UniPCMultistepScheduler

# how the checkpoints were trained: by how much each of 1000 steps mixes noise in
_TRAINING: Mapping[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}


@dataclass(frozen=True)
class Sampling:
    """How a window is denoised."""

    steps: int = 20
    guidance: float = 1.5  # how much of what hearing changes; up to 1.0 it is heard plainly
    scheduler: SchedulerName = "ddim"  # the reference's; the others need fewer steps
    cache_interval: int = 1  # steps that share deep features; 1 = every step computes everything
    in_two_passes: bool = False  # guidance with half the memory, one pass after the other


@dataclass(frozen=True)
class WindowInputs:
    """What the UNet is given of F frames besides the noise, in its own dtype and on its device."""

    keep: Tensor  # (F, 1, h, w), 1 = kept; fractional at a mask's edge
    masked: Tensor  # (F, 4, h, w) scaled latents of the erased faces
    reference: Tensor  # (F, 4, h, w) scaled latents of the whole faces
    audio: Tensor  # (F, tokens, width)


class Guide:
    """Predict the noise in one window again and again, each time a little further down."""

    def __init__(self, unet: UNet, window: WindowInputs, sampling: Sampling) -> None:
        self._unet = unet
        self._still = torch.cat([window.keep, window.masked, window.reference], dim=1)
        self._guidance = sampling.guidance
        self.is_guided = sampling.guidance > 1.0
        # not a voice that is silent, but none at all: this is what the checkpoints expect
        unheard = torch.zeros_like(window.audio)
        hearings = [unheard, window.audio] if self.is_guided else [window.audio]
        if not sampling.in_two_passes:
            hearings = [torch.cat(hearings)]
        self._hearings = [(audio, FeatureCache(sampling.cache_interval)) for audio in hearings]

    def predict(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """Return the noise (F, 4, h, w) float32 in `latents` of the same shape."""
        stacked = torch.cat([latents.to(self._still.dtype), self._still], dim=1)
        window = rearrange(stacked, "f c h w -> 1 c f h w")
        noises = [
            self._unet(
                window.expand(len(audio) // len(latents), -1, -1, -1, -1), timestep, audio, cache
            )
            for audio, cache in self._hearings
        ]
        noise = torch.cat(noises).float()
        mixed = noise[0]
        if self.is_guided:
            mixed = mixed + self._guidance * (noise[1] - mixed)
        return rearrange(mixed, "c f h w -> f c h w")


def make_scheduler(name: SchedulerName, steps: int) -> Scheduler:
    """Return a new schedule of so many steps; one serves one window, as it remembers."""
    scheduler: Scheduler
    if name == "ddim":
        scheduler = DDIMScheduler(
            **_TRAINING, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        )
    elif name == "dpm++":
        scheduler = DPMSolverMultistepScheduler(**_TRAINING, timestep_spacing="trailing")
    else:
        scheduler = UniPCMultistepScheduler(**_TRAINING, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    return scheduler


@torch.inference_mode()
def denoise(
    unet: UNet, window: WindowInputs, noise: Tensor, sampling: Sampling
) -> Iterator[Tensor]:
    """Yield what `noise` (F, 4, h, w) has turned into after every step, the last one the result.

    Scaled latents, float32. Nothing is computed before it is asked for: stop asking to cancel.
    """
    guide = Guide(unet, window, sampling)
    scheduler = make_scheduler(sampling.scheduler, sampling.steps)
    latents = noise.float() * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        predicted = guide.predict(latents, timestep.to(latents.device))
        latents = scheduler.step(predicted, timestep, latents, return_dict=False)[0]
        yield latents
