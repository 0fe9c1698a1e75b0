"""The person whose mouth a job moves: where, how crops lie on the face, how else it has looked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipsync.face.align import Template, align_track
from lipsync.face.gallery import Album
from lipsync.types import Alignment, Crops, FaceTrack, Reference


@dataclass(frozen=True)
class Speaker:
    """Somebody who was just found; what was prepared before offers the same (see `avatar`)."""

    track: FaceTrack
    album: Album

    def align(self, segment: slice, template: Template, size: int | None) -> Alignment:
        """Return the crop's place in each row of a segment of the track, see `align_track`."""
        return align_track(self.track, segment, template, size)

    def references(self, segment: slice) -> list[Reference]:
        """Return the mouths kept of this face within a segment, in order of time."""
        return self.album.references(self.track, segment)

    def crops(self, segment: slice, rows: np.ndarray) -> Crops | None:
        """Return the crops of `rows` (T,) of a segment if they have been made before, else None."""
        return None
