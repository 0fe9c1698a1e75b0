"""Which 0.2 s of the voice belong to each frame.

The networks hear 16 columns of the mel at a time. In training the window of a frame began one frame
(40 ms) before it; the published inference begins it with the frame, and so is 40 ms late. Ours is
the window of the training, at any frame rate.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lipsync.audio.mel import SYNC_MEL_RATE, sync_mel
from lipsync.audio.signals import RATE
from lipsync.engines.wav2lip.units import MEL_SHAPE
from lipsync.errors import InputError
from lipsync.types import Audio

COLUMNS = MEL_SHAPE[1]
SILENCE = -4.0  # level of the mel where there is nothing to hear
_LEAD = Fraction(1, 25)  # seconds by which a frame's window begins before it


def hear_voice(audio: Audio) -> np.ndarray:
    """Return the mel these networks hear, (80, 1 + N // 200) float32 in [-4, 4].

    Raises ValueError for a voice that is not at 16 kHz or has no sample.
    """
    if audio.rate != RATE:
        raise ValueError(f"the mel is made of {RATE} Hz, not {audio.rate}")
    return sync_mel(audio.samples, "reflect")


def chunk_starts(num_frames: int, fps: Fraction) -> np.ndarray:
    """Return the mel column with which each frame's window begins, (num_frames,) int64.

    It is before the first column, negative, for the first frames of a clip.
    """
    # floor(80 * (frame / fps - lead)) in whole numbers, so that no rate is off by rounding
    step, lead = SYNC_MEL_RATE / fps, SYNC_MEL_RATE * _LEAD
    scale = step.denominator * lead.denominator
    start = np.arange(num_frames, dtype=np.int64) * int(step * scale) - int(lead * scale)
    starts: np.ndarray = start // scale
    return starts


def take_chunks(mel: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the windows of an (80, N) mel that begin at `starts`, (len(starts), 1, 80, 16).

    Columns beyond either end are silent. For a long clip ask for a few frames at a time.
    """
    if not len(starts):
        return np.empty((0, 1, *MEL_SHAPE), np.float32)
    left = max(0, -int(starts.min()))
    right = max(0, int(starts.max()) + COLUMNS - mel.shape[1])
    first, last = max(0, int(starts.min())), int(starts.max()) + COLUMNS
    padded = np.pad(mel[:, first:last], ((0, 0), (left, right)), constant_values=SILENCE)
    windows = np.lib.stride_tricks.sliding_window_view(padded, COLUMNS, axis=1)
    chunks = windows[:, starts + left - first].transpose(1, 0, 2)[:, None]
    return np.ascontiguousarray(chunks, np.float32)


def published_starts(num_columns: int, fps: float) -> np.ndarray:
    """Return where the published inference has windows of a mel of that many columns, (n,) int64.

    One for each frame as long as they fit, then one more for the very end: the number of windows is
    the number of frames of the result. Raises InputError for fewer columns than a window has.
    """
    if num_columns < COLUMNS:
        raise InputError(
            "The voice lasts less than 0.19 s, which is too little for the published way of"
            " hearing; choose a longer voice, or leave compat off."
        )
    step = SYNC_MEL_RATE / fps
    places = (np.arange(int(num_columns / step) + 2) * step).astype(np.int64)
    last = num_columns - COLUMNS
    return np.append(places[places <= last], last)
