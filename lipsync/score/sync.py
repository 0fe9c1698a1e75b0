"""What the distances between seen and heard say: by how much the sound is off, and how surely.

A judge makes one row of numbers of every window of lips and one of every window of sound, 25 a
second. `SyncMeter` holds each window of lips against the sounds up to 15 frames around it; the
shift at which they lie closest is the offset, and how far that stands out the confidence. Lips and
sounds stream through: only what a later window still needs is kept, and 31 distances per window.
Chung and Zisserman, "Out of time: automated lip sync in the wild", 2016. It knows no network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipsync.errors import InputError
from lipsync.score.medians import running_median

RATE = 25  # windows a second
MAX_SHIFT = 15  # frames
WINDOW = 5  # frames of a window
MIN_WINDOWS = 21  # that a shift must be measured on: one second of frames
_STEP = 1e-6  # added to every difference, as the published program does
_SMOOTH = 9  # windows, odd, over which the confidence per window is a median


@dataclass(frozen=True)
class SyncMeasure:
    """How mouth and sound lie to each other, in the judge's own unit."""

    offset: int  # frames; > 0: the sound comes that many frames before the lips
    distance: float  # mean at the offset; smaller = closer
    confidence: float  # how far below the curve's median that is; greater = surer
    shifts: np.ndarray  # (K,) int64 frames, ascending: the offsets that were measured
    curve: np.ndarray  # (K,) float64, mean distance at each of `shifts`
    per_window: np.ndarray  # (W,) float64 confidence around each window; NaN = no sound there
    distances: np.ndarray  # (W, 31) float32, row k at a sound 15 - k frames earlier; NaN = no sound

    @property
    def per_second(self) -> tuple[float | None, ...]:
        """Mean confidence of the windows whose middle lies in each second; None where none does."""
        middles = np.arange(len(self.per_window)) + WINDOW // 2
        seconds = middles // RATE
        values: list[float | None] = []
        for second in range((len(self.per_window) + WINDOW - 2) // RATE + 1):
            inside = self.per_window[seconds == second]
            inside = inside[np.isfinite(inside)]
            values.append(float(inside.mean()) if inside.size else None)
        return tuple(values)


class SyncMeter:
    """Measure the distances of lips and sounds as they come, a few windows at a time.

    Both streams are rows of D numbers; the first row of lips belongs with row `lead` of the sounds.
    By default a shift is the mean over the windows that find a sound there, and counts only if they
    are a second's worth. `compat` is the published arithmetic to the digit: beyond its ends the
    sound is all zeros, every shift has all windows, and the confidence per window is drawn to zero
    at the ends.
    """

    def __init__(self, max_shift: int = MAX_SHIFT, *, lead: int = 0, compat: bool = False) -> None:
        self._max_shift = max_shift
        self._compat = compat
        self._lips: list[np.ndarray] = []  # windows that still wait for sound
        self._sounds: list[np.ndarray] = []  # sounds that a window may still be held against
        self._first = -lead  # window with which the first kept sound belongs
        self._rows: list[np.ndarray] = []  # of windows done
        self._is_sound_over = False

    def see(self, lips: np.ndarray) -> None:
        """Take the next (n, D) windows of lips."""
        self._lips.extend(np.asarray(lips, np.float32))
        self._measure()

    def hear(self, sounds: np.ndarray, *, is_last: bool = False) -> None:
        """Take the next (n, D) windows of sound; lips wait for more of them until the last."""
        self._sounds.extend(np.asarray(sounds, np.float32))
        self._is_sound_over = is_last
        self._measure()

    def end(self) -> np.ndarray:
        """Return the (W, 31) float32 distances of all windows seen; NaN where there is no sound."""
        self._is_sound_over = True
        self._measure()
        return np.array(self._rows, np.float32).reshape(-1, 2 * self._max_shift + 1)

    def finish(self) -> SyncMeasure:
        """Return what all of it says; raises InputError where it is too short to say anything."""
        return weigh_distances(self.end(), compat=self._compat)

    def _measure(self) -> None:
        """Hold against each other what has all its sounds, and forget what nobody needs."""
        reach = self._max_shift
        while self._lips:
            window = len(self._rows)
            heard = self._first + len(self._sounds)
            if not self._is_sound_over and heard <= window + reach:
                return
            low = window - reach - self._first  # of the sounds kept
            around = self._sounds[max(low, 0) : max(low + 2 * reach + 1, 0)]
            self._rows.append(self._hold(self._lips.pop(0), around, max(-low, 0)))
            if low > 0:
                self._first += len(self._sounds[:low])
                del self._sounds[:low]

    def _hold(self, lips: np.ndarray, sounds: list[np.ndarray], before: int) -> np.ndarray:
        """Return (31,) float32 distances; the first `before` places and the last find no sound."""
        row = np.full(2 * self._max_shift + 1, np.nan, np.float32)
        if self._compat:
            row[:] = np.linalg.norm(lips + np.float32(_STEP))
        if sounds:
            apart = lips - np.stack(sounds) + np.float32(_STEP)
            row[before : before + len(sounds)] = np.linalg.norm(apart, axis=1)
        return row


def weigh_distances(distances: np.ndarray, *, compat: bool = False) -> SyncMeasure:
    """Return what (W, 31) distances say; a row without numbers is a moment that shows no face.

    Raises InputError where no shift has a second's worth of windows (`compat`: a single one).
    """
    known = np.isfinite(distances)
    measured = np.flatnonzero(known.sum(axis=0) >= (1 if compat else MIN_WINDOWS))
    if not measured.size:
        count = int(known.any(axis=1).sum())
        seconds = (count + WINDOW - 1) / RATE if count else 0.0
        raise InputError(
            f"Face and sound are there together for only {seconds:.2f} s; "
            "a score needs 1 s or more."
        )
    curve = np.nanmean(distances[:, measured].astype(np.float64), axis=0)
    best = int(curve.argmin())
    middle = float(np.median(curve))
    single = middle - distances[:, measured[best]].astype(np.float64)
    # a sound that belongs 3 windows later is 3 too late
    shifts = distances.shape[1] // 2 - measured
    return SyncMeasure(
        offset=int(shifts[best]),
        distance=float(curve[best]),
        confidence=middle - float(curve[best]),
        shifts=shifts[::-1],
        curve=curve[::-1],
        per_window=running_median(single, _SMOOTH, 0.0 if compat else np.nan),
        distances=distances,
    )
