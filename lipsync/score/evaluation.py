"""A face and a sound through SyncNet, as they stream: what `syncnet` and `sync` make together.

Faces come cropped, 25 a second; only a strip of twenty is in memory. Where they come from and what
the numbers are worth is not known here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import numpy as np
import torch

from lipsync.audio.mfcc import NUM_COEFFICIENTS, mfcc
from lipsync.audio.signals import RATE as SOUND_RATE
from lipsync.score.demands import require_sound
from lipsync.score.sync import MAX_SHIFT, RATE, SyncMeasure, SyncMeter, weigh_distances
from lipsync.score.syncnet import (
    COLUMNS_PER_FRAME,
    SOUND_COLUMNS,
    WINDOW,
    StripSyncNet,
    cut_strips,
)
from lipsync.steps import exhaust

Turn = AbstractContextManager[object]  # such as `Residence.turn`; entered again and again
STRIP = 16  # windows at once; more are no quicker
_FRAME_SAMPLES = SOUND_RATE // RATE
_WINDOW_SAMPLES = 3440  # that 20 columns of the coefficients are made from


def measure_sync(
    network: StripSyncNet,
    faces: Iterable[np.ndarray],
    samples: np.ndarray,
    *,
    start: int = 0,
    compat: bool = False,
) -> SyncMeasure:
    """Hold (224, 224, 3) uint8 RGB faces, 25 a second, against (N,) float32 samples at 16 kHz.

    `start` is as in `hold_faces`. `compat` counts as the published evaluation does: of n frames
    n - 5 windows (one fewer than there are), and zeros for what is beyond the sound's ends; it
    knows no other start than 0. Raises InputError where the sound is silent or the faces are too
    few.
    """
    if compat and start:
        raise ValueError("the published evaluation has the sound cut to the face")
    if compat:
        faces = islice(faces, len(samples) // _FRAME_SAMPLES)
    else:
        require_sound(samples)
    sounds = cut_sounds(samples, compat=compat)
    steps = hold_faces(network, faces, sounds, start=start, compat=compat)
    return weigh_distances(exhaust(steps), compat=compat)


def cut_sounds(samples: np.ndarray, *, compat: bool = False) -> torch.Tensor:
    """Return (S, 13, 20) float32, a view: what is heard in the windows that begin at each frame.

    Windows are whole; `compat`: those of the published evaluation, five fewer than frames.
    """
    columns = torch.from_numpy(mfcc(samples).astype(np.float32))
    if columns.shape[1] < SOUND_COLUMNS:
        return columns.new_zeros(0, NUM_COEFFICIENTS, SOUND_COLUMNS)
    windows = columns.unfold(1, SOUND_COLUMNS, COLUMNS_PER_FRAME).transpose(0, 1)
    whole = (len(samples) - _WINDOW_SAMPLES) // _FRAME_SAMPLES + 1
    return windows[: max(len(samples) // _FRAME_SAMPLES - WINDOW if compat else whole, 0)]


def hold_faces(
    network: StripSyncNet,
    faces: Iterable[np.ndarray],
    sounds: torch.Tensor,
    *,
    start: int = 0,
    compat: bool = False,
    turn: Turn | None = None,
) -> Generator[int, None, np.ndarray]:
    """Yield how many windows of faces are held against `sounds`; return (W, 31) float32 distances.

    `start` is the frame of the sound's time at which the first face is seen: a face that comes late
    into a clip is held against what is heard before it, too. `turn` is held while the network
    computes, a strip at a time.
    """
    turn = turn or nullcontext()
    lead = min(start, MAX_SHIFT)
    hearing = _Hearing(network, sounds, start - lead, turn)
    meter = SyncMeter(lead=lead, compat=compat)
    lips = embed_faces(network, faces, turn)
    seen = 0
    for windows in _without_last(lips) if compat else lips:
        meter.see(windows)
        seen += len(windows)
        heard = hearing.embed_until(seen if compat else start + seen + MAX_SHIFT)
        meter.hear(heard, is_last=hearing.is_over)
        yield seen
    return meter.end()


@torch.inference_mode()
def embed_faces(
    network: StripSyncNet, faces: Iterable[np.ndarray], turn: Turn | None = None
) -> Iterator[np.ndarray]:
    """Yield (n, D) float32, one row for each five (224, 224, 3) uint8 RGB faces in succession."""
    turn = turn or nullcontext()
    weight = next(network.parameters())
    # the network was trained on pictures whose colours come blue first
    planes = (torch.from_numpy(face[..., ::-1].copy()).permute(2, 0, 1) for face in faces)
    for strip in cut_strips(planes, STRIP):
        with turn:
            seen = network.embed_strip(strip.to(weight.device, weight.dtype)).float().cpu().numpy()
        yield seen


class _Hearing:
    """The sound's windows, embedded in order as far as somebody asks."""

    def __init__(self, network: StripSyncNet, sounds: torch.Tensor, first: int, turn: Turn) -> None:
        self._network = network
        self._sounds = sounds
        self._next = first
        self._turn = turn

    @property
    def is_over(self) -> bool:
        """Whether the last window has been asked for."""
        return self._next >= len(self._sounds)

    @torch.inference_mode()
    def embed_until(self, stop: int) -> np.ndarray:
        """Return (n, D) float32 of the windows before `stop` that were not asked for yet."""
        weight = next(self._network.parameters())
        windows = self._sounds[self._next : stop, None]
        self._next = max(self._next, stop)
        with self._turn:
            heard = self._network.embed_sound(windows.to(weight.device, weight.dtype))
            return heard.float().cpu().numpy()


def _without_last(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the rows of all batches but for the very last one."""
    held: np.ndarray | None = None
    for batch in batches:
        rows = batch if held is None else np.concatenate([held, batch])
        yield rows[:-1]
        held = rows[-1:]
