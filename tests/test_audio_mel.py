"""Mels agree with a second implementation, and a long voice with its own pieces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipsync.audio.mel import mel_filters, sync_columns, sync_mel, whisper_mel


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose loudness swells, like syllables: (N,) float32 at 16 kHz."""
    count = int(seconds * 16_000)
    swell = 0.5 - 0.5 * np.cos(np.arange(count) / 16_000 * 2 * np.pi * 3)
    return (np.random.default_rng(seed).normal(0, 0.1, count) * swell).astype(np.float32)


def tone(hertz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000).astype(np.float32)


def test_filters_are_triangles_of_equal_area() -> None:
    filters = mel_filters(16_000)  # bins of 1 Hz, so that sums are integrals
    assert filters.shape == (80, 8001)
    assert np.allclose(filters.sum(axis=1), 1.0, atol=0.01)
    peaks = filters.argmax(axis=1)
    assert (np.diff(peaks) > 0).all()
    # up to 1000 Hz all are equally far apart, above that in a constant ratio
    low, high = peaks[peaks < 900], peaks[peaks > 1200]
    assert np.ptp(np.diff(low)) <= 1
    assert np.ptp(high[1:] / high[:-1]) < 0.002


@pytest.mark.parametrize("hertz", [220.0, 1000.0, 5000.0])
def test_a_tone_lights_its_own_band(hertz: float) -> None:
    bins = mel_filters(400)
    loudest = whisper_mel(tone(hertz)).mean(axis=1).argmax()
    assert abs(bins[loudest].argmax() * 40 - hertz) < 90


def test_whisper_mel_is_the_published_recipe() -> None:
    samples = voice(2.0)
    spectrum = torch.stft(
        torch.from_numpy(samples), 400, 160, window=torch.hann_window(400), return_complex=True
    )
    power = torch.from_numpy(mel_filters(400)) @ spectrum[:, :-1].abs().square()
    wanted = power.clamp(min=1e-10).log10()
    wanted = (torch.maximum(wanted, wanted.max() - 8) + 4) / 4
    assert np.allclose(whisper_mel(samples), wanted.numpy(), atol=1e-4)


def test_the_floor_belongs_to_the_whole_voice() -> None:
    quiet = 1e-4 * voice(1.0)
    alone, beside = whisper_mel(quiet), whisper_mel(np.concatenate([quiet, tone(300.0)]))
    assert np.ptp(beside) == pytest.approx(2.0)
    assert np.ptp(alone[:, 10:80]) > 1.5 * np.ptp(beside[:, 10:80])


@pytest.mark.parametrize("mel", [whisper_mel, sync_mel])
def test_a_long_voice_is_its_pieces(mel) -> None:  # type: ignore[no-untyped-def]
    samples = np.tile(voice(1.0), 60)  # several blocks
    whole = mel(samples)
    period = 100 if mel is whisper_mel else 80
    for second in (1, 20, 26, 58):
        part = whole[:, second * period : (second + 1) * period]
        assert np.allclose(part, whole[:, 2 * period : 3 * period], atol=1e-5)


def test_column_counts() -> None:
    assert whisper_mel(np.ones(1607, np.float32)).shape == (80, 10)
    assert sync_mel(np.zeros(1607, np.float32)).shape == (80, 9)
    with pytest.raises(ValueError, match="160 samples or more, not 159"):
        whisper_mel(np.ones(159, np.float32))


def test_sync_mel_is_silent_at_minus_four() -> None:
    assert (sync_mel(np.zeros(4000, np.float32)) == -4.0).all()
    loud = sync_mel(tone(1000.0))
    assert loud.dtype == np.float32
    assert -4.0 < loud.max() <= 4.0


def test_sync_columns_follow_the_frames() -> None:
    assert sync_columns(0) == slice(0, 52)
    assert sync_columns(1) == slice(3, 55)
    assert sync_columns(25) == slice(80, 132)


def test_only_the_ends_of_a_sync_mel_know_what_lies_beyond_them() -> None:
    samples = voice(1.0) + np.float32(0.2)  # no silence at the ends
    silent, reflected = sync_mel(samples), sync_mel(samples, "reflect")
    assert silent.shape == reflected.shape == (80, 81)
    assert np.array_equal(silent[:, 2:-2], reflected[:, 2:-2])
    for column in (0, 1, -2, -1):
        assert np.abs(silent[:, column] - reflected[:, column]).max() > 0.1


def test_a_reflected_end_is_the_voice_backwards() -> None:
    """Pre-emphasis comes first: what is reflected is what is left of the voice after it."""
    samples = voice(0.5)
    sharp = np.append(samples[:1], samples[1:] - np.float32(0.97) * samples[:-1])
    spectrum = torch.stft(
        torch.from_numpy(sharp), 800, 200, window=torch.hann_window(800), return_complex=True
    )
    mel = torch.from_numpy(mel_filters(800, 55.0, 7600.0)) @ spectrum.abs()
    wanted = 8 * (20 * mel.clamp(min=1e-5).log10() - 20 + 100) / 100 - 4
    found = sync_mel(samples, "reflect")
    assert np.allclose(found, wanted.clamp(-4, 4).numpy(), atol=1e-3)
