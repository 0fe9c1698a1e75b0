"""Speech is told from silence, noise and tones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from lipsync.audio.activity import speech_probability
from lipsync.audio.signals import RATE
from lipsync.example import example_voice
from lipsync.media.sound import read_audio
from lipsync.types import Audio


@pytest.fixture(scope="module")
def sentence() -> np.ndarray:
    return read_audio(example_voice(), RATE).samples


def test_a_sentence_is_speech(sentence: np.ndarray) -> None:
    found = speech_probability(Audio(sentence, RATE))
    assert found.has_speech
    assert (found.values > 0.5).mean() > 0.6
    assert found.values.dtype == np.float32
    assert 0 <= found.values.min() <= found.values.max() <= 1
    assert np.allclose(np.diff(found.times), 0.032)
    assert found.times[-1] == pytest.approx(len(sentence) / RATE, abs=0.032)


@pytest.mark.parametrize("kind", ["silence", "noise", "tone", "click"])
def test_other_sounds_are_none(kind: str) -> None:
    time = np.arange(2 * RATE) / RATE
    rng = np.random.default_rng(0)
    sounds = {
        "silence": np.zeros(2 * RATE),
        "noise": rng.normal(0, 0.1, 2 * RATE),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "click": (np.arange(2 * RATE) % RATE == 0) * 0.9,
    }
    found = speech_probability(Audio(sounds[kind].astype(np.float32), RATE))
    assert not found.has_speech


def test_speech_is_found_where_it_is(sentence: np.ndarray) -> None:
    silence = np.zeros(2 * RATE, np.float32)
    voice = np.concatenate([silence, sentence[: 2 * RATE], silence])
    found = speech_probability(Audio(voice, RATE))
    inside = (found.times > 2.0) & (found.times < 4.0)
    assert found.values[inside].mean() > 0.5
    assert found.values[found.times < 1.9].max() < 0.5


@pytest.mark.parametrize("count", [0, 1, 512, 513])
def test_snippets(count: int) -> None:
    found = speech_probability(Audio(np.zeros(count, np.float32), RATE))
    assert len(found.values) == len(found.times) == max(1, -(-count // 512))
    assert not found.has_speech


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="16000 Hz, not 8000"):
        speech_probability(Audio(np.zeros(8000, np.float32), 8000))


def test_two_at_once_hear_what_each_would_alone(sentence: np.ndarray) -> None:
    voices = [Audio(sentence[: 2 * RATE], RATE), Audio(sentence[2 * RATE : 4 * RATE], RATE)]
    alone = [speech_probability(voice).values for voice in voices]
    with ThreadPoolExecutor(2) as pool:
        together = [found.values for found in pool.map(speech_probability, voices)]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_the_process_keeps_its_threads(sentence: np.ndarray) -> None:
    before = torch.get_num_threads()
    speech_probability(Audio(sentence[:RATE], RATE))
    assert torch.get_num_threads() == before
