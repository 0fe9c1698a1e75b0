"""Which source frame each output frame shows. Pure integers; opens no file.

The source is the (trimmed) clip: `num_source` frames numbered from 0. The output is as long as
the voice, or, for `cut`, as the shorter of the two.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from lipsync.errors import InputError
from lipsync.types import Clip, Fit


def plan_timeline(fit: Fit, num_source: int, num_output: int) -> np.ndarray:
    """Return (T,) int64: the source frame that each of the `num_output` frames shows.

    `bounce` plays forwards and backwards in turn without repeating the end frames, so the
    picture never stands still; `loop` starts again; `hold` keeps the last frame; `stretch`
    spreads all source frames evenly; `cut` plays forwards once (and holds, should the caller
    ask for more than there is).
    """
    if num_source < 1 or num_output < 1:
        raise ValueError(f"cannot plan {num_output} frames from {num_source}")
    t = np.arange(num_output, dtype=np.int64)
    if fit == "loop":
        return t % num_source
    if fit == "bounce":
        period = max(2 * num_source - 2, 1)
        phase = t % period
        return np.minimum(phase, period - phase)
    if fit == "stretch":
        # The middle of output frame t, in source frames, rounded down.
        return (2 * t + 1) * num_source // (2 * num_output)
    return np.minimum(t, num_source - 1)


def num_output_frames(fit: Fit, clip_seconds: float, voice_seconds: float, fps: Fraction) -> int:
    """Return how many frames the result has: round(duration × fps), at least 1.

    The duration is the voice's; for `cut` the shorter one's. `clip_seconds` 0 means a still,
    which lasts as long as the voice whatever the fit.
    """
    seconds = voice_seconds
    if fit == "cut" and clip_seconds > 0:
        seconds = min(clip_seconds, voice_seconds)
    return max(round(Fraction(seconds) * fps), 1)


def trim_range(clip: Clip, start: float | None, end: float | None) -> range:
    """Return the numbers of the clip's frames between `start` and `end`, in seconds.

    None means the clip's own beginning or end. Raises `InputError` if a time is not a number,
    negative, beyond the clip, or if nothing is left.
    """
    if clip.is_still:
        if start is not None or end is not None:
            raise InputError(
                f"{clip.path.name} is a single picture and cannot be trimmed; "
                "leave start and end empty."
            )
        return range(1)
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InputError(f"The trim {name} is {value}; give seconds from 0 upwards.")
    first = round(Fraction(start or 0.0) * clip.fps)
    # A player shows durations rounded to 1/100 s or so; an end that little too far is meant.
    reach = Fraction(clip.num_frames) / clip.fps + Fraction(1, 20)
    if end is not None and Fraction(end) > reach:
        raise InputError(
            f"The trim end of {end:g} s lies beyond the clip, which lasts {clip.duration:.2f} s; "
            "give an earlier end or leave it empty."
        )
    if first >= clip.num_frames:
        raise InputError(
            f"The trim start of {start or 0:g} s lies beyond the clip, which lasts "
            f"{clip.duration:.2f} s; give an earlier start."
        )
    stop = clip.num_frames if end is None else round(Fraction(end) * clip.fps)
    stop = min(stop, clip.num_frames)
    if stop <= first:
        raise InputError(
            f"The trim from {start or 0:g} s to {end or 0:g} s leaves no frame; "
            "the end must come after the start."
        )
    return range(first, stop)


def part_range(part: tuple[float, float], total: int, fps: Fraction) -> range:
    """Return which of a result's `total` frames the part (start, length) in seconds holds.

    At least one frame; a part that runs over the end stops there. Raises `InputError` if a time is
    not a number, the start is negative or beyond the result, or the length is not above 0.
    """
    start, length = part
    if not (math.isfinite(start) and start >= 0 and math.isfinite(length) and length > 0):
        raise InputError(
            f"A part of {length:g} s from {start:g} s was asked for; give a start from 0 upwards "
            "and a length above 0."
        )
    first = round(Fraction(start) * fps)
    if first >= total:
        raise InputError(
            f"The part begins at {start:g} s, but the result lasts {float(total / fps):.2f} s; "
            "give an earlier start."
        )
    count = max(round(Fraction(length) * fps), 1)
    return range(first, min(first + count, total))
