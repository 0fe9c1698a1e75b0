"""What a clip and a voice are, found out before any work is done; bad input stops here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from lipsync.errors import InputError
from lipsync.media.colour import SRGB_VIDEO
from lipsync.media.container import check_file, is_picture
from lipsync.media.sound import MIN_VOICE_SECONDS, inspect_sound
from lipsync.media.source import STILL_FPS, inspect_source
from lipsync.media.still import still_format, still_size
from lipsync.types import Clip, Size, Voice


@dataclass(frozen=True)
class Limits:
    """What is refused because it would only waste the machine's time."""

    max_area: int = 7680 * 4320  # px, 8K
    max_side: int = 8192  # px
    max_seconds: float = 3600.0  # of the clip and of the voice
    min_side: int = 16  # px


def probe_clip(path: Path, limits: Limits = Limits()) -> Clip:
    """Return what a video or photo is: upright, square pixels, even size, constant rate.

    Raises `InputError` if the file is missing, empty, damaged, without a picture, in an unknown
    coding, larger than `limits` or longer.
    """
    check_file(path)
    if is_picture(path):
        found = still_size(path)
        _check_size(path, found, limits)
        size = Size(found.height + (found.height & 1), found.width + (found.width & 1))
        codec = still_format(path)
        return Clip(path, STILL_FPS, 1, size, 0.0, False, True, codec, SRGB_VIDEO)
    source = inspect_source(path)
    _check_size(path, source.size, limits)
    if source.duration > limits.max_seconds:
        raise InputError(_too_long(path, float(source.duration), limits))
    is_still = len(source.pts) == 1
    return Clip(
        path=path,
        fps=source.fps,
        num_frames=1 if is_still else max(round(source.duration * source.fps), 1),
        size=source.size,
        duration=0.0 if is_still else float(source.duration),
        has_audio=source.has_audio,
        is_still=is_still,
        codec=source.codec,
        colour=source.colour,
    )


def at_rate(clip: Clip, fps: Fraction) -> Clip:
    """Return the clip as seen at another constant rate; frames repeat or are left out.

    Raises `InputError` if the rate lies outside 1 to 120 frames per second.
    """
    if not 1 <= fps <= 120:
        raise InputError(
            f"A rate of {float(fps):g} frames per second was asked for; give 1 to 120."
        )
    if clip.is_still:
        return replace(clip, fps=fps)
    duration = Fraction(clip.num_frames) / clip.fps
    return replace(clip, fps=fps, num_frames=max(round(duration * fps), 1))


def probe_voice(path: Path, limits: Limits = Limits()) -> Voice:
    """Return what a voice is; any file with sound will do.

    Raises `InputError` if the file is missing, empty, damaged, a picture, without sound, shorter
    than 0.2 s or longer than `limits`.
    """
    check_file(path)
    if is_picture(path):
        raise InputError(
            f"{path.name} is a picture and has no sound; give the voice as a sound or video file."
        )
    sound = inspect_sound(path)
    if sound.duration < MIN_VOICE_SECONDS:
        raise InputError(
            f"{path.name} holds only {max(float(sound.duration), 0.0):.2f} s of sound; "
            f"the voice needs at least {MIN_VOICE_SECONDS} s."
        )
    if sound.duration > limits.max_seconds:
        raise InputError(_too_long(path, float(sound.duration), limits))
    return Voice(path, float(sound.duration), sound.rate, sound.channels, sound.codec)


def _check_size(path: Path, size: Size, limits: Limits) -> None:
    height, width = size
    if height * width > limits.max_area or max(size) > limits.max_side:
        raise InputError(
            f"{path.name} measures {width} × {height} px; the largest picture taken is 8K "
            "(7680 × 4320 px): make it smaller first."
        )
    if min(size) < limits.min_side:
        raise InputError(
            f"{path.name} measures only {width} × {height} px; a face needs far more than "
            f"{limits.min_side} px: choose a larger picture."
        )


def _too_long(path: Path, seconds: float, limits: Limits) -> str:
    return (
        f"{path.name} lasts {seconds / 60:.1f} minutes; the limit is "
        f"{limits.max_seconds / 60:g} minutes: cut it into parts or raise the limit."
    )
