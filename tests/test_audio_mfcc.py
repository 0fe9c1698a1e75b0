"""The coefficients that SyncNet hears, against their definition written out a second time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lipsync.audio.mfcc import count_columns, mfcc, mfcc_blocks

SILENCE = math.log(np.finfo(np.float64).eps)


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Ten pitched breaths, 16-bit steps, longer than a block of columns; (N,) float32."""
    time = np.arange(2060 * 160) / 16000
    noise = np.random.default_rng(7).standard_normal(len(time))
    sound = (np.sin(2 * np.pi * 140 * time) + 0.3 * noise) * (1 + np.sin(2 * np.pi * 0.5 * time))
    return (np.rint(sound * 4000) / 32768).astype(np.float32)


def column_by_hand(samples: np.ndarray, column: int) -> np.ndarray:
    """Compute one column from the whole sound, sum by sum; (13,)."""
    values = samples.astype(np.float64) * 32768
    sharp = np.append(values[0], values[1:] - 0.97 * values[:-1])
    frame = np.zeros(512)
    part = sharp[column * 160 : column * 160 + 400]
    frame[: len(part)] = part
    turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(512)) / 512)
    power = np.abs(turns @ frame) ** 2 / 512
    mels = [2595 * math.log10(1 + 8000 / 700) * step / 27 for step in range(28)]
    bins = [math.floor(513 * 700 * (10 ** (mel / 2595) - 1) / 16000) for mel in mels]
    levels = []
    for low, middle, high in zip(bins, bins[1:], bins[2:], strict=False):
        total = sum(power[k] * (k - low) / (middle - low) for k in range(low, middle))
        total += sum(power[k] * (high - k) / (high - middle) for k in range(middle, high))
        levels.append(math.log(total or np.finfo(np.float64).eps))
    result = []
    for n in range(13):
        waves = sum(x * math.cos(math.pi * n * (2 * i + 1) / 52) for i, x in enumerate(levels))
        scale = math.sqrt((1 if n == 0 else 2) / 26)
        result.append(waves * scale * (1 + 11 * math.sin(math.pi * n / 22)))
    result[0] = math.log(power.sum() or np.finfo(np.float64).eps)
    return np.array(result)


def test_every_column_is_what_its_definition_says(voice: np.ndarray) -> None:
    """First and last, inside, and on both sides of the border between two blocks."""
    found = mfcc(voice)
    assert found.shape == (13, 2059)
    for column in (0, 1, 700, 2047, 2048, 2058):
        np.testing.assert_allclose(found[:, column], column_by_hand(voice, column), atol=1e-8)


def test_a_started_column_counts_and_hears_silence_behind_the_end(voice: np.ndarray) -> None:
    counts = [count_columns(n) for n in (1, 400, 401, 560, 561, 16000)]
    assert counts == [1, 1, 2, 2, 3, 99]
    found = mfcc(voice[5000:5450])
    assert found.shape == (13, 2)
    np.testing.assert_allclose(found[:, 1], column_by_hand(voice[5000:5450], 1), atol=1e-8)


def test_blocks_are_small_and_make_the_whole(voice: np.ndarray) -> None:
    blocks = list(mfcc_blocks(voice))
    assert [block.shape[1] for block in blocks] == [2048, count_columns(len(voice)) - 2048]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), mfcc(voice))


def test_silence_is_a_number() -> None:
    found = mfcc(np.zeros(800, np.float32))
    np.testing.assert_allclose(found[0], SILENCE)
    assert np.abs(found[1:]).max() < 1e-9


def test_it_hears_sixteen_bits(voice: np.ndarray) -> None:
    """A quarter of a step is not heard, beside a voice or alone; what is too loud is cut off."""
    quarter = np.float32(0.25 / 32768)
    np.testing.assert_array_equal(mfcc(voice[:4000] + quarter), mfcc(voice[:4000]))
    assert mfcc(np.full(400, quarter))[0, 0] == pytest.approx(SILENCE)
    loud = np.array([1.5, -1.5] * 300, np.float32)
    np.testing.assert_array_equal(mfcc(loud), mfcc(np.array([32767, -32768] * 300) / 32768.0))
