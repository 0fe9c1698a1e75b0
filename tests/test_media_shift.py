"""Moving the sound of a clip: by exactly so much, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Ffmpeg
from media_pattern import TONE, pattern

from lipsync.errors import InputError, OutputError
from lipsync.media.probe import probe_clip
from lipsync.media.shift import repair_offset, shift_sound
from lipsync.media.sound import read_audio
from lipsync.steps import exhaust
from lipsync.types import SyncScore

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", 2)
KINDS = {
    "aac.mp4": (*H264, "-c:a", "aac"),
    "pcm.mov": (*H264, "-c:a", "pcm_s16le"),
    "opus.mkv": (*H264, "-c:a", "libopus"),
    "vorbis.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis"),
}
EDITED = (".mp4", ".mov")  # begin with any sample; the others with any millisecond
Maker = Callable[..., Path]


def clicking(rate: int = 48000, fps: str = "25") -> tuple[str, ...]:
    """Return ffmpeg's input arguments for two seconds of picture and a click in their middle."""
    click = f"if(between(n,{rate},{rate + 20}),0.9,0)+0.02*sin(n/9)"
    sound = f"aevalsrc='{click}':s={rate}:d=2"
    return ("-f", "lavfi", "-i", f"testsrc=s=64x48:r={fps}:d=2", "-f", "lavfi", "-i", sound)


@pytest.fixture(scope="module")
def make(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Make each kind of clip once."""
    folder, made = tmp_path_factory.mktemp("kinds"), {}

    def make_once(name: str) -> Path:
        if name not in made:
            coding = ("-pix_fmt", "yuv420p", *KINDS[name])
            made[name] = ffmpeg(*clicking(), *coding, folder / name)
        return made[name]

    return make_once


def packets(path: Path) -> list[tuple[bytes, Fraction, bool]]:
    """Return the picture's packets in the order of the file: data, s, whether a key."""
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(video=0) if packet.size]
        return [(bytes(p), Fraction(p.pts * p.time_base), p.is_keyframe) for p in found]


def place_of_click(path: Path, rate: int = 48000) -> int:
    """Return the sample, on the picture's clock, at which the decoded sound is loudest."""
    return int(np.argmax(np.abs(read_audio(path, rate).samples)))


@pytest.mark.parametrize("frames", [-6, 7])
@pytest.mark.parametrize("name", KINDS)
def test_the_sound_moves_and_the_picture_stays(
    make: Maker, tmp_path: Path, name: str, frames: int
) -> None:
    source, output = make(name), tmp_path / name
    shares = list(shift_sound(source, output, frames, Fraction(25)))
    assert (len(shares), shares) == (50, sorted(shares))
    assert 0 == shares[0] < shares[-1] <= 1
    assert packets(output) == packets(source)
    before, after = probe_clip(source), probe_clip(output)
    assert (after.fps, after.num_frames, after.size) == (25, 50, before.size)
    assert after.duration == before.duration == 2.0
    moved = place_of_click(output) - place_of_click(source)
    off_by = abs(moved - frames * 48000 // 25)
    assert off_by <= (0 if source.suffix in EDITED else 48)
    with av.open(str(output)) as container:
        # at most one packet of sound sticks out
        assert container.duration <= 2.03 * av.time_base
        assert [stream.codec.name for stream in container.streams][1:] == [
            stream.codec.name for stream in av.open(str(source)).streams
        ][1:]
    assert list(tmp_path.iterdir()) == [output]


def test_a_frame_of_an_odd_rate_is_moved_to_the_sample(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    coding = (*H264, "-c:a", "aac")
    source = ffmpeg(*clicking(44100, "30000/1001"), *coding, tmp_path / "ntsc.mp4")
    fps = probe_clip(source).fps
    exhaust(shift_sound(source, tmp_path / "out.mp4", 4, fps))
    moved = place_of_click(tmp_path / "out.mp4", 44100) - place_of_click(source, 44100)
    assert moved == round(4 / fps * 44100)


def test_moved_there_and_back_the_click_is_where_it_was(make: Maker, tmp_path: Path) -> None:
    source, there, back = make("aac.mp4"), tmp_path / "there.mp4", tmp_path / "back.mp4"
    exhaust(shift_sound(source, there, 5, Fraction(25)))
    exhaust(shift_sound(there, back, -5, Fraction(25)))
    assert place_of_click(back) == place_of_click(source)
    assert packets(back) == packets(source)


def test_tags_turning_and_further_voices_come_along(
    make: Maker, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    plain, chapters = make("aac.mp4"), tmp_path / "chapters.txt"
    chapters.write_text(
        ";FFMETADATA1\ncomment=made here\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=2000\ntitle=second half\n"
    )
    inputs = ("-display_rotation", 90, "-i", plain, "-i", plain, "-i", chapters)
    maps = ("-map", "0", "-map", "1:a", "-map_metadata", 2, "-metadata:s:a:1", "language=fra")
    source = ffmpeg(*inputs, *maps, "-c", "copy", tmp_path / "rich.mp4")
    output = tmp_path / "out.mp4"
    exhaust(shift_sound(source, output, 3, Fraction(25)))
    assert probe_clip(output).size == probe_clip(source).size == (64, 48)
    with av.open(str(output)) as container:
        assert container.metadata["comment"] == "made here"
        assert [one["metadata"]["title"] for one in container.chapters()] == ["second half"]
        assert container.streams.audio[1].metadata["language"] == "fra"
        starts = [stream.start_time for stream in container.streams.audio]
        assert starts[0] == starts[1] > 0


def test_what_a_cut_had_hidden_stays_hidden(make: Maker, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A clip cut without coding keeps pictures and sound before its beginning, unseen."""
    source = ffmpeg("-ss", 0.5, "-i", make("aac.mp4"), "-c", "copy", tmp_path / "cut.mp4")
    assert packets(source)[0][1] < 0
    for frames in (4, -4):
        output = tmp_path / f"out{frames}.mp4"
        exhaust(shift_sound(source, output, frames, Fraction(25)))
        assert packets(output) == packets(source)
        assert probe_clip(output).num_frames == probe_clip(source).num_frames
        assert place_of_click(output) - place_of_click(source) == frames * 1920
        with av.open(str(output)) as container:
            first = next(container.demux(audio=0))
            assert first.pts * first.time_base >= max(frames, 0) / 25 - 2 * 1024 / 48000


def test_coded_alike_it_fits_into_another_kind_of_file(make: Maker, tmp_path: Path) -> None:
    source, output = make("aac.mp4"), tmp_path / "out.mkv"
    exhaust(shift_sound(source, output, 4, Fraction(25)))
    assert [data for data, *_ in packets(output)] == [data for data, *_ in packets(source)]
    assert abs(place_of_click(output) - place_of_click(source) - 4 * 1920) <= 48
    with pytest.raises(OutputError, match=r"out\.mp4 cannot hold .* \(vp8\); end its name"):
        exhaust(shift_sound(make("vorbis.webm"), tmp_path / "out.mp4", 4, Fraction(25)))
    assert list(tmp_path.iterdir()) == [output]


def test_what_apple_plays_it_plays_afterwards(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    coding = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0")
    clip = ffmpeg(*clicking(), *coding, "-tag:v", "hvc1", "-c:a", "aac", tmp_path / "in.mp4")
    exhaust(shift_sound(clip, tmp_path / "out.mp4", 2, Fraction(25)))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_what_cannot_be_moved_is_said(make: Maker, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    clip, output = make("aac.mp4"), tmp_path / "out.mp4"
    output.write_bytes(b"an older one")
    silent = ffmpeg(*pattern(), *H264, tmp_path / "silent.mp4")
    coding = ("-c:v", "mpeg4", "-bf", 2, "-c:a", "mp3")
    avi = ffmpeg(*pattern()[:4], *TONE, "-frames:v", 20, *coding, tmp_path / "old.avi")
    cases = [
        (clip, output, 0, r"aac\.mp4 is in step as it is"),
        (silent, output, 3, r"silent\.mp4 has no sound that could be moved"),
        (avi, output, 3, r"old\.avi does not say when each picture is shown"),
        (clip, output, 50, r"by 2\.0 s, beyond the clip's 2\.0 s"),
        (clip, output, -50, r"by -2\.0 s, beyond the clip's 2\.0 s"),
        (tmp_path / "none.mp4", output, 3, "There is no file"),
    ]
    for source, target, frames, sentence in cases:
        with pytest.raises(InputError, match=sentence):
            exhaust(shift_sound(source, target, frames, Fraction(25)))
    with pytest.raises(OutputError, match="one of the inputs and would be overwritten"):
        exhaust(shift_sound(clip, clip, 3, Fraction(25)))
    with pytest.raises(OutputError, match=r"out\.avi does not end in \.mp4 or"):
        exhaust(shift_sound(clip, tmp_path / "out.avi", 3, Fraction(25)))
    assert output.read_bytes() == b"an older one"
    assert sorted(tmp_path.iterdir()) == sorted([avi, output, silent])


def test_closed_early_it_leaves_nothing(make: Maker, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"an older one")
    steps = shift_sound(make("aac.mp4"), output, 3, Fraction(25))
    next(steps)
    assert len(list(tmp_path.iterdir())) == 2
    steps.close()
    assert output.read_bytes() == b"an older one"
    assert list(tmp_path.iterdir()) == [output]


def test_sound_before_the_lips_is_played_later() -> None:
    score = SyncScore("correlate", "", 0.9, 3, Fraction(25), "")  # > 0: the sound comes first
    assert repair_offset(score) == 3
