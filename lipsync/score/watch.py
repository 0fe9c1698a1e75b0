"""A clip as the judges with networks see it: one face, 25 times a second, and the sound from there.

Whatever the clip's own rate, the face is followed at 25 frames a second; the picture taken for a
moment is the one nearest to it in time, so that other rates are not seen late.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TypeVar

import numpy as np

from lipsync.audio.signals import RATE as SOUND_RATE
from lipsync.errors import InputError
from lipsync.face.detect import Detector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.track import choose_face
from lipsync.media.probe import at_rate
from lipsync.score.sync import RATE
from lipsync.steps import map_steps
from lipsync.types import Audio, Clip, FaceChoice, FaceTrack

_LOOKING = 0.3  # of a judge's work is to follow the face
_FPS = Fraction(RATE)
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Watched:
    """A face and what is heard with it; row r and the sound's second r / 25 belong together."""

    track: FaceTrack  # (T,) rows
    numbers: np.ndarray  # (T,) int64 frame of the clip, at its own rate, nearest to each row
    samples: np.ndarray  # (N,) float32 at 16 kHz
    total: int  # frames that were asked for, at the clip's own rate

    def show(self, steps: Generator[int, None, _Made]) -> Generator[int, None, _Made]:
        """Turn the rows that `steps` have reached into frames of `total`, as `watch_face` does."""
        rows = len(self.numbers)

        def tell(row: int) -> int:
            return round(self.total * (_LOOKING + (1 - _LOOKING) * row / rows))

        return (yield from map_steps(tell, steps))


def watch_face(
    clip: Clip, audio: Audio, face: FaceChoice, detector: Detector, numbers: range | None = None
) -> Generator[int, None, Watched]:
    """Yield how far the judge is, in frames of `numbers`; return the face that was asked for.

    Raises InputError where there is no such face or less than a second of it.
    """
    numbers = range(clip.num_frames) if numbers is None else numbers
    seen = at_rate(clip, _FPS)
    begin, end = (Fraction(edge) / clip.fps for edge in (numbers.start, numbers.stop))
    rows = range(ceil(begin * RATE), min(ceil(end * RATE), seen.num_frames))
    total = len(numbers)
    tracks = yield from map_steps(
        lambda done: round(_LOOKING * total * done / len(rows)),
        follow_faces(seen, rows, detector, Gallery(0)),
    )
    track = choose_face(tracks, face, clip.size, _FPS, rows)
    visible = int(track.present.sum())
    if visible < RATE:
        raise InputError(
            f"The face is visible for only {visible / RATE:.1f} s; a score needs 1 s or more."
        )
    late = round((Fraction(rows.start, RATE) - begin) * SOUND_RATE)
    return Watched(track, _nearest(track, rows, clip), audio.samples[late:], total)


def _nearest(track: FaceTrack, rows: range, clip: Clip) -> np.ndarray:
    """Return (T,) int64 frames of the clip; at the end of a stretch never one of the next shot."""
    moments = np.arange(rows.start, rows.stop) * float(clip.fps / RATE)
    numbers = np.minimum(np.rint(moments), clip.num_frames - 1)
    last = [stretch.stop - 1 for stretch in track.segments()]
    numbers[last] = np.floor(moments[last] + 1e-6)  # the picture in which the face was found
    return numbers.astype(np.int64)
