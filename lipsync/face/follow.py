"""Pass 1: read a clip once, find cuts and faces, keep varied mouths, forget the frames."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from lipsync.face.cuts import CutFinder, SparseCutFinder
from lipsync.face.detect import Detector, scale_faces, working_size
from lipsync.face.gallery import Gallery
from lipsync.face.track import FaceTracker, Tracks
from lipsync.media.frames import read_frames
from lipsync.media.view import FrameView
from lipsync.types import Clip, Face, Frame

_MATTERS = 0.3  # of the widest face in the frame


class FaceFinder:
    """Cuts and faces in frames that come in order, each seen at the size that suits its faces."""

    def __init__(self, detector: Detector, cuts: CutFinder | SparseCutFinder) -> None:
        self._detector = detector
        self._cuts = cuts
        self._narrowest: float | None = None  # px, of the faces so far that matter
        detector.reset()

    def see(
        self, frame: Frame, *, follows: bool = True, search: bool = True
    ) -> tuple[bool, list[Face]]:
        """Take the next frame; return whether it begins a new shot, and its faces in its px.

        A frame that `follows` nothing always begins one. Without `search` the frame is only
        compared with the one before, and the list is empty.
        """
        size = working_size(frame.size, self._narrowest)
        image = FrameView(frame, size)
        is_cut = self._cuts.update(image) or not follows
        if is_cut:
            self._detector.reset()
        if not search:
            return is_cut, []
        faces = scale_faces(self._detector.detect(image), size, frame.size)
        if faces:
            widths = [float(face.box[2] - face.box[0]) for face in faces]
            # passers-by far behind the speaker do not make every frame larger
            smallest = min(width for width in widths if width > _MATTERS * max(widths))
            self._narrowest = min(smallest, self._narrowest or smallest)
        return is_cut, faces


def follow_faces(
    clip: Clip,
    numbers: Sequence[int],
    detector: Detector,
    gallery: Gallery,
    kept: np.ndarray | None = None,
) -> Generator[int, None, Tracks]:
    """Yield the count of frames read so far; the generator's return value is everybody found.

    `numbers` are the clip's frames to look at, ascending; row r of the tracks is frame
    `numbers[r]`. Where frames are left out between two of them, a new shot begins. Of the
    landmarks only those in `kept` (K,) are remembered; None = all.
    """
    tracker = FaceTracker(detector.num_points, kept)
    finder = FaceFinder(detector, CutFinder())
    for row, frame in enumerate(read_frames(clip, numbers)):
        follows = row == 0 or numbers[row] == numbers[row - 1] + 1
        is_cut, faces = finder.see(frame, follows=follows)
        tracker.update(row, faces, is_cut)
        gallery.offer(row, frame, faces, is_cut)
        yield row + 1
    return tracker.finish()
