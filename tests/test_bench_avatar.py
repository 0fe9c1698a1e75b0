"""The avatar's bench: every row comes out of whole jobs, with and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_ffmpeg

from lipsync.bench.avatar_rows import measure_avatar
from lipsync.example import example_voice


@pytest.mark.slow
def test_every_row_comes_out(gap_clip: Path, tmp_path: Path) -> None:
    voice = run_ffmpeg("-i", example_voice(), "-t", 0.4, tmp_path / "voice.wav")
    whole, rest, before = measure_avatar(gap_clip, voice, score=False, repeats=1)
    assert whole.step == "a speech (draft, gap, no score)"
    assert {row.unit for row in (whole, rest, before)} == {"s"}
    for pick in ("ours", "plain"):
        seconds = [getattr(row, pick) for row in (whole, rest, before)]
        assert seconds == sorted(seconds, reverse=True)
        assert seconds[-1] > 0
