"""Side-by-side videos, previews, an ffmpeg for Gradio, and the media bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Ffmpeg
from media_pattern import TONE, assert_upright, pattern, read_number

from lipsync.bench import media as bench
from lipsync.errors import InputError, OutputError
from lipsync.media.colour import rgb_image
from lipsync.media.export import Moments, export_before, export_preview, export_side_by_side
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip, probe_voice
from lipsync.steps import exhaust
from lipsync.types import Frame, Size

FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "5")


@pytest.fixture
def clip(ffmpeg: Ffmpeg, tmp_path: Path) -> Path:
    return ffmpeg(*pattern()[:4], *TONE, "-frames:v", 20, *FAST, tmp_path / "-before.mp4")


def half(frame: Frame, side: int) -> Frame:
    columns = slice(side * frame.size.width // 2, (side + 1) * frame.size.width // 2)
    small = slice(columns.start // 2, columns.stop // 2)
    planes = frame.y[:, columns], frame.u[:, small], frame.v[:, small]
    return Frame(frame.index, planes[0], planes[1], planes[2], frame.colour)


def test_both_sides_show_the_same_moments(clip: Path, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    bounced = ("-vf", "reverse,loop=1:0,setpts=N/25/TB", "-an")
    backwards = ffmpeg("-i", clip, *bounced, *FAST, tmp_path / "b.mp4")
    listing = tmp_path / "list.txt"
    listing.write_text(f"file '{clip}'\nfile '{backwards}'\n")
    joined = ("-f", "concat", "-safe", 0, "-i", listing, *TONE, "-map", "0:v", "-map", "1:a")
    after = ffmpeg(*joined, *FAST, tmp_path / "after.mp4")
    output = tmp_path / "both.mp4"
    assert list(export_side_by_side(clip, after, output)) == list(range(1, 41))
    both = probe_clip(output)
    assert both.size == Size(64, 192)
    assert both.num_frames == probe_clip(after).num_frames
    assert probe_voice(output).duration == pytest.approx(probe_voice(after).duration, abs=0.025)
    frames = list(read_frames(both))
    assert_upright(half(frames[3], 0))
    assert_upright(half(frames[3], 1))
    left = [read_number(half(frame, 0)) for frame in frames]
    assert left[:25] == [*range(20), 18, 17, 16, 15, 14]
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")]


def test_a_photo_beside_its_result(clip: Path, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    photo = ffmpeg(*pattern(), "-frames:v", 1, "-update", 1, tmp_path / "photo.png")
    exhaust(export_side_by_side(photo, clip, tmp_path / "both.mp4"))
    frames = list(read_frames(probe_clip(tmp_path / "both.mp4")))
    assert len(frames) == 20
    assert_upright(half(frames[-1], 0))


def numbers_of(path: Path) -> list[int]:
    return [read_number(frame) for frame in read_frames(probe_clip(path))]


def shift_by(clip: Path, frames: int, ffmpeg: Ffmpeg) -> Path:
    """Return a result of `frames` frames at the clip's rate, whatever it shows."""
    loop = ("-stream_loop", 5, "-i", clip, "-frames:v", frames, "-an")
    return ffmpeg(*loop, *FAST, clip.with_name(f"result{frames}.mp4"))


def test_before_shows_what_each_frame_of_the_result_was(
    clip: Path, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    result, output = shift_by(clip, 30, ffmpeg), tmp_path / "before.mp4"
    steps = export_before(clip, result, output, Moments(start=0.2, end=0.6), tallest=32)
    assert list(steps) == list(range(1, 31))
    made = probe_clip(output)
    assert (made.fps, made.num_frames, made.size) == (25, 30, Size(32, 48))
    assert (made.codec, made.has_audio, made.colour) == ("h264", False, probe_clip(clip).colour)
    assert_upright(next(read_frames(made)))
    there_and_back = [*range(5, 15), *range(13, 4, -1), *range(6, 15), 13, 12]
    assert numbers_of(output) == there_and_back
    with av.open(str(output)) as container:
        keys = [p.is_keyframe for p in container.demux(video=0) if p.size]
    assert all(any(keys[t : t + 12]) for t in range(0, 25))


def test_before_a_part_of_a_job(clip: Path, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    result, output = shift_by(clip, 5, ffmpeg), tmp_path / "before.mp4"
    exhaust(export_before(clip, result, output, Moments(fit="loop", part=(0.72, 0.2))))
    assert numbers_of(output) == [18, 19, 0, 1, 2]
    # ten seconds of voice: frame t shows frame 20 t / 250 of the clip
    voice = ffmpeg("-f", "lavfi", "-i", "sine=d=10", tmp_path / "voice.wav")
    exhaust(
        export_before(clip, result, output, Moments(fit="stretch", part=(2.0, 0.2), voice=voice))
    )
    assert numbers_of(output) == [4] * 5
    with pytest.raises(InputError, match="part of a stretched clip; give the whole voice"):
        exhaust(export_before(clip, result, output, Moments(fit="stretch", part=(2.0, 0.2))))


def test_before_a_photo_s_result(clip: Path, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    photo = ffmpeg(*pattern(), "-frames:v", 1, "-update", 1, tmp_path / "photo.png")
    exhaust(export_before(photo, clip, tmp_path / "before.mp4"))
    assert probe_clip(tmp_path / "before.mp4").num_frames == 20


@pytest.mark.parametrize("export", [export_before, export_side_by_side])
def test_an_export_closed_early_leaves_nothing(
    export: Callable[..., Generator[int, None, None]], clip: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"an older one")
    steps = export(clip, clip, output)
    assert next(steps) == 1
    steps.close()
    assert output.read_bytes() == b"an older one"
    assert sorted(tmp_path.iterdir()) == [clip, output]


def test_a_preview_is_a_part_with_its_sound(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "preview.mp4"
    export_preview(probe_clip(clip), output, start=0.2, seconds=0.4)
    preview = probe_clip(output)
    assert (preview.fps, preview.num_frames) == (Fraction(25), 10)
    assert [read_number(frame) for frame in read_frames(preview)] == list(range(5, 15))
    assert preview.has_audio


def test_exports_refuse_what_cannot_be(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="one of the inputs"):
        export_preview(probe_clip(clip), clip)
    with pytest.raises(InputError, match="beyond the clip"):
        export_preview(probe_clip(clip), tmp_path / "out.mp4", start=9.0)
    assert [entry.name for entry in tmp_path.iterdir()] == ["-before.mp4"]


def test_gradio_finds_an_ffmpeg_and_plays_videos(clip: Path, tmp_path: Path) -> None:
    script = (
        "import shutil, sys\n"
        "from lipsync.media.export import ensure_ffmpeg_on_path as ensure\n"
        "assert ensure() == ensure()\n"
        "import subprocess\n"
        "subprocess.run(['ffmpeg', '-version'], check=True, stdout=subprocess.DEVNULL)\n"
        "from gradio import processing_utils\n"
        "assert processing_utils.ffmpeg_installed()\n"
        "print(processing_utils.video_is_playable(sys.argv[1]))\n"
        "print(shutil.which('ffmpeg'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(clip)],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "PATH": str(tmp_path / "nowhere"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    playable, where = done.stdout.split()
    assert playable == "True"
    assert not Path(where).exists()  # its folder went with the process


def test_the_bench_compares_with_plain_pyav(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.make_clip(tmp_path / "clip.mp4", Size(96, 128), 10)
    assert bench.main(["--clips", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["speeds"]
    assert [row["step"] for row in rows] == ["decode", "paste", "encode"]
    assert all(row["fps"] > 0 and row["ratio"] > 0 for row in rows)
    assert bench.main(["--clips", str(tmp_path)]) == 0
    assert "encode" in capsys.readouterr().out
    frame = next(read_frames(probe_clip(tmp_path / "clip.mp4")))
    assert np.std(rgb_image(frame)) > 10
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no clip"):
        bench.main(["--clips", str(empty)])
