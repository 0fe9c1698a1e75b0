"""Which 0.2 s of a voice a frame hears: at any rate, before the voice begins and after it ended."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipsync.audio.mel import sync_mel
from lipsync.engines.wav2lip.chunks import (
    SILENCE,
    chunk_starts,
    hear_voice,
    published_starts,
    take_chunks,
)
from lipsync.errors import InputError
from lipsync.types import Audio

RATES = [Fraction(25), Fraction(24), Fraction(30000, 1001), Fraction(60), Fraction(12)]


def voice(seconds: float) -> Audio:
    count = int(16_000 * seconds)
    return Audio(np.random.default_rng(3).normal(0, 0.1, count).astype(np.float32), 16_000)


@pytest.mark.parametrize("fps", RATES)
def test_a_frame_hears_from_40_ms_before_it_on(fps: Fraction) -> None:
    starts = chunk_starts(500, fps)
    exact = [80 * (frame / fps - Fraction(1, 25)) for frame in range(500)]
    assert starts.dtype == np.int64
    assert starts.tolist() == [value.numerator // value.denominator for value in exact]


def test_a_click_is_heard_by_the_frames_around_it() -> None:
    """At 25 fps a window lasts five frames: the one before its own, its own, and three more."""
    samples = np.zeros(32_000, np.float32)
    samples[16_000 + 320] = 1.0  # in the middle of frame 25
    mel = hear_voice(Audio(samples, 16_000))
    chunks = take_chunks(mel, chunk_starts(50, Fraction(25)))
    loud = np.flatnonzero(chunks.max(axis=(1, 2, 3)) == mel.max())
    assert loud.tolist() == [22, 23, 24, 25, 26]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("num_frames", [1, 7, 90])
def test_every_frame_hears_something_of_the_same_size(fps: Fraction, num_frames: int) -> None:
    chunks = take_chunks(hear_voice(voice(0.5)), chunk_starts(num_frames, fps))
    assert chunks.shape == (num_frames, 1, 80, 16)
    assert chunks.dtype == np.float32
    assert (chunks[0, :, :, :4] == SILENCE).all()  # before the voice begins
    assert (chunks[0, :, :, 4:] > SILENCE).any()
    late = np.arange(num_frames) / fps > Fraction(6, 10)
    assert (chunks[late] == SILENCE).all()


def test_a_few_frames_at_a_time_hear_what_all_hear() -> None:
    mel, starts = hear_voice(voice(3.0)), chunk_starts(100, Fraction(25))
    whole = take_chunks(mel, starts)
    for first in (0, 3, 40, 72, 95):
        some = slice(first, first + 5)
        assert np.array_equal(take_chunks(mel, starts[some]), whole[some])
    assert take_chunks(mel, starts[:0]).shape == (0, 1, 80, 16)


def test_frames_in_any_order_hear_their_own() -> None:
    mel = hear_voice(voice(1.0))
    order = np.array([50, -3, 20, 75, 20])
    chunks = take_chunks(mel, order)[:, 0]
    assert np.array_equal(chunks[2], mel[:, 20:36])
    assert np.array_equal(chunks[2], chunks[4])
    assert np.array_equal(chunks[1, :, 3:], mel[:, :13])
    assert np.array_equal(chunks[3, :, :6], mel[:, 75:])


def test_the_voice_is_heard_with_its_ends_reflected() -> None:
    heard = voice(1.0)
    assert np.array_equal(hear_voice(heard), sync_mel(heard.samples, "reflect"))
    with pytest.raises(ValueError, match="16000 Hz, not 44100"):
        hear_voice(Audio(heard.samples, 44_100))


def test_the_published_windows_end_with_the_voice() -> None:
    mel = hear_voice(voice(1.0))  # 81 columns
    starts = published_starts(mel.shape[1], 25.0)
    assert len(starts) == 22
    assert starts[[0, 1, 2, 20, 21]].tolist() == [0, 3, 6, 64, 65]


def test_a_voice_too_short_for_the_published_way_is_refused() -> None:
    assert published_starts(16, 25.0).tolist() == [0, 0]
    with pytest.raises(InputError, match=r"less than 0\.19 s.*; choose a longer voice, or leave"):
        published_starts(hear_voice(voice(0.18)).shape[1], 25.0)
