"""Mel spectrograms exactly as published networks were trained on them.

Whisper's has 100 columns a second. The other, with 80, is heard by Wav2Lip's three networks, which
know a voice's ends reflected, and by StableSyncNet, which knows silence beyond them: only the first
and the last two columns differ, but by up to a quarter of the scale. The triangular filters follow
Slaney, "Auditory Toolbox", 1998. Everything is computed in blocks, so memory is that of the result.
Nothing here knows of networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from lipsync.audio.signals import RATE

Edge = Literal["reflect", "constant"]

NUM_MELS = 80
WHISPER_HOP = 160  # samples: 100 columns a second
_WHISPER_FFT = 400  # samples, 25 ms
_WHISPER_DEPTH = 8.0  # log10 of power under the loudest of the whole voice; quieter counts as that

SYNC_MEL_RATE = 80  # columns a second
SYNC_MEL_COLUMNS = 52  # what the judge sees at once: a little more than 16 frames at 25 fps
_SYNC_HOP = RATE // SYNC_MEL_RATE
_SYNC_FFT = 800  # samples, 50 ms
_SYNC_BAND = (55.0, 7600.0)  # Hz
_PRE_EMPHASIS = 0.97

_BLOCK = 2048  # columns computed at once
_LINEAR_TOP = 1000.0  # Hz; the mel scale is linear below and logarithmic above
_HZ_PER_MEL = 200.0 / 3.0
_MELS_PER_LOG = 27.0 / np.log(6.4)


def mel_filters(
    fft_size: int, low: float = 0.0, high: float = RATE / 2, num_mels: int = NUM_MELS
) -> np.ndarray:
    """Return (num_mels, fft_size // 2 + 1) float32 triangles of equal area for sound at 16 kHz.

    Their corners are equally spaced on Slaney's mel scale from `low` to `high` Hz.
    """
    corners = _to_hz(np.linspace(_to_mel(low), _to_mel(high), num_mels + 2))
    bins = np.arange(fft_size // 2 + 1) * (RATE / fft_size)
    below, centre, above = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - below) / (centre - below)
    falling = (above - bins) / (above - centre)
    triangles = np.clip(np.minimum(rising, falling), 0.0, None)
    return (triangles * (2.0 / (above - below))).astype(np.float32)


def whisper_mel(samples: np.ndarray) -> np.ndarray:
    """Return the log-mel that Whisper hears, (80, N // 160) float32, of (N,) float32 at 16 kHz.

    Power in log10, floored 8 under the loudest of the *whole* voice, then (x + 4) / 4: about
    [-1, 1.5]. Raises ValueError for fewer than 160 samples.
    """
    count = len(samples) // WHISPER_HOP
    if count == 0:
        raise ValueError(f"a mel needs {WHISPER_HOP} samples or more, not {len(samples)}")
    filters = mel_filters(_WHISPER_FFT).astype(np.float64)
    mel = np.empty((NUM_MELS, count), np.float32)
    spectra = _spectra(samples, _WHISPER_FFT, WHISPER_HOP, count, "reflect")
    for start, spectrum in spectra:
        power = filters @ (spectrum.real**2 + spectrum.imag**2)
        mel[:, start : start + power.shape[1]] = np.log10(np.maximum(power, 1e-10))
    np.maximum(mel, mel.max() - np.float32(_WHISPER_DEPTH), out=mel)
    mel += 4.0
    mel /= 4.0
    return mel


def sync_mel(samples: np.ndarray, edge: Edge = "constant") -> np.ndarray:
    """Return the log-mel that judges of sync hear, (80, 1 + N // 200) float32, of (N,) at 16 kHz.

    Amplitudes after pre-emphasis, on the scale of `sync_level`; silence is -4 exactly. `edge` is
    what lies beyond the ends: "constant" silence (StableSyncNet) or the voice once more, backwards,
    "reflect" (Wav2Lip), which needs a sample or more (ValueError).
    """
    filters = mel_filters(_SYNC_FFT, *_SYNC_BAND).astype(np.float64)
    blocks = [sync_level(filters @ amplitudes) for amplitudes in sync_amplitudes(samples, edge)]
    return np.concatenate(blocks, axis=1)


def sync_amplitudes(samples: np.ndarray, edge: Edge = "constant") -> Iterator[np.ndarray]:
    """Yield (401, n) float64 amplitudes after pre-emphasis, 80 columns a second, in blocks."""
    sharp = samples.astype(np.float64)
    sharp[1:] -= _PRE_EMPHASIS * samples[:-1].astype(np.float64)
    count = 1 + len(samples) // _SYNC_HOP
    for _, spectrum in _spectra(sharp, _SYNC_FFT, _SYNC_HOP, count, edge):
        yield np.abs(spectrum)


def sync_level(amplitudes: np.ndarray) -> np.ndarray:
    """Return float32 levels in [-4, 4] of amplitudes: -80 dB and less is -4, 20 dB or more is 4."""
    decibel = 20.0 * np.log10(np.maximum(amplitudes, 1e-5)) - 20.0
    return np.clip(8.0 * (decibel + 100.0) / 100.0 - 4.0, -4.0, 4.0).astype(np.float32)


def sync_columns(frame: int) -> slice:
    """Return the columns of `sync_mel` that belong to the 16 frames from `frame` on, at 25 fps."""
    first = SYNC_MEL_RATE * frame // 25
    return slice(first, first + SYNC_MEL_COLUMNS)


def _spectra(
    samples: np.ndarray, size: int, hop: int, count: int, edge: Edge
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first column, (size // 2 + 1, n) complex128), column c centred on sample c * hop."""
    # a periodic Hann window
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)
    padded = np.pad(samples, size // 2, mode=edge)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:count]
    for start in range(0, count, _BLOCK):
        block = frames[start : start + _BLOCK]
        yield start, np.fft.rfft(block * window).T


def _to_mel(hertz: float) -> float:
    if hertz < _LINEAR_TOP:
        return hertz / _HZ_PER_MEL
    return float(_LINEAR_TOP / _HZ_PER_MEL + np.log(hertz / _LINEAR_TOP) * _MELS_PER_LOG)


def _to_hz(mels: np.ndarray) -> np.ndarray:
    knee = _LINEAR_TOP / _HZ_PER_MEL
    return np.where(
        mels < knee, mels * _HZ_PER_MEL, _LINEAR_TOP * np.exp((mels - knee) / _MELS_PER_LOG)
    )
