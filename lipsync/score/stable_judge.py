"""The judge `stable_syncnet`: LatentSync's own, on the chosen face of a clip.

It sees windows of 16 frames, every eighth frame one, and never across a gap or a cut. Its authors
publish no measure of sync, only how often the cosine of face and voice lies on the right side of
one half; here the confidence is the mean cosine where it is highest, over shifts of -15 … +15
frames of 40 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipsync.audio.mel import SYNC_MEL_RATE, sync_mel
from lipsync.errors import InputError
from lipsync.face.align import TEMPLATES, align_track, crop_face
from lipsync.face.anchors import ANCHORS
from lipsync.face.detect import MESH_POINTS
from lipsync.media.frames import read_frames
from lipsync.score.evaluation import Turn
from lipsync.score.network_judge import NetworkJudge
from lipsync.score.stable_syncnet import StableSyncNet, load_stable_syncnet
from lipsync.score.sync import MAX_SHIFT, RATE
from lipsync.score.verdict import Limits, find_verdict
from lipsync.score.watch import Watched
from lipsync.types import Clip, SyncScore

KEY = "stable-syncnet"
WORTH = (
    "From 0 to 1; the mean cosine of face and voice where it is highest, a measure of our own, as "
    "the network's authors publish none; a proxy: it agrees with people only about 7 times in 10, "
    "and rewards wide mouths."
)
# the authors count a pair as matching from one half on
_LIMITS = Limits(lowest=0.5, good=0.75)
_SIDE = 256  # px, of the faces
_STRIDE = 8  # frames from one window to the next
_SOUNDS = 4  # windows of sound computed in one turn
_MIN_WINDOWS = 2  # that a shift must be measured on: a second of frames


class StableSyncNetJudge(NetworkJudge[StableSyncNet, np.ndarray]):
    """Asks StableSyncNet."""

    name = "stable_syncnet"
    worth = WORTH
    weights: tuple[str, ...] = (KEY,)
    points = np.concatenate(ANCHORS[MESH_POINTS])  # that a face is aligned by

    def load(self, path: Path) -> StableSyncNet:
        """As `NetworkJudge` says."""
        network = load_stable_syncnet(path, device=self._residence.device)
        if network.params.sees_latents:
            raise InputError(
                f"{path.name} is a StableSyncNet that looks at latents and the judge needs one "
                "that looks at pictures; put the published one in its place."
            )
        return network

    def hear(self, samples: np.ndarray) -> np.ndarray:
        """Return (80, columns) float32, the log-mel that `sync_mel` makes."""
        return sync_mel(samples)

    def hold(
        self, clip: Clip, watched: Watched, network: StableSyncNet, mel: np.ndarray
    ) -> Generator[int, None, np.ndarray]:
        """Yield the row reached; return (T, 31) cosines, a window's in the row of its middle.

        Column k is of a sound 15 - k frames earlier; NaN where there is no window or no sound.
        """
        asked = _Asked(network, self._residence.turn)
        hearing = _Hearing(asked, mel)
        length = network.params.num_frames
        cosines = np.full((len(watched.numbers), 2 * MAX_SHIFT + 1), np.nan, np.float32)
        for stretch in watched.track.segments():
            if stretch.stop - stretch.start < length:
                continue
            with closing(_cut_faces(clip, watched, stretch)) as faces:
                for place, window in _cut_windows(faces, length):
                    first = stretch.start + place
                    seen = asked.see(window)
                    yield first
                    heard = yield from hearing.embed_around(first)
                    for number, sound in heard.items():
                        cosines[first + length // 2, number - first + MAX_SHIFT] = sound @ seen
        return cosines

    def weigh(self, cosines: np.ndarray) -> SyncScore:
        """As `NetworkJudge` says."""
        return weigh_cosines(cosines)


@dataclass(frozen=True)
class _Asked:
    """The network, asked in turns with whoever else computes on its device."""

    network: StableSyncNet
    turn: Turn

    def see(self, window: np.ndarray) -> np.ndarray:
        """Return (D,) float32 of length 1 of a window of (F, 128, 256, 3) uint8 RGB half faces."""
        pictures = torch.from_numpy(window).permute(0, 3, 1, 2).flatten(0, 1)[None] / 127.5 - 1.0
        return self._ask(self.network.embed_sight, pictures)[0]

    def hear(self, mel: np.ndarray) -> np.ndarray:
        """Return (n, D) float32 of length 1 of (n, 80, columns) levels."""
        return self._ask(self.network.embed_sound, torch.from_numpy(mel)[:, None])

    @torch.inference_mode()
    def _ask(self, embed: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor) -> Any:
        weight = next(self.network.parameters())
        with self.turn:
            return embed(batch.to(weight.device, weight.dtype)).float().cpu().numpy()


class _Hearing:
    """The sound's windows, one beginning at each frame, embedded when they are first needed."""

    def __init__(self, asked: _Asked, mel: np.ndarray) -> None:
        self._asked = asked
        self._mel = mel
        self._known: dict[int, np.ndarray] = {}

    def embed_around(self, frame: int) -> Generator[int, None, dict[int, np.ndarray]]:
        """Yield `frame` between pieces of work; return the sounds that begin at most 15 frames
        before or after it, {number: (D,) float32}. Frames come in order."""
        around = range(max(frame - MAX_SHIFT, 0), frame + MAX_SHIFT + 1)
        there = [number for number in around if self._columns(number).stop <= self._mel.shape[1]]
        new = [number for number in there if number not in self._known]
        for start in range(0, len(new), _SOUNDS):
            some = new[start : start + _SOUNDS]
            heard = self._asked.hear(np.stack([self._mel[:, self._columns(n)] for n in some]))
            self._known.update(zip(some, heard, strict=True))
            yield frame
        self._known = {number: self._known[number] for number in there}
        return self._known

    def _columns(self, number: int) -> slice:
        first = SYNC_MEL_RATE * number // RATE
        return slice(first, first + self._asked.network.params.mel_columns)


def _cut_faces(clip: Clip, watched: Watched, stretch: slice) -> Generator[np.ndarray, None, None]:
    """Yield the lower half, (128, 256, 3) uint8 RGB, of the aligned face in each row."""
    alignment = align_track(watched.track, stretch, TEMPLATES["latentsync"], _SIDE)
    frames = read_frames(clip, watched.numbers[stretch].tolist())
    for frame, matrix in zip(frames, alignment.matrices, strict=True):
        yield crop_face(frame, matrix, _SIDE)[_SIDE // 2 :]


def _cut_windows(faces: Iterable[np.ndarray], length: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield windows of `length` faces, every eighth one, and the number of their first face."""
    window: list[np.ndarray] = []
    for number, face in enumerate(faces):
        window.append(face)
        if len(window) == length:
            yield number + 1 - length, np.stack(window)
            window = window[_STRIDE:]


def weigh_cosines(cosines: np.ndarray) -> SyncScore:
    """Return what (T, 31) cosines in rows of 40 ms say; a row may be without any.

    Raises InputError where no shift has two windows.
    """
    measured = np.flatnonzero(np.isfinite(cosines).sum(axis=0) >= _MIN_WINDOWS)
    if not measured.size:
        raise InputError("Too little of the face is visible to compare it with the voice.")
    curve = np.nanmean(cosines[:, measured].astype(np.float64), axis=0).clip(0.0, 1.0)
    best = int(curve.argmax())
    shifts = MAX_SHIFT - measured
    confidence, offset = float(curve[best]), int(shifts[best])
    per_second: list[float | None] = []
    for start in range(0, len(cosines), RATE):
        single = cosines[start : start + RATE, measured[best]]
        known = single[np.isfinite(single)]
        per_second.append(round(float(known.mean().clip(0.0, 1.0)), 3) if known.size else None)
    return SyncScore(
        judge=StableSyncNetJudge.name,
        worth=WORTH,
        confidence=confidence,
        offset_frames=offset,
        fps=Fraction(RATE),
        verdict=find_verdict(confidence, offset, _LIMITS),
        curve_offsets=tuple(shifts[::-1].tolist()),
        curve=tuple(curve[::-1].round(4).tolist()),
        per_second=tuple(per_second),
    )
