"""The example must be there, be what it says, and be small."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image

from lipsync.example import example_photo, example_voice

NOTES = Path(__file__).resolve().parents[1] / "assets" / "README.md"


def test_photo_comes_from_the_installed_package() -> None:
    with Image.open(example_photo()) as photo:
        assert photo.size == (512, 512)
    assert "skimage" in example_photo().parts


def test_voice_is_small_and_speaks_for_five_seconds() -> None:
    assert example_voice().stat().st_size < 120_000
    with av.open(str(example_voice())) as container:
        sound = np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    assert 4.5 <= len(sound) / rate <= 5.5
    loud = np.abs(sound[: len(sound) // 1200 * 1200]).reshape(-1, 1200).max(axis=1) > 0.05
    assert 0.5 < loud.mean() < 0.95  # speech with pauses, neither silence nor a tone


def test_provenance_is_written_down() -> None:
    notes = NOTES.read_text(encoding="utf-8")
    for word in (example_voice().name, "eSpeak NG", "CC0", "espeak-ng -v"):
        assert word in notes
