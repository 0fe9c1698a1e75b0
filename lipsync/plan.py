"""What a job will do: which frames it looks at, and which of them each output frame shows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lipsync.composite.edge import MAX_SOFTNESS
from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.estimate import Work
from lipsync.media.probe import Limits, at_rate, probe_clip, probe_voice
from lipsync.media.timeline import num_output_frames, part_range, plan_timeline, trim_range
from lipsync.types import Clip, Engine, FaceChoice, Request, Voice

_RUN_SECONDS = 0.5  # source frames nearer than this, or in even strides, are looked at in one go
_CLICK_FRAMES = 5  # looked at before and after a click that lies outside the part


@dataclass(frozen=True)
class Job:
    """What probing settled."""

    request: Request
    clip: Clip
    voice: Voice
    shown: range  # frames of the whole result that are made
    total: int  # frames of the whole result
    trimmed: range  # source frames that the whole result may show
    numbers: np.ndarray  # (R,) int64, ascending: source frames of the face track's rows
    rows: np.ndarray  # (T,) int64, place in `numbers` that each output frame shows
    settings: Any
    pace: float  # s per frame that the engine expects to take
    avatar: str | None = None  # key of the one made from this clip: nothing is looked at

    @property
    def is_part(self) -> bool:
        """Tell whether less than the whole result is made."""
        return len(self.shown) < self.total

    @property
    def begins(self) -> Fraction:
        """Seconds of the whole result at which the part begins."""
        return self.shown.start / self.clip.fps

    @property
    def work(self) -> Work:
        """What there is to do, for the time it will take."""
        count = len(self.rows)
        looks = 0 if self.avatar else len(self.numbers)
        frames = {"faces": looks, "voice": count, "generate": count}
        if self.request.score:
            frames["score"] = count
        return Work(self.clip.size, frames, self.request.engine, self.pace)


def plan_job(
    request: Request,
    limits: Limits,
    engine: Engine | type[Engine],
    on_card: bool,
    avatar: str | None = None,
) -> Job:
    """Probe clip and voice and plan the work; raises `InputError` for whatever can be wrong.

    `engine` need not be built; `on_card` tells whether it will compute on a graphics card. `avatar`
    is the key of the one made from this clip, whose track has a row for every frame.
    """
    clip = probe_clip(request.video, limits)
    voice = probe_voice(request.audio, limits)
    settings = make_settings(request.engine, request.settings)
    if not 0 <= request.softness <= MAX_SOFTNESS:
        raise InputError(
            f"The softness of the mask's edge is {request.softness:g}; "
            f"give a number from 0 to {MAX_SOFTNESS:g}."
        )
    if not 0 <= request.seed < 2**64:
        raise InputError(f"The seed is {request.seed}; give a whole number from 0 to {2**64 - 1}.")
    # a rate of 0 is a mistake to be told, not a wish for the usual one
    rate = engine.spec.fps if request.fps is None else request.fps
    if rate is not None:
        clip = at_rate(clip, rate)
    trimmed = trim_range(clip, request.start, request.end)
    seconds = 0.0 if clip.is_still else float(len(trimmed) / clip.fps)
    total = num_output_frames(request.fit, seconds, voice.duration, clip.fps)
    plan = trimmed.start + plan_timeline(request.fit, len(trimmed), total)
    shown, numbers = range(total), np.arange(trimmed.start, trimmed.stop)
    if request.part is not None:
        shown = part_range(request.part, total, clip.fps)
        plan = plan[shown.start : shown.stop]
        numbers = _frames_to_see(plan, trimmed, clip.fps, request.face)
    if avatar is not None:
        numbers = np.arange(clip.num_frames)
    rows = np.searchsorted(numbers, plan)
    pace = engine.pace(settings, on_card)
    return Job(request, clip, voice, shown, total, trimmed, numbers, rows, settings, pace, avatar)


def _frames_to_see(plan: np.ndarray, trimmed: range, fps: Fraction, face: FaceChoice) -> np.ndarray:
    """Return (R,) int64, ascending: the source frames a part shows, without small gaps.

    A click elsewhere in the clip is looked at as well, to know who was meant.
    """
    shown = np.unique(plan)
    steps = np.diff(shown)
    longest = max(_RUN_SECONDS * float(fps), 2 * float(np.median(steps))) if len(steps) else 0.0
    joints = np.flatnonzero((steps > 1) & (steps <= longest))
    runs = [np.arange(shown[place] + 1, shown[place + 1]) for place in joints]
    if face.click is not None:
        clicked = min(max(round(face.click_seconds * fps), trimmed.start), trimmed.stop - 1)
        around = range(clicked - _CLICK_FRAMES, clicked + _CLICK_FRAMES + 1)
        runs.append(np.array([number for number in around if number in trimmed]))
    return np.unique(np.concatenate([shown, *runs]))
