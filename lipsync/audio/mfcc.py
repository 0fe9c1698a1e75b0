"""Cepstral coefficients exactly as the published SyncNet was trained on them.

Thirteen numbers, 100 columns a second: the logarithm of a frame's energy and the slow shape of its
mel spectrum (26 triangles from 0 to 8 kHz), liftered. float64 throughout, computed in blocks.
Davis and Mermelstein, IEEE Trans. ASSP 28 (1980). Nothing here knows of networks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.fft import dct

from lipsync.audio.signals import RATE

NUM_COEFFICIENTS = 13
MFCC_RATE = 100  # columns a second
_WINDOW = 400  # samples, 25 ms, rectangular
_HOP = RATE // MFCC_RATE
_FFT = 512
_NUM_FILTERS = 26
_LIFTER = 22
_PRE_EMPHASIS = 0.97
_FULL_SCALE = 32768.0  # of 16-bit samples, which the coefficients are made from
_LEAST = np.finfo(np.float64).eps  # stands for a power of zero
_BLOCK = 2048  # columns computed at once


def count_columns(num_samples: int) -> int:
    """Return how many columns a voice of that many samples has; a started one counts."""
    return 1 + max(0, -(-(num_samples - _WINDOW) // _HOP))


def mfcc(samples: np.ndarray) -> np.ndarray:
    """Return (13, `count_columns`) float64 coefficients of (N,) float32 at 16 kHz in [-1, 1].

    Samples are rounded to the 16 bits that the network knows, so a silence of less than half a
    step is digital silence.
    """
    return np.concatenate(list(mfcc_blocks(samples)), axis=1)


def mfcc_blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the columns of `mfcc` in blocks (13, n), n at most 2048; only a block is in memory."""
    filters = _mel_triangles().T
    order = np.arange(NUM_COEFFICIENTS)
    lift = 1.0 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER)
    count = count_columns(len(samples))
    for first in range(0, count, _BLOCK):
        columns = min(_BLOCK, count - first)
        sound = _sharpened(samples, first * _HOP, (columns - 1) * _HOP + _WINDOW)
        frames = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP]
        spectrum = np.fft.rfft(frames, _FFT)
        power = (spectrum.real**2 + spectrum.imag**2) / _FFT
        levels = np.log(_above_zero(power @ filters))
        block = dct(levels, type=2, axis=1, norm="ortho")[:, :NUM_COEFFICIENTS] * lift
        block[:, 0] = np.log(_above_zero(power.sum(axis=1)))
        yield block.T


def _sharpened(samples: np.ndarray, start: int, length: int) -> np.ndarray:
    """Return (length,) 16-bit values from `start` on after pre-emphasis, zeros beyond the end."""
    before = max(start - 1, 0)
    part = np.rint(samples[before : start + length].astype(np.float64) * _FULL_SCALE)
    part = part.clip(-_FULL_SCALE, _FULL_SCALE - 1)
    sharp = part.copy()
    sharp[1:] -= _PRE_EMPHASIS * part[:-1]
    sharp = sharp[start - before :]
    return np.pad(sharp, (0, length - len(sharp)))


def _above_zero(power: np.ndarray) -> np.ndarray:
    return np.where(power == 0.0, _LEAST, power)


def _mel_triangles() -> np.ndarray:
    """Return (26, 257) triangles, corners on whole bins, evenly spaced on the mel scale."""
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    hertz = 700.0 * (10.0 ** (np.linspace(0.0, top, _NUM_FILTERS + 2) / 2595.0) - 1.0)
    corners = np.floor((_FFT + 1) * hertz / RATE)[:, None]
    bins = np.arange(_FFT // 2 + 1)
    below, centre, above = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins - below) / (centre - below)
    falling = (above - bins) / (above - centre)
    return np.clip(np.minimum(rising, falling), 0.0, None)
