"""The published procedure, step for step: for results that can be compared with LatentSync's own.

Sixteen frames at a time, each chunk by itself, the last one shorter; a clip shown there and back
where the voice is longer; one noise for all frames, and every other random number in the published
order, so that what a frame becomes depends on where its chunk begins. Our own way, without seams,
is another. https://github.com/bytedance/LatentSync

It holds one chunk at a time: its pictures, faces and latents. Of the whole clip it keeps where the
face is in each frame, a matrix; frames that are shown again are read and aligned again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np
import torch
from diffusers.models.autoencoders import AutoencoderKL
from torch import Tensor

from lipsync.audio.signals import RATE
from lipsync.audio.whisper import (
    FrameFeatures,
    WhisperEncoder,
    count_compat_frames,
    encode_voice,
    hear_frames,
)
from lipsync.engines.latentsync.noise import SequentialNoise
from lipsync.engines.latentsync.prepare import (
    LATENT_SCALE,
    Prepared,
    paste_surroundings,
    prepare_faces,
    shrink_mask,
)
from lipsync.engines.latentsync.reference_crop import (
    ReferenceTemplate,
    crop_reference,
    paste_reference,
    reference_matrices,
    stretch_reference,
)
from lipsync.engines.latentsync.sampling import Sampling, WindowInputs, denoise
from lipsync.engines.latentsync.unet import UNet
from lipsync.engines.latentsync.vae import decode_faces, encode_faces
from lipsync.engines.latentsync.windows import plan_windows
from lipsync.face.anchors import rounded_anchors
from lipsync.types import Audio, Checkpoint

FPS = 25  # frames a second of every published result
SAMPLING = Sampling(steps=20, guidance=1.5, cache_interval=3)

# pictures with the given numbers (N,) int64, in that order: each (H, W, 3) uint8 RGB
ReadPictures = Callable[[np.ndarray], Iterable[np.ndarray]]


@dataclass(frozen=True)
class PublishedSettings:
    """What a call of the published program is told; the defaults are its own."""

    resolution: int = 512  # R, side of the faces, px: what the checkpoint was trained on
    sampling: Sampling = SAMPLING
    seed: int = 1247


@dataclass(frozen=True)
class Chunk:
    """Up to 16 frames in a row and what became of their faces, all float32 on the CPU."""

    first: int  # number of the first one in the result
    walk: Tensor  # (steps, F, 4, h, w) scaled latents after every step
    faces: Tensor  # (F, 3, R, R) about [-1, 1], unclamped: made anew, in the old surroundings


@dataclass(frozen=True)
class RepaintedFrame:
    """One frame of the result and what it was made from."""

    picture: np.ndarray  # (H, W, 3) uint8 RGB
    source: int  # number of the frame it was before
    matrix: np.ndarray  # (2, 3) float32, frame px -> crop px
    aligned: np.ndarray  # (R, R, 3) uint8 RGB, the face as the network saw it
    face: Tensor  # (3, R, R) float32, about [-1, 1], what became of it


@dataclass(frozen=True)
class _Draws:
    """The random numbers of one call, drawn on the CPU whatever the networks compute on."""

    start: Tensor  # (1, 4, h, w), what every frame sets out from
    noise: SequentialNoise  # where all that follow come from


def hear_published(
    whisper: WhisperEncoder,
    samples: np.ndarray,
    fps: Fraction | float = FPS,
    checkpoint: Checkpoint = lambda: None,
) -> FrameFeatures:
    """Return what each frame of the result hears of (S,) float32 samples at 16 kHz.

    As many frames as the published program makes, which is up to two too many. `checkpoint` is
    called before each 30 s of the voice.
    """
    features = encode_voice(whisper, Audio(samples, RATE), "compat", checkpoint)
    return hear_frames(features, count_compat_frames(len(features), fps), fps)


def show_there_and_back(num_source: int, num_output: int) -> np.ndarray:
    """Return (num_output,) int64: the source frame that each frame of the result shows.

    Forwards, then backwards, and again: at each turn the end frame stands twice.
    """
    place = np.arange(num_output, dtype=np.int64) % (2 * num_source)
    return np.minimum(place, 2 * num_source - 1 - place)


class PublishedProcedure:
    """The published way through one UNet and one VAE; nothing stays from call to call."""

    def __init__(
        self,
        unet: UNet,
        vae: AutoencoderKL,
        settings: PublishedSettings = PublishedSettings(),
        checkpoint: Checkpoint = lambda: None,
    ) -> None:
        """Take the networks, each on its device and in its dtype.

        `checkpoint` is called before every step and before a chunk is decoded; it raises to
        cancel.
        """
        self._unet = unet
        self._vae = vae
        self._settings = settings
        self._checkpoint = checkpoint

    def repaint_faces(self, faces: Iterable[np.ndarray], voice: FrameFeatures) -> Iterator[Chunk]:
        """Yield chunk after chunk of as many frames as `voice` has, each when it is asked for.

        `faces` are (h, w, 3) uint8 RGB, aligned, one per frame of the result and in its order; no
        more are taken than the chunk needs. Raises ValueError if there are too few.
        """
        waiting, draws = iter(faces), self._begin()
        for part in _chunks(len(voice)):
            yield self._repaint(np.stack(_take(waiting, part)), voice[part], draws, part.start)

    def repaint_frames(
        self, read: ReadPictures, landmarks: np.ndarray, voice: FrameFeatures
    ) -> Iterator[RepaintedFrame]:
        """Yield as many frames as `voice` has, of a clip of T with (T, L, 2 or 3) landmarks.

        A longer clip is cut, a shorter one shown there and back: `read` is called once, with the
        numbers of all frames in the order shown, and read no further than the chunk needs.
        Landmarks are those of InsightFace (106) or of MediaPipe's mesh (478), in px.
        """
        template = ReferenceTemplate(self._settings.resolution)
        shown = show_there_and_back(len(landmarks), len(voice))
        matrices = reference_matrices(rounded_anchors(landmarks), template)[shown]
        waiting, draws = iter(read(shown)), self._begin()
        for part in _chunks(len(voice)):
            pictures = _take(waiting, part)
            aligned = [
                stretch_reference(crop_reference(picture, matrix, template), template)
                for picture, matrix in zip(pictures, matrices[part], strict=True)
            ]
            chunk = self._repaint(np.stack(aligned), voice[part], draws, part.start)
            for row, picture in enumerate(pictures):
                frame = part.start + row
                yield RepaintedFrame(
                    paste_reference(picture, chunk.faces[row], matrices[frame], template),
                    int(shown[frame]),
                    matrices[frame],
                    aligned[row],
                    chunk.faces[row],
                )

    def _begin(self) -> _Draws:
        generator = torch.Generator().manual_seed(self._settings.seed)
        noise = SequentialNoise(generator, self._settings.resolution // LATENT_SCALE)
        return _Draws(noise.draw_start(), noise)

    @torch.inference_mode()
    def _repaint(self, faces: np.ndarray, voice: FrameFeatures, draws: _Draws, first: int) -> Chunk:
        prepared = prepare_faces(faces, self._settings.resolution)
        noises = draws.noise.draw_choices(first, len(faces))
        window = self._encode(prepared, voice.stack(), noises)
        start = draws.start.expand(len(faces), -1, -1, -1).to(window.masked.device)
        walk = []
        self._checkpoint()
        for latents in denoise(self._unet, window, start, self._settings.sampling):
            walk.append(latents)
            self._checkpoint()
        weight = next(self._vae.parameters())
        decoded = decode_faces(self._vae, walk[-1].to(weight)).float().cpu()
        return Chunk(first, torch.stack(walk).cpu(), paste_surroundings(decoded, prepared))

    def _encode(
        self, prepared: Prepared, audio: Tensor, noises: tuple[Tensor, Tensor]
    ) -> WindowInputs:
        weight, own = next(self._vae.parameters()), self._unet.conv_in.weight
        masked, reference = (
            encode_faces(self._vae, faces.to(weight), noise.to(weight)).to(own)
            for faces, noise in zip((prepared.masked, prepared.pixels), noises, strict=True)
        )
        keep = shrink_mask(prepared.keep).expand(len(masked), -1, -1, -1)
        return WindowInputs(keep.to(own), masked, reference, audio.to(own))


def _chunks(num_frames: int) -> Iterator[slice]:
    """Yield 16 frames after 16; the last ones are as many as are left."""
    for place in plan_windows(num_frames, overlap=0, is_padded=False):
        yield slice(place.start, place.stop)


def _take(waiting: Iterator[np.ndarray], part: slice) -> list[np.ndarray]:
    taken = list(islice(waiting, part.stop - part.start))
    if len(taken) < part.stop - part.start:
        raise ValueError(f"{part.start + len(taken)} pictures are too few for the voice")
    return taken
