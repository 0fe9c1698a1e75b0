"""`export`: a result beside its source, and a small preview."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsync.cli.commands import main
from lipsync.example import example_photo
from lipsync.media.probe import probe_clip


def test_side_by_side_is_twice_as_wide(face_clip: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.mp4"
    assert main(["export", "side-by-side", str(face_clip), str(face_clip), "-o", str(both)]) == 0
    made, source = probe_clip(both), probe_clip(face_clip)
    assert made.size == (source.size.height, 2 * source.size.width)
    assert made.num_frames == source.num_frames
    assert made.has_audio


def test_a_preview_is_as_long_as_asked(face_clip: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.mp4"
    command = ["export", "preview", str(face_clip), "-o", str(small)]
    assert main([*command, "--start", "0.2", "--seconds", "0.4"]) == 0
    assert probe_clip(small).num_frames == 10


def test_a_photo_has_no_preview(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "small.mp4"
    assert main(["export", "preview", str(example_photo()), "-o", str(small)]) == 2
    assert "single picture" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
