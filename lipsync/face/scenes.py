"""Cutting the output into stretches an engine can treat as one, and naming what is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from lipsync.face.pose import head_yaw
from lipsync.types import FaceTrack, Skipped

MAX_YAW = 55.0  # degrees; beyond it a mouth in profile is left as it is
_MIN_FRAMES = 3  # a shorter sighting is not worth a mouth that pops in and out
_JUMP_SECONDS = 0.25  # of source time between neighbours that still count as one movement
_CHUNK = 1024  # rows looked at together


@dataclass(frozen=True)
class Stretch:
    """Output frames start … stop - 1 show rows of one segment of the track."""

    start: int
    stop: int
    segment: slice


def leave_out_profiles(track: FaceTrack) -> tuple[FaceTrack, np.ndarray]:
    """Return the track without the rows that show a profile, and those rows as (T,) bool."""
    turned = np.zeros(len(track.present), bool)
    for start in range(0, len(turned), _CHUNK):
        rows = slice(start, start + _CHUNK)
        with np.errstate(invalid="ignore"):
            turned[rows] = np.abs(head_yaw(track.landmarks[rows])) > MAX_YAW
    present = track.present & ~turned
    for run in dataclasses.replace(track, present=present).segments():
        if run.stop - run.start < min(_MIN_FRAMES, len(present)):
            present[run] = False
    return dataclasses.replace(track, present=present), turned


def split_output(track: FaceTrack, rows: np.ndarray, fps: Fraction) -> list[Stretch]:
    """Return the stretches of output frames, showing `rows` (T,), in which the face is there.

    A stretch ends where the face is lost, at a cut, and where the timeline jumps (a loop's seam);
    a clip squeezed into a short voice takes even strides, which are no jumps.
    """
    owner = np.full(len(track.present), -1)
    segments = track.segments()
    for number, segment in enumerate(segments):
        owner[segment] = number
    shown = owner[rows]
    strides = np.abs(np.diff(rows))
    usual = float(np.median(strides)) if len(strides) else 1.0
    jump = strides > max(2.0, float(fps) * _JUMP_SECONDS, 2 * usual)
    borders = np.flatnonzero((np.diff(shown) != 0) | jump) + 1
    edges = [0, *borders.tolist(), len(rows)]
    return [
        Stretch(start, stop, segments[shown[start]])
        for start, stop in pairwise(edges)
        if start < stop and shown[start] >= 0
    ]


def describe_skipped(
    track: FaceTrack, turned: np.ndarray, rows: np.ndarray, fps: Fraction
) -> Iterator[Skipped]:
    """Yield the stretches of output that show the source untouched, with the reason."""
    reason = np.where(track.present[rows], 0, np.where(turned[rows], 2, 1))
    words = {
        1: "no face was found here, so the picture was left as it is",
        2: "the face is turned away here, so the mouth was left as it is",
    }
    borders = [0, *(np.flatnonzero(np.diff(reason)) + 1).tolist(), len(rows)]
    for start, stop in pairwise(borders):
        if start < stop and reason[start]:
            yield Skipped(float(start / fps), float(stop / fps), words[int(reason[start])])
