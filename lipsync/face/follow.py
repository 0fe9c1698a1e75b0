"""Pass 1: read a clip once, find cuts and faces, keep varied mouths, forget the frames."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from lipsync.face.cuts import CutFinder, SparseCutFinder
from lipsync.face.detect import Detector, scale_faces, working_size
from lipsync.face.gallery import Gallery
from lipsync.face.track import FaceTracker, Tracks
from lipsync.media.frames import read_frames
from lipsync.media.view import FrameView
from lipsync.types import Clip, Face, Frame, Size

_T = TypeVar("_T")
_MATTERS = 0.3  # of the widest face in the frame


class FaceFinder:
    """Cuts and faces in frames that come in order, each seen at the size that suits its faces."""

    def __init__(self, detector: Detector, cuts: CutFinder | SparseCutFinder) -> None:
        self._detector = detector
        self._cuts = cuts
        self._narrowest: float | None = None  # px, of the faces so far that matter
        detector.reset()

    def show(self, frame: Frame, follows: bool = True) -> bool:
        """Take the next frame; True if it begins a new shot, as one that `follows` nothing does."""
        self._frame = frame
        self._image = FrameView(frame, working_size(frame.size, self._narrowest))
        is_cut = self._cuts.update(self._image) or not follows
        if is_cut:
            self._detector.reset()
        return is_cut

    def find(self) -> list[Face]:
        """Return the faces in the frame shown last, in its px; frames may be left out."""
        height, width, _ = self._image.shape
        found = self._detector.detect(self._image)
        faces = scale_faces(found, Size(height, width), self._frame.size)
        if faces:
            widths = [float(face.box[2] - face.box[0]) for face in faces]
            # passers-by far behind the speaker do not make every frame larger
            smallest = min(width for width in widths if width > _MATTERS * max(widths))
            self._narrowest = min(smallest, self._narrowest or smallest)
        return faces


def follow_faces(
    clip: Clip, numbers: Sequence[int], detector: Detector, gallery: Gallery
) -> Generator[int, None, Tracks]:
    """Yield the count of frames read so far; the generator's return value is everybody found.

    `numbers` are the clip's frames to look at, ascending; row r of the tracks is frame
    `numbers[r]`. Where frames are left out between two of them, a new shot begins.
    """
    tracker = FaceTracker(detector.num_points)
    finder = FaceFinder(detector, CutFinder())
    for row, frame in enumerate(read_frames(clip, numbers)):
        follows = row == 0 or numbers[row] == numbers[row - 1] + 1
        is_cut = finder.show(frame, follows)
        faces = finder.find()
        tracker.update(row, faces, is_cut)
        gallery.offer(row, frame, faces, is_cut)
        yield row + 1
    return tracker.finish()


def exhaust(steps: Generator[object, None, _T]) -> _T:
    """Run a stepwise search to its end, for callers who show no progress; return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            result: _T = finished.value
            return result
