"""Voices of every kind: length, level, channels, and time 0 in its place."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import Ffmpeg
from media_pattern import pattern

from lipsync.media.probe import probe_voice
from lipsync.media.sound import inspect_sound, read_audio, read_sound

KINDS: dict[str, tuple[str, tuple[object, ...], int, int]] = {
    # ending, coding, rate, channels
    "wav": ("wav", (), 44100, 1),
    "wav-8-bit": ("wav", ("-ar", 8000, "-c:a", "pcm_u8"), 8000, 1),
    "wav-24-bit-96k": ("wav", ("-ar", 96000, "-c:a", "pcm_s24le"), 96000, 1),
    "wav-float": ("wav", ("-ar", 11025, "-c:a", "pcm_f32le"), 11025, 1),
    "stereo": ("wav", ("-ac", 2, "-ar", 22050), 22050, 2),
    "surround": ("wav", ("-af", "pan=5.1|FC=c0|FL=c0|FR=c0", "-ar", 48000), 48000, 6),
    "surround-aac": ("m4a", ("-af", "pan=5.1|FC=c0|FL=c0|FR=c0", "-ar", 48000), 48000, 6),
    "mp3": ("mp3", ("-ar", 44100), 44100, 1),
    "m4a": ("m4a", ("-ar", 44100), 44100, 1),
    "m4a-16k": ("m4a", ("-ar", 16000), 16000, 1),
    "alac": ("m4a", ("-c:a", "alac"), 44100, 1),
    "flac": ("flac", ("-ar", 48000), 48000, 1),
    "ogg": ("ogg", ("-ar", 48000), 48000, 1),
    "opus": ("opus", ("-ar", 48000), 48000, 1),
    "webm": ("webm", ("-ar", 48000, "-c:a", "libopus"), 48000, 1),
    "mkv-pcm": ("mkv", ("-c:a", "pcm_s16le"), 44100, 1),
    "aiff": ("aiff", (), 44100, 1),
    "ac3": ("ac3", ("-ar", 48000), 48000, 1),
}
# A quiet tone with one loud burst from 0.50 to 0.52 s.
BURST = (
    *("-f", "lavfi", "-i"),
    "aevalsrc='0.05*sin(2*PI*300*t)+0.8*between(t,0.5,0.52)*sin(2*PI*1000*t)':s=44100:d=1.2",
)


def burst_seconds(samples: np.ndarray, rate: int) -> float:
    """Return where the loud burst begins."""
    return float(np.argmax(np.abs(samples) > 0.3)) / rate


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("rate", [16000, 44100])
def test_every_kind_of_voice(name: str, rate: int, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    ending, coding, own_rate, channels = KINDS[name]
    path = ffmpeg(*BURST, *coding, tmp_path / f"voice.{ending}")
    voice = probe_voice(path)
    assert (voice.rate, voice.channels) == (own_rate, channels)
    assert voice.duration == pytest.approx(1.2, abs=0.02 if ending != "ac3" else 0.04)
    audio = read_audio(path, rate)
    assert audio.samples.dtype == np.float32
    assert audio.rate == rate
    assert audio.duration == pytest.approx(voice.duration, abs=0.001)
    coder_delay = 256 / 48000 if ending == "ac3" else 0.0  # AC-3 does not say so in its data
    begins = burst_seconds(audio.samples, rate)
    assert begins == pytest.approx(0.5 + coder_delay, abs=0.003)
    assert 0.5 < np.abs(audio.samples).max() <= 1.0


def test_raw_aac_has_no_clock_but_plays(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = ffmpeg(*BURST, tmp_path / "voice.aac")
    assert probe_voice(path).duration == pytest.approx(1.2, abs=0.06)


def test_the_middle_counts_most_and_the_subwoofer_not_at_all(
    ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    def level(channel: str) -> float:
        path = ffmpeg(*BURST, "-af", f"pan=5.1|{channel}=c0", tmp_path / f"{channel}.wav")
        return float(np.abs(read_audio(path).samples).max())

    assert level("FC") > 1.5 * level("FL") > 0.1
    assert level("LFE") == 0.0


def test_identical_channels_keep_their_level(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    mono = read_audio(ffmpeg(*BURST, tmp_path / "mono.wav")).samples
    stereo = read_audio(ffmpeg(*BURST, "-ac", 2, tmp_path / "stereo.wav")).samples
    ratio = np.sqrt((stereo**2).sum() / (mono**2).sum())
    assert ratio == pytest.approx(1.0, abs=0.01) or ratio == pytest.approx(0.7071, abs=0.01)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("late", [0.2, -0.2])
def test_sound_keeps_its_place_beside_the_picture(
    late: float, ending: str, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    delay = ("-itsoffset", late) if late > 0 else ()
    picture_delay = ("-itsoffset", -late) if late < 0 else ()
    path = ffmpeg(
        *picture_delay, *pattern()[:4], *delay, *BURST, "-frames:v", 20, tmp_path / f"c.{ending}"
    )
    audio = read_audio(path)
    assert burst_seconds(audio.samples, 16000) == pytest.approx(0.5 + late, abs=0.004)


def test_a_part_is_the_same_as_in_the_whole(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = ffmpeg(*BURST, tmp_path / "voice.m4a")
    whole = read_audio(path).samples
    part = read_audio(path, start=0.4, duration=0.3).samples
    np.testing.assert_array_equal(part, whole[6400:11200])
    assert len(read_audio(path, start=5.0).samples) == 0


def test_a_hole_in_the_sound_stays_a_hole(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    gap = "asetpts='if(gt(T,0.3),PTS+0.5/TB,PTS)'"
    path = ffmpeg(*BURST, "-af", gap, "-c:a", "pcm_s16le", tmp_path / "hole.mkv")
    assert float(inspect_sound(path).duration) == pytest.approx(1.7, abs=0.03)
    audio = read_audio(path)
    assert burst_seconds(audio.samples, 16000) == pytest.approx(1.0, abs=0.03)
    assert np.abs(audio.samples[7200:11200]).max() < 0.01


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a", "stereo"])
def test_sound_from_a_moment_on_is_exact_to_the_sample(
    kind: str, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    ending, coding, rate, channels = KINDS[kind]
    path = ffmpeg(*BURST, *coding, tmp_path / f"voice.{ending}")
    whole = np.concatenate([frame.to_ndarray() for frame in read_sound(path)], axis=1)
    start = Fraction(7, 15)
    later = list(read_sound(path, start))
    cut = np.concatenate([frame.to_ndarray() for frame in later], axis=1)
    assert np.array_equal(cut, whole[:, round(start * rate) :])
    assert len(cut) == channels
    places = np.cumsum([0, *(frame.samples for frame in later)])[:-1]
    assert [frame.pts for frame in later] == places.tolist()
    assert list(read_sound(path, Fraction(9))) == []
