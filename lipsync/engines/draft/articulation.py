"""Voice to articulation: how far open and how wide a mouth would be, 25 times a second.

Two fitted models are averaged (a ridge regression over 70 features and small GRUs, both fitted by
`lipsync/train/articulation.py`); a tenth of the opening comes from phones and formants alone, which
costs .01 of correlation on real speech and hedges against voices unlike any the fit has heard.
Without the fitted numbers (`fitted=False`) phones and formants do the whole work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.stats import rankdata

from lipsync.assets import asset_path
from lipsync.audio.activity import speech_probability
from lipsync.audio.phones import hear_visemes
from lipsync.audio.signals import (
    SIGNAL_NAMES,
    SIGNAL_RATE,
    sample_context,
    standardise,
    voice_signals,
)
from lipsync.engines.draft.network import ArticulationNet, ArticulationParams
from lipsync.types import Audio, Checkpoint

ARTICULATION_RATE = 25  # Hz
RIDGE_OFFSETS, RIDGE_SIGMA = (-0.08, -0.04, 0.0, 0.04, 0.08), 1.6  # s; frames of 10 ms
NET_OFFSETS, NET_SIGMA = (-0.02, 0.0, 0.02), 1.0
_HEDGE = 0.1  # share of the path without fitted numbers; 0.25 costs .04 of correlation
_NETWORK_SHARE = 0.6  # of the fitted path; on unheard people a little better than halves
_NUM_VISEMES = 3  # the first columns of the channels; the signals follow in their names' order
_SONORITY, _F1, _F2 = (
    _NUM_VISEMES + SIGNAL_NAMES.index(name) for name in ("son", "F1son", "F2son")
)


@dataclass(frozen=True)
class ArticulationModel:
    """The fitted numbers: ridge coefficients (70, 3) and the networks' mean."""

    ridge: np.ndarray
    networks: tuple[ArticulationNet, ...]

    def predict(self, channels: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return (T, 3) opening, width and jaw at `times` (25 Hz) from channels (N, 14)."""
        linear = ridge_features(channels, times) @ self.ridge
        inputs = torch.from_numpy(net_features(channels, times)).float()[None]
        with torch.inference_mode():
            heard = torch.stack([net(inputs)[0] for net in self.networks]).mean(dim=0).numpy()
        return (1 - _NETWORK_SHARE) * standardise(linear) + _NETWORK_SHARE * standardise(heard)


def ridge_features(channels: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return (T, 70) z-scored features of the ridge."""
    return standardise(sample_context(channels, times, RIDGE_OFFSETS, RIDGE_SIGMA))


def net_features(channels: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return (T, 42) z-scored features of the network."""
    return standardise(sample_context(channels, times, NET_OFFSETS, NET_SIGMA))


@dataclass(frozen=True)
class VoiceChannels:
    """What the models listen to, 100 rows a second."""

    channels: np.ndarray  # (N, 14): viseme opening, width, closure, then the 11 acoustic signals
    labiodental: np.ndarray  # (N,) in [0, 1], lip on teeth


def voice_channels(samples: np.ndarray, checkpoint: Checkpoint = lambda: None) -> VoiceChannels:
    """Listen to a 16 kHz voice (M,) float32."""
    signals, _ = voice_signals(samples, checkpoint)
    visemes = hear_visemes(samples, np.arange(len(signals)) / SIGNAL_RATE, checkpoint)
    return VoiceChannels(np.column_stack([visemes[:, :_NUM_VISEMES], signals]), visemes[:, 3])


@cache
def load_model(path: Path | None = None) -> ArticulationModel:
    """Load the fitted numbers from an .npz (default: the bundled one), strictly."""
    with np.load(path or asset_path("articulation.npz")) as stored:
        arrays = {key: stored[key] for key in stored.files}
    networks = []
    for index in range(int(arrays["num_networks"])):
        prefix = f"net{index}."
        state = {
            key.removeprefix(prefix): torch.from_numpy(value.astype(np.float32))
            for key, value in arrays.items()
            if key.startswith(prefix)
        }
        net = ArticulationNet(ArticulationParams()).eval()
        net.load_state_dict(state, strict=True)
        networks.append(net)
    return ArticulationModel(arrays["ridge"], tuple(networks))


def _phones_only(channels: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return (T, 2) z-scored opening and width from phones and formants, no fitted number."""
    read = sample_context(channels, times, (0.0,), RIDGE_SIGMA)
    voiced = read[:, _F1] + 0.9 * read[:, _SONORITY]
    opening = standardise(standardise(read[:, 0]) + standardise(voiced))
    width = standardise(standardise(read[:, 1]) + 0.5 * standardise(read[:, _F2]))
    return np.column_stack([opening, width])


def articulate(
    channels: np.ndarray, times: np.ndarray, model: ArticulationModel | None
) -> np.ndarray:
    """Return (T, 2) opening and width in standard deviations at `times` (25 Hz).

    `channels` is (N, 14) at 100 Hz; without a model, phones and formants do the whole work.
    """
    plain = _phones_only(channels, times)
    if model is None:
        return plain
    heard = standardise(model.predict(channels, times)[:, :2])
    heard[:, 0] = (1 - _HEDGE) * heard[:, 0] + _HEDGE * plain[:, 0]
    return heard


def _activity(audio: Audio, sonority: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return (T,) in [0, 1]: 0 in real pauses, music and noise, 1 while somebody speaks."""
    loud = gaussian_filter1d(maximum_filter1d(sonority, 41), 6, mode="nearest")
    gate = np.clip((loud - 0.05) / 0.1, 0, 1)  # wide: a tight gate swallows soft syllables
    probability = speech_probability(audio)
    speech = gaussian_filter1d(maximum_filter1d(probability.values, 13), 2, mode="nearest")
    speech_gate = np.clip((speech - 0.1) / 0.25, 0, 1)
    signal_times = np.arange(len(sonority)) / SIGNAL_RATE
    return np.interp(times, signal_times, gate) * np.interp(times, probability.times, speech_gate)


def _rank(values: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Return the rank in [0, 1] of each value among those at which somebody speaks."""
    spoken = np.sort(values[active > 0.5])
    if len(spoken) < 2:
        return (rankdata(values) - 1) / max(len(values) - 1, 1)
    return np.interp(values, spoken, np.linspace(0, 1, len(spoken)))


def hear_articulation(
    audio: Audio,
    num_frames: int,
    fps: Fraction,
    checkpoint: Checkpoint = lambda: None,
    *,
    fitted: bool = True,
) -> np.ndarray:
    """Return (num_frames, 5) float32 for a 16 kHz voice; row t is what output frame t hears.

    Columns: rank of the opening among the spoken frames [0, 1]; width, z-scored; closure [0, 1]
    (1 = lips sealed); activity [0, 1] (0 = nobody speaks); lip-on-teeth contact [0, 1].
    """
    heard_voice = voice_channels(audio.samples, checkpoint)
    channels = heard_voice.channels
    steps = math.ceil(num_frames / fps * ARTICULATION_RATE) + 2
    times = np.arange(steps) / ARTICULATION_RATE
    opening, width = articulate(channels, times, load_model() if fitted else None).T
    active = _activity(audio, channels[:, _SONORITY], times)
    lips = np.column_stack([channels[:, 2], heard_voice.labiodental])
    contact = sample_context(lips, times, (0.0,), RIDGE_SIGMA)
    rank = _rank(opening, active)
    columns = np.column_stack([rank, width, contact[:, 0], active, contact[:, 1]])
    output_times = np.arange(num_frames) / float(fps)
    drive = [np.interp(output_times, times, column) for column in columns.T]
    return np.column_stack(drive).astype(np.float32)
