"""One scene, window by window: faces to latents, denoised while hearing the voice, and back.

Whatever takes long on the device happens in a turn of its own (see `Residence.turn`), and between
two turns the job may be stopped. Memory is that of two windows, however long the scene.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from lipsync.audio.whisper import FrameFeatures
from lipsync.engines.latentsync.networks import Networks
from lipsync.engines.latentsync.noise import FrameNoise, Noise, SequentialNoise
from lipsync.engines.latentsync.prepare import (
    LATENT_SCALE,
    keep_mask,
    prepare_faces,
    shrink_mask,
)
from lipsync.engines.latentsync.sampling import Sampling, WindowInputs, denoise
from lipsync.engines.latentsync.settings import LatentSyncSettings
from lipsync.engines.latentsync.vae import decode_faces, encode_faces
from lipsync.engines.latentsync.windows import Place, join_windows, pad_window, plan_windows
from lipsync.errors import InputError
from lipsync.residence import Residence
from lipsync.threads import usual_threads
from lipsync.types import Generated, Scene, Window, Working

_Made = TypeVar("_Made")


def paint_scene(
    networks: Networks,
    residence: Residence,
    scene: Scene,
    windows: Iterable[Window],
    settings: LatentSyncSettings,
    rng: torch.Generator,
) -> Iterator[Generated | Working]:
    """Yield the scene's repainted faces (R, R, 3), some at a time, and `Working` at every turn.

    What is painted depends on the scene, the settings and the seed of `rng`, and on nothing else.
    Raises InputError where the device's numbers do not suffice.
    """
    side = settings.resolution // LATENT_SCALE
    noise: Noise = FrameNoise(rng.initial_seed(), side)
    if settings.windows == "compat":
        noise = SequentialNoise(rng, side)
    device = _Device(networks, residence, settings.low_memory)
    painter = _ScenePainter(networks, device, scene, settings, noise)
    yield from painter.paint(face for window in windows for face in window.faces)


class _Device:
    """Where the networks work: in turns, and, short of memory, with one network there at a time."""

    def __init__(self, networks: Networks, residence: Residence, is_small: bool) -> None:
        self._networks = networks
        self._turn = residence.turn
        self._place = residence.device
        self._dtype = residence.dtype
        self._is_small = is_small and self._place.type != "cpu"

    def take(self, values: Tensor) -> Tensor:
        """Return `values` as the networks take them."""
        return values.to(self._place, self._dtype)

    def run(self, network: nn.Module, work: Callable[[], _Made]) -> _Made:
        """Return what `work`, which uses `network` only, makes in a turn of its own.

        Raises InputError where the device's memory runs out.
        """
        try:
            with self._turn, usual_threads(), torch.inference_mode():
                self._make_room(network)
                return work()
        except torch.OutOfMemoryError as error:
            raise InputError(
                "The graphics card's memory has run out; close what else uses the card, choose a "
                "preset of lower resolution, or set `low_memory: true` in your own."
            ) from error

    def _make_room(self, network: nn.Module) -> None:
        """Bring `network` onto the device, and off it, where memory is short, the other one."""
        if self._is_small:
            for other in (self._networks.unet, self._networks.vae):
                if other is not network:
                    nn.Module.to(other, "cpu")  # without the words of diffusers' own
        nn.Module.to(network, self._place)  # from where another job may have put it


@dataclass(frozen=True)
class _Latents:
    """F frames as the UNet is shown them."""

    masked: Tensor  # (F, 4, h, w) scaled, of the erased faces
    reference: Tensor  # (F, 4, h, w) scaled, of the whole ones


class _ScenePainter:
    """A scene's state from one window to the next."""

    def __init__(
        self,
        networks: Networks,
        device: _Device,
        scene: Scene,
        settings: LatentSyncSettings,
        noise: Noise,
    ) -> None:
        self._networks = networks
        self._device = device
        self._scene = scene
        self._settings = settings
        self._noise = noise
        self._start = noise.draw_start()
        self._keep = shrink_mask(keep_mask(settings.resolution))[None, None]
        self._sampling = Sampling(
            steps=settings.steps,
            guidance=settings.guidance,
            scheduler=settings.scheduler,
            cache_interval=settings.cache_interval,
            in_two_passes=settings.low_memory,
        )

    def paint(self, faces: Iterator[np.ndarray]) -> Iterator[Generated | Working]:
        """Yield the scene's faces, taking (R, R, 3) uint8 `faces` as they are needed."""
        is_compat = self._settings.windows == "compat"
        overlap = 0 if is_compat else self._settings.overlap
        known: list[_Latents] = []  # of frames from the window's start on
        shared: Tensor | None = None  # what the window before has made of its first frames
        for place in plan_windows(len(self._scene.rows), overlap, is_padded=not is_compat):
            first = place.start + sum(len(one.masked) for one in known)
            known.append((yield from self._encode(faces, first, place.stop)))
            whole = _Latents(
                torch.cat([one.masked for one in known]),
                torch.cat([one.reference for one in known]),
            )
            painted = yield from self._denoise(whole, place)
            if shared is not None:
                painted = join_windows(shared, painted)
            finished = place.until - place.start
            yield from self._decode(painted[:finished])
            known = [_Latents(whole.masked[finished:], whole.reference[finished:])]
            shared = painted[finished : place.stop - place.start]

    def _encode(
        self, faces: Iterator[np.ndarray], first: int, stop: int
    ) -> Generator[Working, None, _Latents]:
        """Take the scene's frames from `first` to `stop` and return their latents."""
        count = stop - first
        choices = self._noise.draw_choices(self._scene.first_output + first, count)
        masked, reference = [], []
        for begin in range(0, count, self._settings.codec_frames):
            chosen = slice(begin, min(begin + self._settings.codec_frames, count))
            pictures = np.stack([next(faces) for _ in range(chosen.start, chosen.stop)])
            prepared = prepare_faces(pictures, self._settings.resolution)
            masked.append(self._to_latents(prepared.masked, choices[0][chosen]))
            reference.append(self._to_latents(prepared.pixels, choices[1][chosen]))
            yield Working(0.0)
        return _Latents(torch.cat(masked), torch.cat(reference))

    def _to_latents(self, pictures: Tensor, noise: Tensor) -> Tensor:
        vae, take = self._networks.vae, self._device.take
        return self._device.run(vae, partial(encode_faces, vae, take(pictures), take(noise)))

    def _denoise(self, known: _Latents, place: Place) -> Generator[Working, None, Tensor]:
        """Return (F, 4, h, w) float32 scaled latents: what the window's real frames become."""
        heard = cast(FrameFeatures, self._scene.features[place.start : place.stop]).stack()
        take, unet, length = self._device.take, self._networks.unet, place.length
        window = WindowInputs(
            keep=take(self._keep).expand(length, -1, -1, -1),
            masked=pad_window(known.masked, length),
            reference=pad_window(known.reference, length),
            audio=pad_window(take(heard), length),
        )
        noise = self._start.to(window.masked.device).expand(length, -1, -1, -1)
        steps = denoise(unet, window, noise, self._sampling)
        latents = noise
        for done in range(1, self._sampling.steps + 1):
            latents = self._device.run(unet, partial(next, steps))
            yield Working((place.until - place.start) * done / (self._sampling.steps + 1))
        return latents[: place.stop - place.start]

    def _decode(self, latents: Tensor) -> Iterator[Generated]:
        vae = self._networks.vae
        for part in latents.split(self._settings.codec_frames):
            wanted = self._device.take(part)
            faces = self._device.run(vae, partial(decode_faces, vae, wanted))
            if not faces.isfinite().all():
                name = str(faces.dtype).removeprefix("torch.")
                raise InputError(
                    f"The networks came to numbers that {name} cannot hold, so there is no "
                    "picture; set LIPSYNC_DTYPE to bfloat16 or float32 and start again."
                )
            levels = (faces.float().clamp(-1, 1) + 1) * 127.5
            yield Generated(levels.round().byte().permute(0, 2, 3, 1).cpu().numpy())
