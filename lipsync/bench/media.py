"""Measure decode, paste and encode against plain PyAV in the same run.

`python -m lipsync bench media [--clips DIR] [--json]`. Every step does what its plain rival
does: decode gives all pictures of the clip; paste puts a 512 px face into each frame (the rival
converts whole frames to RGB and back); encode writes H.264 with x264 `veryfast`, crf 18. CPU time
counts all threads, so ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from lipsync.errors import InputError
from lipsync.media.colour import blend_rgb, frame_from_rgb, rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip
from lipsync.media.writer import VideoWriter
from lipsync.types import Clip, Frame, Rect, Size

_MOST_FRAMES = 120  # per clip
_FACE_SIDE = 512  # px
_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg")


@dataclass(frozen=True)
class Speed:
    """One step on one clip, and plain PyAV at the same."""

    clip: str
    step: str  # decode | paste | encode
    fps: float  # frames per second of wall time
    cpu_ms: float  # CPU milliseconds per frame, all threads
    plain_cpu_ms: float  # the same for plain PyAV

    @property
    def ratio(self) -> float:
        """CPU time over that of plain PyAV."""
        return self.cpu_ms / max(self.plain_cpu_ms, 1e-9)


def measure(path: Path) -> list[Speed]:
    """Return the speed of decode, paste and encode on one clip."""
    clip = probe_clip(path)
    count = min(clip.num_frames, _MOST_FRAMES)
    with tempfile.TemporaryDirectory(prefix="lipsync-bench-") as folder:
        frames = list(read_frames(clip, range(min(count, 8))))
        steps: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "decode": (lambda: _decode(clip, count), lambda: _decode_plainly(path, count)),
            "paste": (lambda: _paste(frames, count), lambda: _paste_plainly(frames, count)),
            "encode": (
                lambda: _encode(clip, frames, count, Path(folder) / "a.mp4"),
                lambda: _encode_plainly(clip, frames, count, Path(folder) / "b.mp4"),
            ),
        }
        return [_compare(path.name, step, count, *pair) for step, pair in steps.items()]


def _compare(
    name: str, step: str, count: int, ours: Callable[[], object], plain: Callable[[], object]
) -> Speed:
    plain()  # both meet a warm file cache
    start, cpu = time.perf_counter(), time.process_time()
    ours()
    wall, own_cpu = time.perf_counter() - start, time.process_time() - cpu
    cpu = time.process_time()
    plain()
    plain_cpu = time.process_time() - cpu
    return Speed(name, step, count / wall, 1000 * own_cpu / count, 1000 * plain_cpu / count)


def _decode(clip: Clip, count: int) -> None:
    for _ in read_frames(clip, range(count)):
        pass


def _decode_plainly(path: Path, count: int) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, _ in enumerate(container.decode(video=0), start=1):
            if number == count:
                return


def _face(frame: Frame) -> tuple[Rect, np.ndarray, np.ndarray]:
    side = min(_FACE_SIDE, *frame.size) & ~3
    left = (frame.size.width - side) // 2 & ~1
    top = (frame.size.height - side) // 2 & ~1
    rows, columns = np.mgrid[:side, :side] - side / 2
    mask = np.clip((side * 0.45 - np.hypot(rows, columns)) / (side * 0.1), 0, 1)
    rect = Rect(left, top, left + side, top + side)
    return rect, np.full((side, side, 3), 120, np.uint8), mask.astype(np.float32)


def _paste(frames: list[Frame], count: int) -> None:
    rect, face, mask = _face(frames[0])
    for number in range(count):
        frame = frames[number % len(frames)]
        rgb_image(frame, rect=rect)
        blend_rgb(frame, rect, face, mask)


def _paste_plainly(frames: list[Frame], count: int) -> None:
    rect, face, mask = _face(frames[0])
    weight = mask[..., None]
    for number in range(count):
        picture = _picture(frames[number % len(frames)])
        rgb = picture.to_ndarray(format="rgb24")
        inside = rgb[rect.top : rect.bottom, rect.left : rect.right]
        inside[:] = inside * (1 - weight) + face * weight
        av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


def _encode(clip: Clip, frames: list[Frame], count: int, output: Path) -> None:
    with VideoWriter(output, clip.fps, clip.size, clip.colour) as writer:
        for number in range(count):
            writer.write(frames[number % len(frames)])


def _encode_plainly(clip: Clip, frames: list[Frame], count: int, output: Path) -> None:
    pictures = [_picture(frame) for frame in frames]
    with av.open(str(output), "w") as container:
        options = {"crf": "18", "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=clip.fps, options=options)
        stream.height, stream.width = clip.size
        stream.pix_fmt = "yuv420p"
        for number in range(count):
            picture = pictures[number % len(pictures)]
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _picture(frame: Frame) -> av.VideoFrame:
    planes = [np.ascontiguousarray(plane).reshape(-1) for plane in (frame.y, frame.u, frame.v)]
    stacked = np.concatenate(planes).reshape(frame.size.height * 3 // 2, frame.size.width)
    return av.VideoFrame.from_ndarray(stacked, format="yuv420p")


def make_clip(output: Path, size: Size = Size(720, 1280), num_frames: int = 60) -> None:  # noqa: B008
    """Write a moving, grainy test clip at 25 frames per second."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (size.height // 16, size.width // 16, 3), dtype=np.uint8)
    picture = np.kron(base, np.ones((16, 16, 1), np.uint8))
    first = frame_from_rgb(picture)
    with VideoWriter(output, Fraction(25), first.size, first.colour) as writer:
        for number in range(num_frames):
            moved = np.roll(picture, 3 * number, axis=1)
            grain = rng.integers(0, 9, moved.shape, dtype=np.uint8)
            writer.write(frame_from_rgb(moved // 2 + grain + 40))


def run(clips: Iterable[Path]) -> list[Speed]:
    """Return the speeds on all `clips`, or on a clip made here if there is none."""
    paths = list(clips)
    if paths:
        return [speed for path in paths for speed in measure(path)]
    with tempfile.TemporaryDirectory(prefix="lipsync-bench-") as folder:
        made = Path(folder) / "made-720p.mp4"
        make_clip(made)
        return measure(made)


def main(argv: list[str]) -> int:
    """Run the command line `bench media`; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="lipsync bench media", description="Measure decode, paste and encode."
    )
    parser.add_argument("--clips", type=Path, help="a folder of clips (default: one is made)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    paths: list[Path] = []
    if arguments.clips is not None:
        if not arguments.clips.is_dir():
            raise InputError(f"{arguments.clips} is no folder; give a folder of clips.")
        paths = sorted(p for p in arguments.clips.iterdir() if p.suffix.lower() in _ENDINGS)
        if not paths:
            raise InputError(f"{arguments.clips} holds no clip; put some videos into it.")
    speeds = run(paths)
    if arguments.json:
        rows = [{**asdict(speed), "ratio": speed.ratio} for speed in speeds]
        print(json.dumps({"speeds": rows}, indent=2))
        return 0
    print(f"{'clip':32} {'step':7} {'frames/s':>9} {'CPU ms':>8} {'plain':>8} {'ratio':>6}")
    for speed in speeds:
        print(
            f"{speed.clip[:32]:32} {speed.step:7} {speed.fps:9.1f} {speed.cpu_ms:8.2f} "
            f"{speed.plain_cpu_ms:8.2f} {speed.ratio:6.2f}"
        )
    return 0
