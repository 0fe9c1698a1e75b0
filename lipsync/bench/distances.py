"""How far fewer steps, other schedules and kept features land from 20 steps of DDIM.

With small random networks: they tell which way of sampling is nearer, not how a picture looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lipsync.bench.rows import cpu_seconds, single_thread
from lipsync.bench.small_networks import Sizes, make_unet, make_vae
from lipsync.bench.windows import make_window
from lipsync.engines import make_settings
from lipsync.engines.latentsync.engine import LatentSyncEngine
from lipsync.engines.latentsync.sampling import Sampling, SchedulerName, denoise
from lipsync.engines.latentsync.vae import decode_faces
from lipsync.presets import PRESETS_FOLDER, load_presets

REFERENCE = Sampling(steps=20, guidance=1.5, scheduler="ddim")
_FEWER = (4, 6, 8, 12)
_MORE = 50  # steps, which tell how far the 20 themselves are from where they would end
_OTHERS: tuple[SchedulerName, ...] = ("ddim", "dpm++", "unipc")
_INTERVALS = (2, 3, 5)


@dataclass(frozen=True)
class Distance:
    """One way of sampling, beside 20 steps of DDIM from the same noise."""

    name: str
    seconds: float  # CPU seconds per window, decoding left out
    speed: float  # the reference's seconds over these
    latents: float  # mean difference of the final latents, of their root mean square
    levels: float  # mean difference of the decoded faces, of 255


def ways(reference: Sampling = REFERENCE) -> dict[str, Sampling]:
    """Return what is compared, by name: the bundled presets' own ways last."""
    compared = {
        f"{scheduler}, {steps} steps": replace(reference, scheduler=scheduler, steps=steps)
        for scheduler in _OTHERS
        for steps in _FEWER
    }
    compared[f"ddim, {_MORE} steps"] = replace(reference, steps=_MORE)
    for interval in _INTERVALS:
        name = f"ddim, {reference.steps} steps, cache {interval}"
        compared[name] = replace(reference, cache_interval=interval)
    presets, _ = load_presets((PRESETS_FOLDER,), make_settings)
    for preset in presets:
        if preset.engine == LatentSyncEngine.spec.name:
            settings = make_settings(preset.engine, preset.settings)
            compared[f"preset {preset.name}"] = Sampling(
                steps=settings.steps,
                guidance=settings.guidance,
                scheduler=settings.scheduler,
                cache_interval=settings.cache_interval,
            )
    return compared


def measure_distances(sizes: Sizes, compared: dict[str, Sampling]) -> Iterator[Distance]:
    """Yield the reference itself, then everything that is compared with it."""
    unet, vae = make_unet(sizes.unet), make_vae(sizes.vae)
    window = make_window(sizes, sizes.walk_resolution)

    def walk(sampling: Sampling) -> tuple[Tensor, float]:
        last: list[Tensor] = []
        seconds = cpu_seconds(
            lambda: last.extend(list(denoise(unet, window.inputs, window.noise, sampling))[-1:])
        )
        return last[0], seconds

    def paint(latents: Tensor) -> Tensor:
        parts = [decode_faces(vae, part) for part in latents.split(sizes.codec_frames)]
        return (torch.cat(parts).clamp(-1, 1) + 1) * 127.5

    with torch.inference_mode(), single_thread():
        wanted, usual = walk(REFERENCE)
        painted = paint(wanted)
        yield Distance(f"ddim, {REFERENCE.steps} steps", usual, speed=1.0, latents=0.0, levels=0.0)
        known = {REFERENCE: (wanted, usual)}
        for name, sampling in compared.items():
            if sampling not in known:
                known[sampling] = walk(sampling)
            latents, seconds = known[sampling]
            yield Distance(
                name=name,
                seconds=seconds,
                speed=usual / seconds,
                latents=float((latents - wanted).abs().mean() / wanted.square().mean().sqrt()),
                levels=float((paint(latents) - painted).abs().mean()),
            )
