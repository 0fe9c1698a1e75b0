"""The networks at their published size with random weights: what a window takes, whatever is in it.

The same code runs at any size; on a graphics card it is asked for the real one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lipsync.bench.cost import peak_mb
from lipsync.bench.small_networks import WHISPER_TINY, Sizes, make_unet, make_vae
from lipsync.bench.windows import make_window
from lipsync.engines.latentsync.noise import LATENT_CHANNELS
from lipsync.engines.latentsync.params import STAGE2
from lipsync.engines.latentsync.prepare import LATENT_SCALE
from lipsync.engines.latentsync.sampling import Guide, Sampling, WindowInputs, denoise
from lipsync.engines.latentsync.vae import VAEParams, decode_faces, encode_faces

FULL = Sizes(STAGE2, VAEParams(), WHISPER_TINY)
_FPS = 25


@dataclass(frozen=True)
class Pass:
    """One use of a network."""

    name: str
    seconds: float  # wall time
    weights_mb: float
    working_mb: float  # beyond the weights, at the peak
    per_number: float  # working bytes per px of a face, byte of a number and pass of guidance


@dataclass(frozen=True)
class Painted:
    """A window painted from faces to faces."""

    name: str
    resolution: int
    seconds_per_second: float  # wall seconds per second of video at 25 frames
    peak_mb: float  # of the device's memory, weights and all


def measure_step(sizes: Sizes, device: torch.device, dtype: torch.dtype) -> Pass:
    """Run one guided step of denoising, both passes at once."""
    unet = make_unet(sizes.unet, device, dtype)
    window = make_window(sizes, sizes.resolution)
    guide = Guide(unet, _moved(window.inputs, device, dtype), Sampling(guidance=1.5))
    noise, timestep = window.noise.to(device), torch.tensor(501, device=device)
    weights = sum(weight.nbytes for weight in unet.parameters()) / 2**20
    before = _start_peak(device)
    begun = time.perf_counter()
    with torch.inference_mode():
        guide.predict(noise, timestep)
    numbers = 2 * sizes.resolution**2 * dtype.itemsize
    return _finish("UNet, a guided step", begun, before, weights, device, numbers)


def measure_decoding(sizes: Sizes, device: torch.device, dtype: torch.dtype) -> Pass:
    """Decode as many faces as go through the VAE at once."""
    vae = make_vae(sizes.vae, device, dtype)
    side = sizes.resolution // LATENT_SCALE
    latents = torch.randn(sizes.codec_frames, LATENT_CHANNELS, side, side).to(device, dtype)
    weights = sum(weight.nbytes for weight in vae.parameters()) / 2**20
    before = _start_peak(device)
    begun = time.perf_counter()
    with torch.inference_mode():
        decode_faces(vae, latents)
    name = f"VAE, {sizes.codec_frames} faces decoded"
    numbers = sizes.resolution**2 * dtype.itemsize
    return _finish(name, begun, before, weights, device, numbers)


def measure_painting(
    name: str, sizes: Sizes, device: torch.device, dtype: torch.dtype, sampling: Sampling
) -> Painted:
    """Encode, denoise and decode a window twice; the second time is measured."""
    unet = make_unet(sizes.unet, device, dtype)
    vae = make_vae(sizes.vae, device, dtype)
    window = make_window(sizes, sizes.resolution)
    inputs = _moved(window.inputs, device, dtype)
    noise = window.noise.to(device)
    side = sizes.resolution
    faces = torch.rand(sizes.frames, 3, side, side).to(device, dtype) * 2 - 1

    def encode() -> Tensor:
        parts = faces.split(sizes.codec_frames)
        choices = torch.zeros_like(inputs.masked).split(sizes.codec_frames)
        return torch.cat([encode_faces(vae, *pair) for pair in zip(parts, choices, strict=True)])

    def paint() -> None:
        given = replace(inputs, masked=encode(), reference=encode())
        *_, latents = denoise(unet, given, noise, sampling)
        for part in latents.to(dtype).split(sizes.codec_frames):
            decode_faces(vae, part)

    with torch.inference_mode():
        paint()
        _start_peak(device)
        begun = time.perf_counter()
        paint()
        _wait(device)
        seconds = time.perf_counter() - begun
    return Painted(
        name=name,
        resolution=side,
        seconds_per_second=seconds * _FPS / sizes.frames,
        peak_mb=_peak_mb(device),
    )


def _moved(inputs: WindowInputs, device: torch.device, dtype: torch.dtype) -> WindowInputs:
    return WindowInputs(
        keep=inputs.keep.to(device, dtype),
        masked=inputs.masked.to(device, dtype),
        reference=inputs.reference.to(device, dtype),
        audio=inputs.audio.to(device, dtype),
    )


def _finish(
    name: str, begun: float, before: float, weights: float, device: torch.device, numbers: int
) -> Pass:
    _wait(device)
    seconds = time.perf_counter() - begun
    working = _peak_mb(device) - before
    return Pass(name, seconds, weights, working, working * 2**20 / numbers)


def _start_peak(device: torch.device) -> float:
    """Return the memory in use, MB, from which the next peak is counted."""
    if device.type == "cuda":
        _wait(device)
        torch.cuda.reset_peak_memory_stats(device)
    return _peak_mb(device)


def _peak_mb(device: torch.device) -> float:
    """Return the peak of memory: a card's since it was last reset, else the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_mb()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
