"""Acoustic signals of a voice, 100 values a second: level, sonority, formants, bands, mel.

Everything is computed in blocks, so memory is that of the result (about 40 numbers a frame).
Formants: linear prediction by the autocorrelation method, Makhoul, Proc. IEEE 63 (1975).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.signal import resample_poly

from lipsync.types import Checkpoint

RATE = 16_000  # Hz, of the samples all functions here take
HOP = 160  # samples: 100 signal frames a second
SIGNAL_RATE = RATE // HOP  # Hz
_WINDOW = 400  # samples, 25 ms
_FFT = 512
_BLOCK = 2048  # frames computed at once
_HALO = 1600  # samples seen beyond a block on each side, a multiple of 8 and of the hop
_BAND_EDGES = (100, 400, 700, 1100, 1700, 2600, 4000, 7600)  # Hz
_NUM_MEL = 24
_LPC_RATE, _LPC_ORDER = 10_000, 12
_LEVEL = 0.1  # target of the 95th percentile of the frame RMS

SIGNAL_NAMES = (
    *("env", "son", "F1son", "F2son"),
    *(f"band:{low}_{high}" for low, high in pairwise(_BAND_EDGES)),
)


def num_signal_frames(num_samples: int) -> int:
    """Return how many signal frames a voice of that many samples has (at least 1)."""
    return max(1, num_samples // HOP)


def voice_gain(samples: np.ndarray) -> float:
    """Return the factor that brings the 95th percentile of the 25 ms RMS of (N,) to 0.1."""
    count = max(1, len(samples) // _WINDOW)
    blocks = samples[: count * _WINDOW].reshape(count, -1)
    if not blocks.size:
        return 1.0
    power = np.einsum("ij,ij->i", blocks, blocks) / blocks.shape[1]
    loud = float(np.sqrt(np.percentile(power, 95)))
    return _LEVEL / loud if loud > 1e-7 else 1.0


def _stretches(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the samples behind each block of frames, with a halo (zeros beyond the ends)."""
    count = num_signal_frames(len(samples))
    for start in range(0, count, _BLOCK):
        low, high = start * HOP - _HALO, min(start + _BLOCK, count) * HOP + _HALO
        part = samples[max(low, 0) : high]
        yield np.pad(part, (max(-low, 0), high - max(low, 0) - len(part)))


def _frames(stretch: np.ndarray, window: int, hop: int, halo: int) -> np.ndarray:
    """Return (B, window): frames of a stretch centred on multiples of `hop` between its halos."""
    count = (len(stretch) - 2 * halo) // hop
    view = np.lib.stride_tricks.sliding_window_view(stretch, window)
    return view[halo - window // 2 :: hop][:count]


def _mel_bank() -> np.ndarray:
    """Return (257, 24) triangular filters, 60–7600 Hz, equally spaced on the mel scale."""
    mel = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7600 / 700), _NUM_MEL + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.arange(_FFT // 2 + 1)[:, None] * RATE / _FFT
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)


def _band_bank() -> np.ndarray:
    """Return (257, 9): the seven bands, the sonority band 250–4000 Hz, and everything."""
    bins = np.arange(_FFT // 2 + 1) * RATE / _FFT
    spans = [*pairwise(_BAND_EDGES), (250, 4000), (0, RATE)]
    return np.stack([(bins >= low) & (bins < high) for low, high in spans], axis=1).astype(float)


def _spectral(
    samples: np.ndarray, gain: float, checkpoint: Checkpoint
) -> tuple[np.ndarray, np.ndarray]:
    """Return band energies in dB (N, 9) and log-mel in dB (N, 24)."""
    count = num_signal_frames(len(samples))
    window = np.hanning(_WINDOW + 1)[:-1]
    bank = np.concatenate([_band_bank(), _mel_bank()], axis=1)
    energy = np.empty((count, bank.shape[1]), np.float32)
    done = 0
    for stretch in _stretches(samples):
        checkpoint()
        frames = _frames(stretch * np.float32(gain), _WINDOW, HOP, _HALO)
        power = np.abs(np.fft.rfft(frames * window, _FFT)) ** 2
        energy[done : done + len(frames)] = 10 * np.log10(power @ bank + 1e-10)
        done += len(frames)
    return energy[:, :9], energy[:, 9:]


def _unit_range(level_db: np.ndarray, depth_db: float) -> np.ndarray:
    """Map a level in dB to [0, 1]: its P95 to 1, max(P5, P95 - depth) to 0."""
    high = np.percentile(level_db, 95)
    low = max(float(np.percentile(level_db, 5)), float(high) - depth_db)
    return np.clip((level_db - low) / max(high - low, 1e-6), 0, 1)


def formants(samples: np.ndarray, checkpoint: Checkpoint = lambda: None) -> np.ndarray:
    """Return (N, 2) F1 and F2 in Hz, 100 a second, median-filtered over 5 frames.

    Frames without a clear pair keep the neutral vowel's 500 and 1500 Hz.
    """
    window = np.hamming(250)
    halo = _HALO * _LPC_RATE // RATE
    found = []
    for stretch in _stretches(samples):
        checkpoint()
        slow = resample_poly(stretch, _LPC_RATE, RATE).astype(np.float64)
        slow[1:] -= 0.97 * slow[:-1]
        found.append(_formant_block(_frames(slow, 250, _LPC_RATE // SIGNAL_RATE, halo) * window))
    return median_filter(np.concatenate(found), size=(5, 1), mode="nearest")


def _formant_block(frames: np.ndarray) -> np.ndarray:
    """Return (B, 2) F1 and F2 of windowed frames (B, 250) at 10 kHz."""
    spectrum = np.abs(np.fft.rfft(frames, 512)) ** 2
    correlation = np.fft.irfft(spectrum)[:, : _LPC_ORDER + 1]
    correlation[:, 0] = correlation[:, 0] * 1.0001 + 1e-12
    lag = np.abs(np.subtract.outer(np.arange(_LPC_ORDER), np.arange(_LPC_ORDER)))
    predictor = np.linalg.solve(correlation[:, lag], correlation[:, 1:, None])[..., 0]
    companion = np.zeros((len(frames), _LPC_ORDER, _LPC_ORDER))
    companion[:, 0] = predictor
    companion[:, np.arange(1, _LPC_ORDER), np.arange(_LPC_ORDER - 1)] = 1
    roots = np.linalg.eigvals(companion)
    hertz = np.angle(roots) * _LPC_RATE / (2 * np.pi)
    width = -np.log(np.maximum(np.abs(roots), 1e-9)) * _LPC_RATE / np.pi
    usable = (hertz > 180) & (hertz < 4000) & (width < 700)
    ordered = np.sort(np.where(usable, hertz, np.inf), axis=1)[:, :2]
    return np.where(np.isfinite(ordered).all(axis=1, keepdims=True), ordered, (500.0, 1500.0))


def voice_signals(
    samples: np.ndarray, checkpoint: Checkpoint = lambda: None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 11 signals of `SIGNAL_NAMES` (N, 11) and the log-mel in dB (N, 24), float32.

    `samples` is (M,) float32 at 16 kHz; row n is centred on n/100 s. `checkpoint` is called once
    per 20 s of voice.
    """
    bands, mel = _spectral(samples, voice_gain(samples), checkpoint)
    envelope = _unit_range(bands[:, 8], 40.0)
    sonority = _unit_range(bands[:, 7], 35.0)
    pitch = formants(samples, checkpoint)
    first = (pitch[:, 0] - 500) / 300 * sonority
    second = (pitch[:, 1] - 1500) / 500 * sonority
    floored = np.maximum(bands[:, :7], bands[:, :7].max(axis=0) - 45.0)
    signals = np.column_stack([envelope, sonority, first, second, floored])
    return signals.astype(np.float32), mel.astype(np.float32)


def sample_context(
    channels: np.ndarray, times: np.ndarray, offsets: tuple[float, ...], sigma: float
) -> np.ndarray:
    """Return (T, len(offsets) * C): 100 Hz channels (N, C), smoothed, read at times + offset (s).

    The order is offset-major: all channels at the first offset, then at the second, …
    """
    smooth = gaussian_filter1d(channels, sigma, axis=0, mode="nearest")
    position = np.arange(len(channels)) / SIGNAL_RATE
    columns = [
        np.interp(times + offset, position, smooth[:, c])
        for offset in offsets
        for c in range(channels.shape[1])
    ]
    return np.column_stack(columns)


def standardise(columns: np.ndarray) -> np.ndarray:
    """Z-score each column over the clip; a constant column becomes 0."""
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 1e-8, spread, np.inf)
