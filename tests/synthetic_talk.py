"""Talking clips made of numbers: a mesh that opens with the loudness of a humming voice."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lipsync.assets import asset_path
from lipsync.audio.signals import RATE
from lipsync.engines.draft.articulation import VoiceChannels
from lipsync.face.mouth import mean_face
from lipsync.train.clips import TalkingClip

_FPS = 25


def make_talk(name: str, seed: int, seconds: float = 8.0, lag: int = 0) -> TalkingClip:
    """Return a clip in which lips follow sound `lag` frames later; each seed another person."""
    draw = np.random.default_rng(seed)
    frames = round(seconds * _FPS)
    drive = gaussian_filter1d(draw.normal(size=(frames * 4, 2)), 8, axis=0)
    drive = (drive - drive.min(axis=0)) / np.ptp(drive, axis=0)  # at 100 Hz, in [0, 1]
    at_samples = np.arange(round(seconds * RATE)) / RATE
    loud, bright = (np.interp(at_samples, np.arange(len(drive)) / 100, d) for d in drive.T)
    hum = np.sin(2 * np.pi * (120 + 10 * seed) * at_samples)
    buzz = np.sin(2 * np.pi * 2000 * at_samples)
    samples = 0.2 * (loud**2 * hum + 0.5 * bright**2 * buzz) + 1e-3 * draw.normal(
        size=len(at_samples)
    )
    channels = np.concatenate(
        [drive, 0.3 * draw.normal(size=(len(drive), 12)).cumsum(axis=0) / 10], axis=1
    )
    with np.load(asset_path("mouth_shape.npz")) as stored:
        basis = stored["basis"].astype(np.float64)
    mouth = np.roll(drive[::4], lag, axis=0) * (0.15, 0.08)
    params = np.column_stack([mouth[:, 0], mouth[:, 0] ** 2, mouth[:, 1] - 0.04])
    face = mean_face() * (1, 1 + 0.02 * seed, 1) + np.einsum("tk,klc->tlc", params, basis)
    return TalkingClip(
        name=name,
        samples=samples.astype(np.float32),
        voice=VoiceChannels(channels, np.zeros(len(channels))),
        fps=Fraction(_FPS),
        first_row=0,
        landmarks=(200 * face + (320, 240, 0)).astype(np.float32),
    )
