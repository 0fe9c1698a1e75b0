"""From a voice to a mouth: pauses, ranges, lengths, with and without fitted numbers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from lipsync.assets import asset_path
from lipsync.engines.draft.articulation import (
    hear_articulation,
    load_model,
)
from lipsync.engines.draft.columns import ACTIVITY, CLOSURE, LABIODENTAL, OPENING, WIDTH
from lipsync.engines.draft.network import ArticulationNet, ArticulationParams
from lipsync.example import example_voice
from lipsync.media.sound import read_audio
from lipsync.types import Audio

FPS = Fraction(25)
RATE = 16_000


@pytest.fixture(scope="module")
def sentence() -> np.ndarray:
    return read_audio(example_voice(), RATE).samples


@pytest.fixture(scope="module")
def paused(sentence: np.ndarray) -> np.ndarray:
    """2 s of speech, 2 s of silence, 2 s of speech: what is heard of them, (150, 5)."""
    silence = np.zeros(2 * RATE, np.float32)
    voice = np.concatenate([sentence[: 2 * RATE], silence, sentence[2 * RATE : 4 * RATE]])
    return hear_articulation(Audio(voice, RATE), 150, FPS)


def test_pauses_are_heard(paused: np.ndarray) -> None:
    assert paused.dtype == np.float32
    assert paused[62:88, ACTIVITY].max() == 0.0
    assert paused[10:45, ACTIVITY].min() > 0.9
    assert paused[110:145, ACTIVITY].mean() > 0.9


def test_columns_are_in_range(paused: np.ndarray) -> None:
    for column in (OPENING, CLOSURE, ACTIVITY, LABIODENTAL):
        assert paused[:, column].min() >= 0.0
        assert paused[:, column].max() <= 1.0
    assert np.abs(paused[:, WIDTH]).max() < 6.0
    spoken = paused[paused[:, ACTIVITY] > 0.5, OPENING]
    assert np.ptp(spoken) > 0.9  # a rank among the spoken frames uses the whole scale
    assert np.median(spoken) == pytest.approx(0.5, abs=0.1)


def test_lips_meet_somewhere_in_the_sentence(paused: np.ndarray) -> None:
    assert paused[:, CLOSURE].max() > 0.6
    assert paused[:, LABIODENTAL].max() > 0.3


def test_the_path_without_fitted_numbers_agrees_roughly(sentence: np.ndarray) -> None:
    voice = Audio(sentence, RATE)
    fitted, plain = (hear_articulation(voice, 125, FPS, fitted=how) for how in (True, False))
    assert not np.array_equal(fitted[:, OPENING], plain[:, OPENING])
    assert np.corrcoef(fitted[:, OPENING], plain[:, OPENING])[0, 1] > 0.4
    assert np.array_equal(fitted[:, ACTIVITY], plain[:, ACTIVITY])


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_what_is_no_speech_moves_no_mouth(kind: str) -> None:
    time = np.arange(RATE) / RATE
    sounds = {
        "silence": 0 * time,
        "noise": np.random.default_rng(0).normal(0, 0.1, RATE),
        "tone": 0.3 * np.sin(2 * np.pi * 220 * time),
    }
    heard = hear_articulation(Audio(sounds[kind].astype(np.float32), RATE), 25, FPS)
    assert np.isfinite(heard).all()
    assert heard[:, ACTIVITY].max() < 0.35


def test_the_same_moment_sounds_the_same_at_any_rate(sentence: np.ndarray) -> None:
    voice = Audio(sentence, RATE)
    slow, fast = hear_articulation(voice, 100, FPS), hear_articulation(voice, 200, Fraction(50))
    assert np.abs(fast[::2] - slow).max() < 1e-5


@pytest.mark.parametrize("seconds", [0.2, 0.03])
def test_a_very_short_voice(sentence: np.ndarray, seconds: float) -> None:
    short = Audio(sentence[RATE : RATE + round(seconds * RATE)], RATE)
    heard = hear_articulation(short, 5, FPS)
    assert heard.shape == (5, 5)
    assert np.isfinite(heard).all()


def test_the_model_is_read_strictly(tmp_path: Path) -> None:
    model = load_model()
    assert model.ridge.shape == (70, 3)
    assert len(model.networks) >= 1
    assert not any(net.training for net in model.networks)
    with np.load(asset_path("articulation.npz")) as stored:
        arrays = {key: stored[key] for key in stored.files}
    missing = {key: value for key, value in arrays.items() if key != "net0.out.bias"}
    np.savez(tmp_path / "missing.npz", **missing)
    with pytest.raises(RuntimeError, match=r"out\.bias"):
        load_model(tmp_path / "missing.npz")
    arrays["net0.surplus"] = arrays["net0.out.bias"]
    np.savez(tmp_path / "surplus.npz", **arrays)
    with pytest.raises(RuntimeError, match="surplus"):
        load_model(tmp_path / "surplus.npz")


def test_the_network_sees_a_whole_sequence() -> None:
    torch.manual_seed(0)
    net = ArticulationNet(ArticulationParams(num_inputs=6, width=4)).eval()
    inputs = torch.randn(2, 20, 6)
    with torch.inference_mode():
        outputs = net(inputs)
        alone = net(inputs[:1])
        changed = inputs.clone()
        changed[0, 19] += 1
        assert not torch.allclose(net(changed)[0, 10], outputs[0, 10])
    assert outputs.shape == (2, 20, 3)
    assert torch.allclose(outputs[:1], alone, atol=1e-6)
    assert sum(p.numel() for p in ArticulationNet(ArticulationParams()).parameters()) < 25_000
