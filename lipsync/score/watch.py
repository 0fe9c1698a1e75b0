"""A clip as the judges with networks see it: one face, 25 times a second.

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

from lipsync.face.detect import Detector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.track import choose_face
from lipsync.media.probe import at_rate
from lipsync.score.demands import require_face
from lipsync.score.sync import RATE
from lipsync.steps import map_steps
from lipsync.types import Audio, Clip, FaceChoice, FaceTrack

_LOOKING = 0.3  # of a judge's work is to follow the face
_FPS = Fraction(RATE)
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Watched:
    """A face, 25 rows a second."""

    track: FaceTrack  # (T,) rows
    numbers: np.ndarray  # (T,) int64 frame of the clip, at its own rate, nearest to each row
    total: int  # frames that were asked for, at the clip's own rate

    def show(self, steps: Generator[int, None, _Made]) -> Generator[int, None, _Made]:
        """Turn the rows that `steps` have reached into frames of `total`, as `watch_face` does."""
        rows = len(self.numbers)

        def tell(row: int) -> int:
            return round(self.total * (_LOOKING + (1 - _LOOKING) * row / rows))

        return (yield from map_steps(tell, steps))


def rows_of(clip: Clip, numbers: range | None) -> range:
    """Return the frames at 25 fps that are shown within `numbers` of a clip (None = all)."""
    numbers = range(clip.num_frames) if numbers is None else numbers
    begin, end = (Fraction(edge) / clip.fps for edge in (numbers.start, numbers.stop))
    return range(ceil(begin * RATE), min(ceil(end * RATE), at_rate(clip, _FPS).num_frames))


def samples_of(clip: Clip, numbers: range | None, audio: Audio) -> np.ndarray:
    """Return the samples (N,) float32 of a sound that starts with `numbers`, from row 0 on."""
    if numbers is None:
        return audio.samples
    late = Fraction(rows_of(clip, numbers).start, RATE) - numbers.start / clip.fps
    return audio.samples[round(late * audio.rate) :]


def watch_face(
    clip: Clip,
    face: FaceChoice,
    detector: Detector,
    numbers: range | None = None,
    kept: np.ndarray | None = None,
) -> Generator[int, None, Watched]:
    """Yield how far the judge is, in frames of `numbers`; return the face that was asked for.

    Of its landmarks those in `kept` (K,) are remembered (None = all). Raises InputError where
    there is no such face or less than a second of it.
    """
    rows = rows_of(clip, numbers)
    total = clip.num_frames if numbers is None else len(numbers)
    tracks = yield from map_steps(
        lambda done: round(_LOOKING * total * done / len(rows)),
        follow_faces(at_rate(clip, _FPS), rows, detector, Gallery(0), kept),
    )
    track = choose_face(tracks, face, clip.size, _FPS, rows)
    require_face(int(track.present.sum()) / RATE)
    return Watched(track, _nearest(track, rows, clip), total)


def _nearest(track: FaceTrack, rows: range, clip: Clip) -> np.ndarray:
    """Return (T,) int64 frames of the clip; at the end of a stretch never one of the next shot."""
    moments = np.arange(rows.start, rows.stop) * float(clip.fps / RATE)
    numbers = np.minimum(np.rint(moments), clip.num_frames - 1)
    last = [stretch.stop - 1 for stretch in track.segments()]
    numbers[last] = np.floor(moments[last] + 1e-6)  # the picture in which the face was found
    return numbers.astype(np.int64)
