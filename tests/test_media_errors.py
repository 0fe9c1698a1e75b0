"""What cannot be used is refused in one sentence, and nothing is left lying about."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Ffmpeg, run_ffmpeg
from media_pattern import TONE, pattern
from PIL import Image

from lipsync.errors import InputError
from lipsync.media.frames import read_frames
from lipsync.media.probe import Limits, at_rate, probe_clip, probe_voice
from lipsync.media.sound import check_voice, read_audio

FAST = ("-c:v", "libx264", "-preset", "ultrafast")
Maker = Callable[[Path], Path]


def written(name: str, data: bytes) -> Maker:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return make


def made(*arguments: object, name: str) -> Maker:
    return lambda folder: run_ffmpeg(*arguments, folder / name)


def cut(maker: Maker, part: float) -> Maker:
    def make(folder: Path) -> Path:
        path = maker(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * part)])
        return path

    return make


def folder_itself(folder: Path) -> Path:
    path = folder / "folder.mp4"
    path.mkdir()
    return path


def picture(name: str, width: int, height: int) -> Maker:
    def make(folder: Path) -> Path:
        Image.new("L", (width, height)).save(folder / name)
        return folder / name

    return make


def no_decoder(folder: Path) -> Path:
    """An MP4 whose codec tag nobody knows."""
    path = run_ffmpeg(*pattern(), *FAST, folder / "odd.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    return path


LONGER = ("-f", "lavfi", "-i", "testsrc=s=96x64:r=25:d=4")
CLIP = made(*pattern(), *FAST, name="clip.mp4")
FASTSTART = made(*LONGER, *FAST, "-movflags", "+faststart", name="clip.mp4")
MKV = made(*LONGER, *FAST, name="clip.mkv")
WAV = made("-f", "lavfi", "-i", "sine=d=4", name="voice.wav")
BIG = made(*pattern()[:4], "-frames:v", 2, "-vf", "scale=8224:64", "-c:v", "png", name="big.mov")
PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"

BAD_CLIPS: dict[str, tuple[Maker, str]] = {
    "missing": (lambda folder: folder / "none.mp4", "There is no file .*none.mp4"),
    "folder": (folder_itself, "is a folder; choose one file"),
    "empty": (written("empty.mp4", b""), r"empty.mp4 is empty \(0 bytes\)"),
    "text": (written("text.mp4", b"Dear diary, today I spoke.\n" * 40), "holds text, not mp4"),
    "play list": (written("list.mp4", PLAYLIST), "holds text, not mp4"),
    "concat list": (written("list.mkv", CONCAT), "holds text, not mp4"),
    "noise": (written("noise.mp4", bytes(range(256)) * 64), "is no media file"),
    "moov missing": (cut(CLIP, 0.5), "breaks off before its index"),
    "cut mp4": (cut(FASTSTART, 0.6), r"should last 4.0 s but breaks off after"),
    "cut mkv": (cut(MKV, 0.5), "breaks off after"),
    "only a header": (cut(MKV, 0.002), "breaks off right after its start"),
    "cut png": (cut(picture("photo.png", 300, 300), 0.6), "damaged or cut-off picture"),
    "no picture": (made(*TONE, name="voice.m4a"), "has no picture .no video stream.*only sound"),
    "wav": (WAV, "has no picture"),
    "too large": (BIG, "8224 × 64 px; .* 8K"),
    "photo too large": (picture("big.png", 8000, 4400), "8000 × 4400 px; the largest"),
    "too small": (picture("small.png", 8, 200), "only 8 × 200 px"),
    "unknown codec": (no_decoder, "cannot be decoded here"),
    "tiff": (picture("photo.tif", 64, 64), "no PNG, JPEG or WebP"),
    "name with a null": (lambda folder: folder / "a\0b.mp4", "not a file name"),
}
BAD_VOICES: dict[str, tuple[Maker, str]] = {
    "missing": (lambda folder: folder / "none.wav", "There is no file"),
    "empty": (written("empty.wav", b""), "is empty"),
    "text": (written("text.wav", b"hello there\n" * 99), "holds text, not wav"),
    "png": (picture("photo.png", 64, 64), "is a picture and has no sound"),
    "png as wav": (written("photo.wav", b"\x89PNG\r\n\x1a\n" + b"\0" * 64), "is a picture"),
    "gif": (made(*pattern(), name="moving.gif"), "has no sound .no audio stream"),
    "silent film": (CLIP, "has no sound"),
    "short": (made("-f", "lavfi", "-i", "sine=d=0.15", name="short.wav"), "only 0.15 s of sound"),
    "cut wav": (cut(WAV, 0.5), "breaks off: 0.18 MB of 0.35 MB"),
    "cut m4a": (cut(made(*TONE, name="voice.m4a"), 0.7), "breaks off before its index"),
}


def assert_one_sentence(error: InputError) -> None:
    text = str(error)
    assert text.endswith(".")
    assert "\n" not in text
    assert not re.search(r"[.!?] [A-Z]", text), text


@pytest.mark.parametrize("name", BAD_CLIPS)
def test_bad_clips(name: str, tmp_path: Path) -> None:
    maker, words = BAD_CLIPS[name]
    path = maker(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=words) as caught:
        probe_clip(path)
    assert_one_sentence(caught.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", BAD_VOICES)
def test_bad_voices(name: str, tmp_path: Path) -> None:
    maker, words = BAD_VOICES[name]
    path = maker(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=words) as caught:
        probe_voice(path)
    assert_one_sentence(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_cut_jpeg_still_states_its_size(tmp_path: Path) -> None:
    path = cut(picture("photo.jpg", 300, 300), 0.6)(tmp_path)
    clip = probe_clip(path)
    with pytest.raises(InputError, match="damaged or cut-off picture") as caught:
        next(read_frames(clip))
    assert_one_sentence(caught.value)


def test_a_silent_voice(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", 1, tmp_path / "hush.wav")
    probe_voice(path)
    with pytest.raises(InputError, match=r"hush.wav is silent from beginning to end"):
        check_voice(read_audio(path), path.name)
    quiet = ffmpeg("-f", "lavfi", "-i", "sine=d=1,volume=0.05", tmp_path / "quiet.wav")
    check_voice(read_audio(quiet))


def test_an_absurd_length(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    slow = ("-f", "lavfi", "-i", "color=s=64x64:r=1/60", "-frames:v", 70)
    path = ffmpeg(*slow, "-c:v", "mpeg4", tmp_path / "long.mkv")
    with pytest.raises(InputError, match=r"lasts 7\d\.\d minutes; the limit is 60 minutes"):
        probe_clip(path)
    assert probe_clip(path, Limits(max_seconds=2 * 3600)).duration > 3600
    voice = ffmpeg(*TONE, tmp_path / "voice.wav")
    with pytest.raises(InputError, match="the limit is"):
        probe_voice(voice, Limits(max_seconds=0.5))


def test_an_unreadable_file(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = ffmpeg(*TONE, tmp_path / "mine.wav")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="may not be read"):
        probe_voice(path)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="not an ordinary file"):
        probe_clip(pipe)


def test_an_impossible_rate(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    clip = probe_clip(CLIP(tmp_path))
    with pytest.raises(InputError, match="give 1 to 120"):
        at_rate(clip, clip.fps * 0)


def test_a_changed_file_is_looked_at_again(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = CLIP(tmp_path)
    clip = probe_clip(path)
    ffmpeg(*pattern()[:4], "-frames:v", 7, *FAST, path)
    assert probe_clip(path) == replace(clip, num_frames=7, duration=7 / 25)
