"""Extras around a result: the source in step with it, short previews, and an ffmpeg for others.

All pictures come from `read_frames`, so what a hostile upload can do stays what PyAV lets it do.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipsync.errors import InputError, OutputError
from lipsync.media.colour import SRGB_VIDEO, frame_from_rgb, resize_frame, rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.output import check_output, output_errors
from lipsync.media.probe import at_rate, probe_clip, probe_voice
from lipsync.media.sound import read_audio
from lipsync.media.timeline import num_output_frames, plan_timeline, trim_range
from lipsync.media.writer import VideoWriter
from lipsync.types import Clip, Fit, Frame, Size

if TYPE_CHECKING:
    from moviepy import AudioClip

_TALLEST = 1080  # px; two pictures side by side need no more
_PREVIEW_TALLEST = 480  # px
_KEY_FRAMES = 12  # frames from one key frame to the next: a browser decodes so many to show one
_SOUND_RATE = 44100  # Hz
_FFMPEG_OPTIONS = [
    *("-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart"),
    *("-vf", "scale=out_color_matrix=bt709:out_range=limited"),
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
]
_NO_FFPROBE = "#!/bin/sh\necho 'ffprobe is not part of this installation' >&2\nexit 1\n"


@dataclass(frozen=True)
class Moments:
    """Which moments of its source a result shows: what its job was asked for."""

    fit: Fit = "bounce"
    start: float | None = None  # seconds of the source
    end: float | None = None  # seconds of the source
    part: tuple[float, float] | None = None  # (start, length) s of the whole result
    voice: Path | None = None  # needed for a part of a stretched result


_ALL = Moments()


def export_side_by_side(
    source: Path,
    result: Path,
    output: Path,
    moments: Moments = _ALL,
) -> Generator[int, None, None]:
    """Write a video with the source on the left and the result, with its sound, on the right.

    Yields how many frames are done; closing the generator leaves no file. Both become equally high,
    at most 1080 px. Raises `InputError` or `OutputError`.
    """
    check_output(output, (source, result))
    after = probe_clip(result)
    before, plan = _source_frames(source, after, moments)
    height = min(before.size.height, after.size.height, _TALLEST) & ~1
    left, right = _scaled(before.size, height), _scaled(after.size, height)
    sound = probe_voice(result) if after.has_audio else None
    size = Size(height, left.width + right.width)
    with VideoWriter(output, after.fps, size, SRGB_VIDEO, sound) as writer:
        pairs = zip(read_frames(before, plan.tolist()), read_frames(after), strict=True)
        for done, (one, other) in enumerate(pairs, start=1):
            both = np.hstack([rgb_image(one, left), rgb_image(other, right)])
            writer.write(frame_from_rgb(both))
            yield done


def export_before(
    source: Path,
    result: Path,
    output: Path,
    moments: Moments = _ALL,
    *,
    tallest: int = 720,
) -> Generator[int, None, None]:
    """Write a silent video whose frame t is the source's picture in frame t of the result.

    Rate and number of frames are the result's, so that a browser plays both in step; it can jump
    to any moment quickly. Yields how many frames are done; closing the generator leaves no file. A
    picture higher than `tallest` px is made smaller. Raises `InputError` or `OutputError`.
    """
    check_output(output, (source, result))
    after = probe_clip(result)
    before, plan = _source_frames(source, after, moments)
    size = _scaled(before.size, min(before.size.height, tallest) & ~1)
    writer = VideoWriter(
        output, after.fps, size, before.colour, preset="ultrafast", key_frames=_KEY_FRAMES
    )
    with writer:
        for done, frame in enumerate(read_frames(before, plan.tolist()), start=1):
            writer.write(resize_frame(frame, size))
            yield done


def _source_frames(source: Path, result: Clip, moments: Moments) -> tuple[Clip, np.ndarray]:
    """Return the source at the result's rate, and its frame in each frame of the result."""
    clip = at_rate(probe_clip(source), result.fps)
    trimmed = trim_range(clip, moments.start, moments.end)
    begins, total, voice = 0, result.num_frames, moments.voice
    if moments.part is not None:
        begins = round(Fraction(moments.part[0]) * result.fps)
        total += begins
        if voice is not None:
            seconds = 0.0 if clip.is_still else float(len(trimmed) / clip.fps)
            total = num_output_frames(moments.fit, seconds, probe_voice(voice).duration, clip.fps)
        elif moments.fit == "stretch":
            raise InputError(
                f"{result.path.name} is a part of a stretched clip; give the whole voice as well, "
                "which tells how far it was stretched."
            )
    plan = plan_timeline(moments.fit, len(trimmed), max(total, begins + result.num_frames))
    return clip, trimmed.start + plan[begins : begins + result.num_frames]


def export_preview(clip: Clip, output: Path, start: float = 0.0, seconds: float = 5.0) -> None:
    """Write a small copy (at most 480 px high) of `seconds` of a clip from `start`, with sound.

    Ends early where the clip ends. Raises `InputError` or `OutputError`.
    """
    check_output(output, (clip.path,))
    last = min(start + seconds, clip.duration)
    shown = trim_range(clip, start, last)
    size = _scaled(clip.size, min(clip.size.height, _PREVIEW_TALLEST) & ~1)
    player = _Player(clip, np.arange(shown.start, shown.stop), size)
    duration = float(len(shown) / clip.fps)
    sound = None
    if clip.has_audio:
        sound = _sound(clip.path, float(shown.start / clip.fps), duration)
    try:
        _write(lambda t: player.image_at(t, clip.fps), sound, len(shown), clip.fps, output)
    finally:
        player.close()


class _Player:
    """Shows planned frames by time, for moviepy, which mostly asks in order."""

    def __init__(self, clip: Clip, plan: np.ndarray, size: Size) -> None:
        self._clip, self._plan, self._size = clip, plan, size
        self._frames: Iterator[Frame] = iter(())
        self._number = -1
        self._image: np.ndarray | None = None

    def image_at(self, seconds: float, fps: Fraction) -> np.ndarray:
        """Return the picture at a time as (h, w, 3) uint8 RGB."""
        number = min(int(seconds * fps + Fraction(1, 100)), len(self._plan) - 1)
        if self._image is None or number < self._number:
            self.close()
            self._frames = read_frames(self._clip, self._plan[number:])
            self._number = number - 1
        while self._number < number:
            frame = next(self._frames)
            self._number += 1
            if self._number == number:
                self._image = rgb_image(frame, self._size)
        assert self._image is not None
        return self._image

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        self._image = None


def _scaled(size: Size, height: int) -> Size:
    return Size(height, max(round(size.width * height / size.height / 2) * 2, 2))


def _sound(path: Path, start: float, seconds: float) -> AudioClip:
    """Return a moviepy sound clip that lasts at least `seconds`."""
    from moviepy.audio.AudioClip import AudioArrayClip

    samples = read_audio(path, _SOUND_RATE, start, seconds).samples
    missing = max(round(seconds * _SOUND_RATE) - len(samples), 0)
    samples = np.pad(samples, (0, missing))
    return AudioArrayClip(np.stack([samples, samples], axis=1), fps=_SOUND_RATE)


def _write(
    image_at: Callable[[float], np.ndarray],
    sound: AudioClip | None,
    num_frames: int,
    fps: Fraction,
    output: Path,
) -> None:
    """Encode into a folder of its own beside `output`, then rename."""
    from moviepy import VideoClip

    # moviepy rounds the number of frames down; a little more time keeps the last one.
    clip = VideoClip(image_at, duration=(num_frames + 0.1) / float(fps)).with_audio(sound)
    with output_errors(output):
        folder = tempfile.TemporaryDirectory(prefix=".part", dir=output.absolute().parent)
    with folder as name:
        partial = Path(name) / "video.mp4"
        try:
            clip.write_videofile(
                str(partial),
                fps=float(fps),
                codec="libx264",
                audio_codec="aac",
                preset="veryfast",
                temp_audiofile_path=name,
                ffmpeg_params=_FFMPEG_OPTIONS,
                threads=2,
                logger=None,
            )
        except OSError as error:
            what = str(error).strip().splitlines()
            raise OutputError(
                f"{output.name} could not be written; is the disk full? "
                f"(ffmpeg: {what[-1] if what else 'no message'})"
            ) from error
        with output_errors(output):
            os.replace(partial, output)


@lru_cache(maxsize=1)
def ensure_ffmpeg_on_path() -> Path:
    """Make `ffmpeg` callable by name in this process and its children; return where it is.

    An ffmpeg that is already on PATH stays. Otherwise imageio-ffmpeg's is linked in a private
    folder that disappears with the process. That package has no ffprobe, and Gradio fails where
    it finds one tool without the other; so a stand-in beside it says that it cannot tell, and
    Gradio then plays files as they are. Raises `RuntimeError` if imageio-ffmpeg has no binary.
    """
    found = shutil.which("ffmpeg")
    if found:
        folder = Path(found).parent
        binary = Path(found)
    else:
        import imageio_ffmpeg

        folder = Path(tempfile.mkdtemp(prefix="lipsync-ffmpeg-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        binary = folder / "ffmpeg"
        binary.symlink_to(Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute())
        _append_to_path(folder)
    if not shutil.which("ffprobe"):
        beside = folder if not found else Path(tempfile.mkdtemp(prefix="lipsync-ffprobe-"))
        atexit.register(shutil.rmtree, beside, ignore_errors=True)
        probe = beside / "ffprobe"
        probe.write_text(_NO_FFPROBE)
        probe.chmod(0o700)
        _append_to_path(beside)
    return binary


def _append_to_path(folder: Path) -> None:
    paths = [path for path in os.environ.get("PATH", "").split(os.pathsep) if path]
    if str(folder) not in paths:
        os.environ["PATH"] = os.pathsep.join([*paths, str(folder)])
