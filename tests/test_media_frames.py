"""Frames come in any order, each the same as when read in order, within bounded memory."""

from __future__ import annotations

import gc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Ffmpeg
from media_pattern import NUM_FRAMES, pattern, read_number

from lipsync.errors import InputError
from lipsync.media import frames as frames_module
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip
from lipsync.media.timeline import plan_timeline
from lipsync.types import Clip, Frame

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"
LONG = 60


def bits(frame: Frame) -> bytes:
    return frame.y.tobytes() + frame.u.tobytes() + frame.v.tobytes()


@pytest.fixture(
    scope="module", params=["mp4", "mkv", "avi", "mpg", "webm"], ids=lambda ending: ending
)
def clip(
    request: pytest.FixtureRequest, ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory
) -> Clip:
    """Sixty noisy frames with B pictures and a few key frames."""
    coding = {
        "avi": ("-c:v", "mpeg4", "-bf", 2, "-g", 17),
        "mpg": ("-c:v", "mpeg1video", "-bf", 2, "-g", 17),
        "webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", 8, "-g", 25),
    }.get(request.param, ("-c:v", "libx264", "-preset", "veryfast", "-bf", 3, "-g", 25))
    path = tmp_path_factory.mktemp("frames") / f"clip.{request.param}"
    source = "testsrc2=s=96x64:r=25,noise=alls=20:allf=t"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", LONG, "-pix_fmt", "yuv420p", *coding, path)
    return probe_clip(path)


@pytest.mark.parametrize("small_buffer", [False, True])
@pytest.mark.parametrize("order", ["backwards", "bounce", "random", "skipping", "repeats"])
def test_order_makes_no_difference(
    order: str, small_buffer: bool, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small_buffer:
        monkeypatch.setattr(frames_module, "BUFFER_BYTES", 5 * 96 * 64 * 3 // 2)
    forward = [bits(frame) for frame in read_frames(clip)]
    assert len(forward) == len(set(forward)) == LONG
    numbers = {
        "backwards": np.arange(LONG)[::-1],
        "bounce": plan_timeline("bounce", LONG, 3 * LONG),
        "random": np.random.default_rng(0).integers(0, LONG, 40),
        "skipping": np.arange(3, LONG, 14),
        "repeats": plan_timeline("stretch", LONG, 2 * LONG),
    }[order]
    for number, frame in zip(numbers.tolist(), read_frames(clip, numbers), strict=True):
        assert frame.index == number
        assert bits(frame) == forward[number], number


def test_planes_are_the_decoders_own_bit_for_bit(clip: Clip) -> None:
    with av.open(str(clip.path)) as container:
        plain = [picture.to_ndarray() for picture in container.decode(video=0)]
    for frame, picture in zip(read_frames(clip), plain, strict=True):
        stacked = np.concatenate([frame.y.ravel(), frame.u.ravel(), frame.v.ravel()])
        np.testing.assert_array_equal(stacked, picture.ravel())


def test_a_repeated_number_shares_its_planes(clip: Clip) -> None:
    first, second, third = read_frames(clip, [4, 4, 4])
    assert first.y is second.y is third.y


@pytest.mark.slow
def test_few_frames_are_alive_at_a_time(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "BUFFER_BYTES", 8 * 96 * 64 * 3 // 2)

    def alive() -> int:
        return sum(isinstance(thing, Frame) for thing in gc.get_objects())

    before, most = alive(), 0
    for number, _ in enumerate(read_frames(clip, plan_timeline("bounce", LONG, 2 * LONG))):
        if number % 7 == 3:
            most = max(most, alive() - before)
    assert most <= 8 + 3


def test_going_backwards_decodes_little_twice(
    ffmpeg: Ffmpeg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gop.mp4"
    source = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25", "-frames:v", 100)
    ffmpeg(*source, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", 10, "-bf", 0, path)
    clip = probe_clip(path)
    converted = []
    original = frames_module.Converter.frame

    def counting(self: frames_module.Converter, picture: av.VideoFrame, index: int) -> Frame:
        converted.append(index)
        return original(self, picture, index)

    monkeypatch.setattr(frames_module.Converter, "frame", counting)
    assert len(list(read_frames(clip, range(99, -1, -1)))) == 100
    assert len(converted) == 100


def test_numbers_outside_the_clip_are_refused(clip: Clip) -> None:
    for wrong in ([LONG], [-1]):
        with pytest.raises(IndexError):
            read_frames(clip, wrong)
    assert list(read_frames(clip, [])) == []


def test_closing_the_iterator_closes_the_file(clip: Clip) -> None:
    def open_files() -> int:
        links = Path("/proc/self/fd").iterdir()
        return sum(link.exists() and link.resolve() == clip.path.resolve() for link in links)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to see open files")
    frames = read_frames(clip)
    next(frames)
    assert open_files() == 1
    frames.close()  # type: ignore[attr-defined]
    assert open_files() == 0


def test_damage_in_the_middle_shows_the_picture_before(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    whole = ffmpeg(
        *pattern(), "-c:v", "libx264", "-preset", "ultrafast", "-g", 1, tmp_path / "whole.mp4"
    )
    with av.open(str(whole)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(whole.read_bytes())
    for number in (8, 9):
        position, size = packets[number]
        assert position is not None
        data[position : position + size] = b"\xff" * size
    hurt = tmp_path / "hurt.mp4"
    hurt.write_bytes(data)
    clip = probe_clip(hurt)
    assert clip.num_frames == NUM_FRAMES
    shown = [read_number(frame) for frame in read_frames(clip)]
    assert shown == [n if n not in (8, 9) else 7 for n in range(NUM_FRAMES)]


def test_a_file_that_vanishes_is_named(clip: Clip, tmp_path: Path) -> None:
    gone = replace(clip, path=tmp_path / "gone.mp4")
    with pytest.raises(InputError, match="no file"):
        list(read_frames(gone))


@pytest.mark.slow
def test_real_clips_in_any_order() -> None:
    if not CLIPS.is_dir():
        pytest.skip("the real clips are not here")
    for path in sorted(CLIPS.glob("*.mp4")):
        clip = probe_clip(path)
        with av.open(str(path)) as container:
            assert clip.num_frames == sum(1 for _ in container.decode(video=0))
        assert clip.fps in (Fraction(25), Fraction(30000, 1001))
        forward = [hash(bits(frame)) for frame in read_frames(clip)]
        bounced = plan_timeline("bounce", clip.num_frames, 2 * clip.num_frames)
        for number, frame in zip(bounced.tolist(), read_frames(clip, bounced), strict=True):
            assert hash(bits(frame)) == forward[number]
