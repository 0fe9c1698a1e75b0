"""What is shown of an upload before the run."""

from __future__ import annotations

from pathlib import Path

from conftest import Ffmpeg

from lipsync.example import example_photo, example_voice
from lipsync.ui.previews import play_result, preview_clip, preview_voice


def test_photo_is_shown_with_its_size() -> None:
    shown = preview_clip(str(example_photo()))
    assert '<img src="data:image/jpeg;base64,' in shown
    assert "512 × 512 · photo" in shown


def test_clip_plays_with_its_facts(face_clip: Path) -> None:
    shown = preview_clip(str(face_clip))
    assert f'<video src="gradio_api/file={face_clip}" poster="data:image/jpeg' in shown
    assert "320 × 320 · 25 fps · 1.0 s" in shown


def test_large_picture_makes_a_small_poster(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    large = ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=2560x1440:r=25:d=0.2", "-c:v", "libx264"),
        *("-preset", "ultrafast", tmp_path / "large.mp4"),
    )
    assert len(preview_clip(str(large))) < 200_000


def test_voice_plays_with_its_facts() -> None:
    shown = preview_voice(str(example_voice()))
    assert "<audio src=" in shown
    assert "24 kHz · mono" in shown


def test_voice_may_be_a_video(face_clip: Path) -> None:
    assert "<audio src=" in preview_voice(str(face_clip))


def test_wrong_file_says_so_at_once(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("dear diary <script>")
    assert 'role="alert"' in preview_clip(str(text))
    assert "text" in preview_clip(str(text))
    assert 'role="alert"' in preview_voice(str(example_photo()))


def test_nothing_chosen_shows_nothing() -> None:
    assert preview_clip(None) == ""
    assert preview_voice(None) == ""


def test_address_cannot_leave_its_attribute() -> None:
    assert '"><script' not in play_result('/tmp/a"><script>.mp4')
