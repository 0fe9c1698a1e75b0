"""Signals of made-up sounds, where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from lipsync.audio.signals import (
    HOP,
    RATE,
    SIGNAL_NAMES,
    formants,
    num_signal_frames,
    sample_context,
    standardise,
    voice_gain,
    voice_signals,
)

COLUMN = {name: index for index, name in enumerate(SIGNAL_NAMES)}
BANDS = [name for name in SIGNAL_NAMES if name.startswith("band:")]


def sine(hertz: float, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def vowel(resonances: tuple[float, ...], seconds: float = 1.0, pitch: float = 110.0) -> np.ndarray:
    """Pulses through resonators 80 Hz wide: what linear prediction should find again."""
    samples = np.zeros(round(seconds * RATE))
    samples[:: round(RATE / pitch)] = 1.0
    for hertz in (*resonances, 3500.0):
        radius = np.exp(-np.pi * 80.0 / RATE)
        samples = lfilter(
            [1.0], [1.0, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], samples
        )
    return (0.3 * samples / np.abs(samples).max()).astype(np.float32)


@pytest.mark.parametrize(
    ("hertz", "band"), [(250, "100_400"), (900, "700_1100"), (2000, "1700_2600"), (6000, "4000_76")]
)
def test_a_tone_fills_its_own_band(hertz: float, band: str) -> None:
    signals, mel = voice_signals(sine(hertz))
    level = signals[20:80, [COLUMN[name] for name in BANDS]].mean(axis=0)
    loudest = BANDS[int(level.argmax())]
    assert loudest.startswith(f"band:{band}")
    assert level.max() - np.sort(level)[-2] > 15.0  # dB above the next
    assert signals.dtype == mel.dtype == np.float32
    assert signals.shape == (100, 11)
    assert mel.shape == (100, 24)


def test_mel_rises_with_pitch() -> None:
    places = [voice_signals(sine(hertz))[1][50].argmax() for hertz in (200, 500, 1200, 3000, 6500)]
    assert places == sorted(set(places))


@pytest.mark.parametrize(
    "resonances", [(700.0, 1200.0, 2600.0), (300.0, 2200.0, 2900.0), (350.0, 800.0, 2400.0)]
)
def test_formants_of_a_made_vowel(resonances: tuple[float, ...]) -> None:
    found = np.median(formants(vowel(resonances))[10:-10], axis=0)
    # the nearest harmonic of the pitch draws a formant to itself
    assert found == pytest.approx(resonances[:2], abs=75.0)


def test_formants_of_nothing_are_the_neutral_vowel_s() -> None:
    assert np.array_equal(np.unique(formants(np.zeros(RATE, np.float32)), axis=0), [[500, 1500]])


def test_how_loud_a_voice_was_recorded_does_not_matter() -> None:
    voice = np.concatenate(
        [vowel((700, 1200, 2600)), sine(200, 0.5, 0.01), vowel((300, 2200, 2900))]
    )
    loud, loud_mel = voice_signals(voice)
    faint, faint_mel = voice_signals(voice * np.float32(0.003))
    assert np.allclose(faint, loud, atol=2e-2)
    assert np.allclose(faint_mel, loud_mel, atol=2e-2)


def test_level_voice_sets_the_loud_parts() -> None:
    loud = sine(300, 2.0, 0.7)
    levelled = loud * voice_gain(loud)
    assert np.sqrt(np.mean(levelled**2)) == pytest.approx(0.1, rel=0.02)
    silence = np.zeros(RATE, np.float32)
    assert voice_gain(silence) == 1.0


def test_envelope_follows_the_sound() -> None:
    voice = np.concatenate([np.zeros(RATE // 2, np.float32), vowel((700, 1200, 2600))])
    signals, _ = voice_signals(voice)
    for name in ("env", "son"):
        assert signals[5:40, COLUMN[name]].max() < 0.05
        assert signals[60:140, COLUMN[name]].min() > 0.8
    assert signals[:, : COLUMN["son"] + 1].min() >= 0.0
    assert signals[:, : COLUMN["son"] + 1].max() <= 1.0


@pytest.mark.parametrize("count", [1, 100, HOP, 399, 401, 5_000, RATE + 77])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_any_length_gives_finite_numbers(count: int, level: float) -> None:
    samples = (level * np.random.default_rng(0).normal(size=count)).astype(np.float32)
    signals, mel = voice_signals(samples)
    assert len(signals) == len(mel) == num_signal_frames(count)
    assert np.isfinite(signals).all()
    assert np.isfinite(mel).all()


def test_blocks_leave_no_seam() -> None:
    """30 s are three blocks; each second of them sounds the same."""
    second = vowel((700, 1200, 2600), pitch=100.0)
    signals, _ = voice_signals(np.tile(second, 30))
    inner = signals[100:2900].reshape(28, 100, -1)
    assert np.abs(inner - inner[:1]).max() < 1e-2


def test_context_reads_at_the_times_asked_for() -> None:
    ramp = np.column_stack([np.arange(500.0), 1000 - np.arange(500.0)])
    times = np.array([1.0, 2.0, 3.004])
    read = sample_context(ramp, times, (-0.1, 0.0, 0.1), 1.0)
    assert read.shape == (3, 6)
    assert np.allclose(read[:, 2], [100, 200, 300.4])  # offset 0, first channel
    assert np.allclose(read[:, 0], [90, 190, 290.4])
    assert np.allclose(read[:, 5], 1000 - (times + 0.1) * 100)
    before, after = sample_context(ramp, np.array([-5.0, 99.0]), (0.0,), 1.0)[:, 0]
    assert before < 2  # the ends are held, not extrapolated
    assert after > 497


def test_standardise() -> None:
    columns = standardise(np.column_stack([np.arange(10.0), np.full(10, 3.0)]))
    assert columns[:, 0].mean() == pytest.approx(0.0)
    assert columns[:, 0].std() == pytest.approx(1.0)
    assert np.array_equal(columns[:, 1], np.zeros(10))


def test_a_cancelled_job_stops_listening() -> None:
    def cancelled() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        voice_signals(sine(300, 1.0, 0.5), cancelled)
