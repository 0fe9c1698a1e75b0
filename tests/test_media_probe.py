"""Every kind of clip comes in upright, complete and with its sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import Ffmpeg
from media_pattern import NUM_FRAMES, TONE, assert_upright, pattern, read_number
from PIL import Image

from lipsync.media.colour import rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import at_rate, probe_clip
from lipsync.media.sound import read_audio
from lipsync.types import Size

FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-bf", "2", "-g", "10")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:crf=12")
AV1 = ("-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-crf", "15")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "10", "-b:v", "0")


@dataclass(frozen=True)
class Kind:
    """One kind of file: its name's ending, how to code it, and what must come out."""

    ending: str
    coding: tuple[str, ...]
    codec: str
    rate: str = "25"
    size: str = "96x64"
    matrix: str = "bt601"
    has_sound: bool = True


KINDS = {
    "h264": Kind("mp4", FAST, "h264"),
    "h264-mov": Kind("mov", FAST, "h264"),
    "h264-mkv": Kind("mkv", FAST, "h264"),
    "h264-avi-b-frames": Kind("avi", FAST, "h264"),
    "h264-10-bit": Kind("mkv", (*FAST, "-pix_fmt", "yuv420p10le"), "h264"),
    "h264-422": Kind("mp4", (*FAST, "-pix_fmt", "yuv422p"), "h264"),
    "h264-444": Kind("mp4", (*FAST, "-pix_fmt", "yuv444p"), "h264"),
    "h264-rgb": Kind("mkv", ("-c:v", "libx264rgb", "-preset", "ultrafast"), "h264"),
    "hevc": Kind("mp4", HEVC, "hevc"),
    "hevc-10-bit": Kind("mp4", (*HEVC, "-pix_fmt", "yuv420p10le"), "hevc"),
    "vp9": Kind("webm", (*VP9, "-c:a", "libopus"), "vp9"),
    "vp9-alpha": Kind("webm", (*VP9, "-pix_fmt", "yuva420p", "-c:a", "libopus"), "vp9"),
    "av1": Kind("mp4", AV1, "av1"),
    "av1-10-bit": Kind("mkv", (*AV1, "-pix_fmt", "yuv420p10le"), "av1"),
    "mpeg4-avi": Kind("avi", ("-c:v", "mpeg4", "-q:v", "2", "-bf", "2"), "mpeg4"),
    "mpeg4-mp4": Kind("mp4", ("-c:v", "mpeg4", "-q:v", "2"), "mpeg4"),
    "mpeg1": Kind("mpg", ("-c:v", "mpeg1video", "-q:v", "2", "-bf", "2"), "mpeg1video"),
    "mjpeg-full-range": Kind("mov", ("-c:v", "mjpeg", "-q:v", "2"), "mjpeg"),
    "gif": Kind("gif", (), "gif", has_sound=False),
    "png-alpha": Kind("mov", ("-c:v", "png", "-pix_fmt", "rgba"), "png"),
    "prores-alpha": Kind("mov", ("-c:v", "prores_ks", "-profile:v", "4"), "prores"),
    "23.976": Kind("mp4", FAST, "h264", rate="24000/1001"),
    "29.97-mkv": Kind("mkv", FAST, "h264", rate="30000/1001"),
    "50": Kind("mp4", FAST, "h264", rate="50"),
    "59.94-mkv": Kind("mkv", FAST, "h264", rate="60000/1001"),
    "60": Kind("mov", FAST, "h264", rate="60"),
    "bt709": Kind("mp4", (*FAST, "-colorspace", "bt709"), "h264", matrix="bt709"),
    "bt2020": Kind("mp4", (*FAST, "-colorspace", "bt2020nc"), "h264", matrix="bt2020"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_reads_whole(name: str, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    kind = KINDS[name]
    sound = (*TONE, "-map", "0:v", "-map", "1:a") if kind.has_sound else ()
    source, limit = pattern(kind.rate, kind.size, kind.matrix)[:4], ("-frames:v", str(NUM_FRAMES))
    path = ffmpeg(*source, *sound, *kind.coding, *limit, tmp_path / f"clip.{kind.ending}")
    clip = probe_clip(path)
    assert clip.codec == kind.codec
    assert clip.fps == Fraction(kind.rate)
    assert clip.num_frames == NUM_FRAMES == round(clip.duration * clip.fps)
    width, height = map(int, kind.size.split("x"))
    assert clip.size == Size(height, width)
    assert not clip.is_still
    frames = list(read_frames(clip))
    assert [frame.index for frame in frames] == list(range(NUM_FRAMES))
    assert [read_number(frame) for frame in frames] == list(range(NUM_FRAMES))
    for frame in frames:
        assert frame.size == clip.size
        assert frame.u.shape == frame.v.shape == (height // 2, width // 2)
    assert_upright(frames[0])
    assert_upright(frames[-1])
    assert clip.has_audio == kind.has_sound
    if kind.has_sound:
        seconds = min(NUM_FRAMES / clip.fps, 0.8)
        assert read_audio(path).duration == pytest.approx(float(seconds), abs=0.1)


@pytest.mark.parametrize(
    ("filter_", "flag"),
    [
        ("transpose=clock", ("-display_rotation", "90")),
        ("transpose=cclock", ("-display_rotation", "-90")),
        ("hflip,vflip", ("-display_rotation", "180")),
        ("hflip", ("-display_hflip",)),
        ("vflip", ("-display_vflip",)),
        ("hflip,transpose=clock", ("-display_rotation", "90", "-display_hflip")),
    ],
)
def test_turned_clips_stand_upright(
    filter_: str, flag: tuple[str, ...], ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    coded = ffmpeg(*pattern(), "-vf", filter_, *FAST, tmp_path / "coded.mp4")
    path = ffmpeg(*flag, "-i", coded, "-c", "copy", tmp_path / "turned.mp4")
    clip = probe_clip(path)
    assert clip.size == Size(64, 96)
    frames = list(read_frames(clip))
    assert_upright(frames[0])
    assert [read_number(frame) for frame in frames] == list(range(NUM_FRAMES))


def test_non_square_pixels_become_square(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    squeezed = ("-vf", "scale=48:64,setsar=2/1")
    clip = probe_clip(ffmpeg(*pattern(), *squeezed, *FAST, tmp_path / "wide.mp4"))
    assert clip.size == Size(64, 96)
    assert_upright(next(read_frames(clip)))


@pytest.mark.parametrize(
    ("ending", "coding"),
    [("webm", VP9), ("mp4", (*FAST, "-pix_fmt", "yuv444p")), ("gif", ()), ("avi", VP9)],
)
def test_odd_sizes_grow_to_even_ones_by_repeating_the_edge(
    ending: str, coding: tuple[str, ...], ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    odd = ("-vf", "format=yuv444p,crop=95:63:0:0:exact=1")
    path = ffmpeg(*pattern(), *odd, *coding, tmp_path / f"odd.{ending}")
    clip = probe_clip(path)
    assert clip.size == Size(64, 96)
    frame = next(read_frames(clip))
    assert frame.y.shape == (64, 96)
    assert frame.u.shape == (32, 48)
    np.testing.assert_array_equal(frame.y[63], frame.y[62])
    np.testing.assert_array_equal(frame.y[:, 95], frame.y[:, 94])
    assert_upright(frame)


def test_variable_frame_rate_becomes_constant(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    slower = ("-vf", "setpts='if(lt(N,10),N,10+(N-10)*3)/25/TB'", "-fps_mode", "vfr")
    for ending in ("mp4", "mkv"):
        path = ffmpeg(*pattern(), *slower, *FAST, tmp_path / f"variable.{ending}")
        clip = probe_clip(path)
        assert clip.fps == 25
        shown = [read_number(frame) for frame in read_frames(clip)]
        wanted = [n if n < 10 else 10 + (n - 10) // 3 for n in range(38)]
        assert shown[:38] == wanted
        assert 38 <= clip.num_frames <= 40


def test_a_missing_frame_is_filled_by_the_one_before(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    drop = ("-vf", "select='not(eq(n,7))'", "-fps_mode", "vfr")
    clip = probe_clip(ffmpeg(*pattern(), *drop, *FAST, tmp_path / "hole.mkv"))
    shown = [read_number(frame) for frame in read_frames(clip)]
    assert shown == [n if n != 7 else 6 for n in range(NUM_FRAMES + 1)]


def test_interlaced_clips_lose_their_comb(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    moving = "testsrc=s=128x96:r=50,crop=96:64:mod(n*5\\,32):16,tinterlace=interleave_top"
    coded = ("-flags", "+ilme+ildct", "-x264-params", "tff=1", "-pix_fmt", "yuv420p")
    path = ffmpeg("-f", "lavfi", "-i", moving, "-frames:v", 12, *FAST, *coded, tmp_path / "i.mp4")
    clip = probe_clip(path)
    assert (clip.fps, clip.num_frames) == (25, 12)
    plain = ffmpeg("-i", path, "-vf", "setfield=prog", *FAST, "-qp", 0, tmp_path / "comb.mkv")

    def comb(clip_path: Path) -> float:
        frames = [frame.y.astype(int) for frame in read_frames(probe_clip(clip_path))]
        return float(np.mean([np.abs(2 * y[1:-1] - y[:-2] - y[2:]).mean() for y in frames[2:]]))

    assert comb(path) < 0.6 * comb(plain)
    forward = [frame.y.tobytes() for frame in read_frames(clip)]
    backward = [frame.y.tobytes() for frame in read_frames(clip, range(11, -1, -1))]
    assert backward == forward[::-1]


def test_full_range_keeps_its_range(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    full = ("-vf", "scale=out_range=full", "-pix_fmt", "yuvj420p")
    clip = probe_clip(ffmpeg(*pattern(), *full, *FAST, tmp_path / "full.mp4"))
    assert clip.colour.full_range
    frame = next(read_frames(clip))
    assert frame.y.max() > 245
    assert_upright(frame)


def test_transparency_is_laid_over_white(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    empty = ("-f", "lavfi", "-i", "color=black@0.0:s=96x64:r=25,format=rgba", "-frames:v", 5)
    clip = probe_clip(ffmpeg(*empty, "-c:v", "png", tmp_path / "empty.mov"))
    assert rgb_image(next(read_frames(clip))).min() > 250
    still = tmp_path / "empty.png"
    Image.new("RGBA", (96, 64), (0, 0, 0, 0)).save(still)
    assert rgb_image(next(read_frames(probe_clip(still)))).min() > 250


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_stills(ending: str, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = ffmpeg(*pattern(), "-frames:v", 1, "-update", 1, tmp_path / f"photo.{ending}")
    clip = probe_clip(path)
    assert (clip.is_still, clip.num_frames, clip.fps, clip.duration) == (True, 1, 25, 0.0)
    assert clip.size == Size(64, 96)
    frames = list(read_frames(clip, [0, 0, 0]))
    assert len(frames) == 3
    assert_upright(frames[2])


def test_photos_are_turned_by_their_exif_tag(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    upright = ffmpeg(*pattern(), "-frames:v", 1, "-update", 1, tmp_path / "upright.png")
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
    for tag, turn in back.items():
        image = Image.open(upright).transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = tag
        path = tmp_path / f"turned{tag}.jpg"
        image.save(path, exif=exif, quality=95)
        clip = probe_clip(path)
        assert clip.size == Size(64, 96)
        assert_upright(next(read_frames(clip)))


def test_odd_photo_grows_to_even(tmp_path: Path) -> None:
    path = tmp_path / "odd.png"
    Image.new("RGB", (61, 47), (200, 30, 90)).save(path)
    clip = probe_clip(path)
    assert clip.size == Size(48, 62)
    image = rgb_image(next(read_frames(clip)))
    assert np.abs(image.astype(int) - (200, 30, 90)).max() <= 3


@pytest.mark.parametrize("mode", ["L", "LA", "P", "CMYK", "I;16", "1"])
def test_photos_of_every_mode(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png")
    if mode == "I;16":
        Image.fromarray(np.full((32, 32), 50000, np.uint16)).save(path)
        wanted = 50000 / 257
    else:
        Image.new("RGB", (32, 32), (255, 255, 255)).convert(mode).save(path)
        wanted = 255
    image = rgb_image(next(read_frames(probe_clip(path))))
    assert np.abs(image - wanted).max() <= 3


def test_a_gif_of_one_picture_is_a_still(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    clip = probe_clip(ffmpeg(*pattern(), "-frames:v", 1, tmp_path / "one.gif"))
    assert clip.is_still
    assert_upright(next(read_frames(clip)))


def test_cover_art_is_no_clip_but_its_sound_is_a_voice(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    art = ffmpeg(*pattern(), "-frames:v", 1, "-update", 1, tmp_path / "art.jpg")
    song = ffmpeg(*TONE, "-i", art, "-map", 0, "-map", 1, "-c:v", "copy", tmp_path / "song.mp3")
    assert read_audio(song).duration == pytest.approx(0.8, abs=0.03)


def test_another_rate_repeats_or_leaves_out(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    clip = probe_clip(ffmpeg(*pattern(), *FAST, tmp_path / "clip.mp4"))
    double = at_rate(clip, Fraction(50))
    assert double.num_frames == 40
    assert [read_number(f) for f in read_frames(double)] == [n // 2 for n in range(40)]
    half = at_rate(clip, Fraction(25, 2))
    assert [read_number(f) for f in read_frames(half)] == list(range(0, 20, 2))


@pytest.mark.parametrize(
    "name", ["a b.mp4", "-i.mp4", "q'\";$(touch x).mp4", "%03d 🙂.mp4", "..mp4"]
)
def test_strange_names_are_only_names(
    name: str, ffmpeg: Ffmpeg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ffmpeg(*pattern()[:4], *TONE, *FAST, "-frames:v", 20, tmp_path / "plain.mp4")
    monkeypatch.chdir(tmp_path)
    made.rename(name)
    clip = probe_clip(Path(name))
    assert len(list(read_frames(clip))) == NUM_FRAMES
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
