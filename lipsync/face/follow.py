"""Pass 1: read a clip once, find cuts and faces, keep varied mouths, forget the frames."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from lipsync.face.cuts import CutFinder
from lipsync.face.detect import Detector, scale_faces, working_size
from lipsync.face.gallery import Gallery
from lipsync.face.track import FaceTracker, Tracks
from lipsync.media.frames import read_frames
from lipsync.media.view import FrameView
from lipsync.types import Clip

_T = TypeVar("_T")
_MATTERS = 0.3  # of the widest face in the frame


def follow_faces(
    clip: Clip, numbers: range, detector: Detector, gallery: Gallery
) -> Generator[int, None, Tracks]:
    """Yield the count of frames read so far; the generator's return value is everybody found.

    `numbers` are the clip's frames to look at; row r of the tracks is frame `numbers[r]`.
    """
    tracker = FaceTracker(detector.num_points)
    cuts = CutFinder()
    narrowest: float | None = None
    detector.reset()
    for row, frame in enumerate(read_frames(clip, numbers)):
        size = working_size(frame.size, narrowest)
        image = FrameView(frame, size)
        is_cut = cuts.update(image)
        if is_cut:
            detector.reset()
        faces = scale_faces(detector.detect(image), size, frame.size)
        if faces:
            widths = [float(face.box[2] - face.box[0]) for face in faces]
            # passers-by far behind the speaker do not make every frame larger
            width = min(width for width in widths if width > _MATTERS * max(widths))
            narrowest = width if narrowest is None else min(narrowest, width)
        tracker.update(row, faces, is_cut)
        gallery.offer(row, frame, faces, is_cut)
        yield row + 1
    return tracker.finish()


def exhaust(steps: Generator[int, None, _T]) -> _T:
    """Run a stepwise search to its end, for callers who show no progress; return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            result: _T = finished.value
            return result
