"""Small views of files: a voice before the run, pictures of a clip, addresses."""

from __future__ import annotations

from pathlib import Path

from conftest import Ffmpeg

from lipsync.example import example_photo, example_voice
from lipsync.media.probe import Limits, probe_clip
from lipsync.ui.previews import file_address, first_picture, middle_picture, preview_voice
from lipsync.ui.words import words_in

WORDS, LIMITS = words_in("en"), Limits()


def test_voice_plays_with_its_facts_in_both_languages() -> None:
    shown = preview_voice(WORDS, str(example_voice()), LIMITS)
    assert "<audio src=" in shown
    assert "24 kHz · mono" in shown
    assert "24 kHz · 单声道" in preview_voice(words_in("zh-CN"), str(example_voice()), LIMITS)


def test_voice_may_be_a_video(face_clip: Path) -> None:
    assert "<audio src=" in preview_voice(WORDS, str(face_clip), LIMITS)


def test_wrong_or_too_long_voice_says_so_at_once() -> None:
    assert 'role="alert"' in preview_voice(WORDS, str(example_photo()), LIMITS)
    assert 'role="alert"' in preview_voice(WORDS, str(example_voice()), Limits(max_seconds=1))


def test_no_voice_shows_nothing() -> None:
    assert preview_voice(WORDS, None, LIMITS) == ""


def test_pictures_are_small_and_from_the_moment_asked_for(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    # from black to white within the clip
    path = ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=1600x900:r=25:d=0.2"),
        *("-f", "lavfi", "-i", "color=white:s=1600x900:r=25:d=0.4"),
        *("-filter_complex", "[0][1]concat", "-c:v", "libx264", "-preset", "ultrafast"),
        tmp_path / "clip.mp4",
    )
    clip = probe_clip(path)
    first, middle = first_picture(clip), middle_picture(clip)
    assert first.shape == middle.shape == (360, 640, 3)
    assert first.mean() < 20
    assert middle.mean() > 235
    assert middle_picture(clip, side=160).shape == (90, 160, 3)


def test_address_cannot_leave_its_attribute() -> None:
    assert '"><script' not in file_address('/tmp/a"><script>.mp4')
