"""Sound that recorded vectors were made from, read as the recording did."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np


def read_wave(path: Path) -> np.ndarray:
    """Return the samples of a 16-bit mono 16 kHz WAV as (N,) float32 in [-1, 1)."""
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, 16000):
            raise ValueError(f"{path.name} is not 16 bit, mono, 16 kHz")
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
