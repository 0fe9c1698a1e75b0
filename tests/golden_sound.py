"""Sound that recorded vectors were made from, read as the recording did."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np


def is_exact(path: Path) -> bool:
    """Tell whether a file holds samples that need no decoder: a WAV, 16 bit, mono, 16 kHz."""
    if path.suffix != ".wav":
        return False
    with wave.open(str(path), "rb") as file:
        return (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)


def read_wave(path: Path) -> np.ndarray:
    """Return the samples of an exact file as (N,) float32 in [-1, 1)."""
    with wave.open(str(path), "rb") as file:
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
