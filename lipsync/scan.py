"""The nouns of a scan: what a quick look through a clip tells of it, long before any job.

Boxes are ``x1 y1 x2 y2`` in px of the upright frame; seconds are those of the source clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lipsync.types import Clip


@dataclass(frozen=True)
class FoundFace:
    """Somebody a user may choose."""

    number: int  # from the left within the shot, 1 = leftmost; what `FaceChoice.number` takes
    seconds: float  # time of the thumbnail in the clip
    share: float  # of the shot's frames in which the face is seen, [0, 1]
    box: np.ndarray  # (4,) px at that time
    thumbnail: np.ndarray  # (128, 128, 3) uint8 RGB


@dataclass(frozen=True)
class Span:
    """A stretch of a scanned clip in which one thing holds."""

    start_seconds: float
    end_seconds: float
    kind: Literal["found", "turned", "lost"]  # lost: nobody is seen


@dataclass(frozen=True)
class Sighting:
    """Where a face of a scanned clip was at one moment."""

    seconds: float
    face: int | None  # place in `Scan.faces`; None = somebody who is not listed there
    box: np.ndarray  # (4,) px


@dataclass(frozen=True)
class Scan:
    """What a quick look through a clip has found so far; it looks at some frames only."""

    clip: Clip
    share: float = 0.0  # of the clip looked through, [0, 1]; 1 = finished
    spans: tuple[Span, ...] = ()  # of the face that a job would take by itself
    cuts: tuple[float, ...] = ()  # seconds at which a new shot begins
    faces: tuple[FoundFace, ...] = ()  # a few who can be chosen, by shot, then left to right
    sightings: tuple[Sighting, ...] = ()  # of everybody who can be chosen, in order of time
    pace: float = 0.0  # measured seconds to look at one frame here; 0 = not measured
    trouble: str | None = None  # when finished: why a job would refuse this clip, one sentence
