"""What each frame of a job hears, as the engine's features."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from lipsync.engines.wav2lip.chunks import (
    chunk_starts,
    hear_voice,
    published_starts,
    take_chunks,
)
from lipsync.types import Audio


class HeardFrames:
    """Windows of a mel, one per frame, cut out when they are asked for: they overlap, and those of
    an hour are half a gigabyte."""

    def __init__(self, mel: np.ndarray, starts: np.ndarray) -> None:
        """Take an (80, N) float32 mel and the (T,) int64 columns with which windows begin."""
        self._mel = mel
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, frames: slice, /) -> HeardFrames:
        return HeardFrames(self._mel, self._starts[frames])

    def stack(self) -> Tensor:
        """Return all windows, (T, 1, 80, 16) float32 in [-4, 4]."""
        return torch.from_numpy(take_chunks(self._mel, self._starts))


def hear_frames(audio: Audio, num_frames: int, fps: Fraction, *, compat: bool) -> HeardFrames:
    """Return what each of `num_frames` frames hears.

    `compat`: the published windows; where there are more frames, the last one is held. Raises
    InputError for a voice that is too short for them.
    """
    mel = hear_voice(audio)
    if not compat:
        return HeardFrames(mel, chunk_starts(num_frames, fps))
    starts = published_starts(mel.shape[1], float(fps))
    return HeardFrames(mel, starts[np.minimum(np.arange(num_frames), len(starts) - 1)])
