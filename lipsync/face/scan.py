"""A quick look through a clip before any work is asked for: who is there, where, and the cuts.

A clip of a minute or two is read as a whole, so that cuts are found as a job finds them, but faces
are looked for in a few frames a second only. A longer one is looked at where its file can be
entered cheaply, at its key frames.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from lipsync.errors import InputError
from lipsync.face.cuts import CutFinder, SparseCutFinder
from lipsync.face.detect import Detector, overlap
from lipsync.face.follow import FaceFinder
from lipsync.face.pose import head_yaw
from lipsync.face.scenes import leave_out_profiles
from lipsync.face.thumbnails import face_thumbnail
from lipsync.face.track import (
    MATCH_OVERLAP,
    MIN_FACE_WIDTH,
    Candidate,
    FaceTracker,
    Tracks,
    choose_face,
)
from lipsync.media.frames import nearest_keys, read_frames
from lipsync.scan import FoundFace, Scan, Sighting, Span
from lipsync.types import Clip, FaceChoice, Frame

LOOKS_PER_SECOND = 5
MAX_LOOKS = 400
MAX_FACES = 8
STREAM_PIXELS = 7.5e9  # of all frames together: 2.4 minutes of 1080p at 25 fps, about 20 s of work
SMALL_FRAME = 700_000  # px; what a frame costs does not fall much below this size
UPDATE_SECONDS = 0.25
LOST_SECONDS = 1.0  # further apart, looks do not help to find the same face again

_KINDS: tuple[Literal["lost", "found", "turned"], ...] = ("lost", "found", "turned")


@dataclass(frozen=True)
class Plan:
    """Which frames to read, and in which of those to look for faces."""

    numbers: np.ndarray  # (N,) int, ascending
    stride: int  # every so many of them is looked at
    is_sparse: bool  # the others are not even read


@dataclass(frozen=True)
class _Portrait:
    """The best view of a candidate so far."""

    merit: float  # higher = more of the face shows
    seconds: float
    box: np.ndarray
    thumbnail: np.ndarray


def scan_clip(clip: Clip, detector: Detector) -> Generator[Scan, None, None]:
    """Yield what is known of a clip some times a second; the last scan has share 1.

    Raises `InputError` if the file can no longer be read.
    """
    plan = plan_looks(clip)
    record = _Record(clip, detector, plan)
    shown = time.monotonic()
    with closing(_reading(clip, plan)) as frames:
        for place, frame in enumerate(frames):
            record.take(frame, look=place % plan.stride == 0)
            if time.monotonic() - shown > UPDATE_SECONDS and place + 1 < len(plan.numbers):
                yield record.report((frame.index + 1) / clip.num_frames)
                shown = time.monotonic()
    yield record.report(1.0)


def plan_looks(clip: Clip) -> Plan:
    """Return which frames of a clip to read and to look at, at most `MAX_LOOKS`."""
    work = clip.num_frames * max(clip.size.height * clip.size.width, SMALL_FRAME)
    if work <= STREAM_PIXELS:
        stride = max(1, round(clip.fps / LOOKS_PER_SECOND), -(-clip.num_frames // MAX_LOOKS))
        return Plan(np.arange(clip.num_frames), stride, is_sparse=False)
    even = np.linspace(0, clip.num_frames - 1, MAX_LOOKS).round().astype(np.int64)
    return Plan(np.unique(nearest_keys(clip, even)), 1, is_sparse=True)


def _reading(clip: Clip, plan: Plan) -> Generator[Frame, None, None]:
    yield from read_frames(clip, plan.numbers.tolist())


class _Record:
    """Everything seen so far."""

    def __init__(self, clip: Clip, detector: Detector, plan: Plan) -> None:
        self._clip = clip
        self._detector = detector
        self._is_sparse = plan.is_sparse
        self._finder = FaceFinder(detector, SparseCutFinder() if plan.is_sparse else CutFinder())
        self._tracker = FaceTracker(detector.num_points)
        self._seconds: list[float] = []  # of each look
        self._cuts: list[float] = []
        self._cut_since_look = False
        self._portraits: dict[int, _Portrait] = {}  # by the candidate's first place in the store
        self._paced: list[float] = []  # seconds of each look that went on from the one before

    def take(self, frame: Frame, look: bool) -> None:
        """Take the next frame that was read, and look for faces in it if `look`."""
        seconds = float(frame.index / self._clip.fps)
        is_afresh = not self._seconds
        if self._is_sparse and not is_afresh and seconds - self._seconds[-1] > LOST_SECONDS:
            self._detector.reset()
            is_afresh = True
        started = time.monotonic()
        is_cut, faces = self._finder.see(frame, search=look)
        if is_cut:
            self._cuts.append(seconds)
            self._cut_since_look = True
        if not look:
            return
        # to search afresh takes many times as long, which a job seldom does
        if not is_afresh and not self._cut_since_look:
            self._paced.append(time.monotonic() - started)
        row = len(self._seconds)
        self._tracker.update(row, faces, self._cut_since_look)
        self._cut_since_look = False
        self._seconds.append(seconds)
        tracks = self._tracker.finish()
        for candidate in tracks.candidates:
            if candidate.rows[-1] == row:
                self._portray(frame, seconds, candidate, tracks)

    def report(self, share: float) -> Scan:
        """Return what is known after `share` of the clip."""
        tracks = self._tracker.finish()
        listed, faces = self._list_faces(tracks)
        spans, trouble = self._find_spans(tracks, share)
        return Scan(
            clip=self._clip,
            share=share,
            spans=spans,
            cuts=tuple(self._cuts),
            faces=faces,
            sightings=tuple(self._sightings(tracks, listed)),
            pace=float(np.mean(self._paced)) if self._paced else 0.0,
            trouble=trouble if share == 1.0 else None,
        )

    def _portray(self, frame: Frame, seconds: float, candidate: Candidate, tracks: Tracks) -> None:
        box = candidate.boxes[-1]
        yaw = abs(float(head_yaw(tracks.landmarks[candidate.places[-1]])))
        merit = float(box[2] - box[0]) * float(np.cos(np.radians(min(yaw, 89.0))))
        known = self._portraits.get(candidate.places[0])
        # only a clearly better one: a picture that changes all the time is hard to click
        if known is None or merit > 1.25 * known.merit:
            self._portraits[candidate.places[0]] = _Portrait(
                merit, seconds, box, face_thumbnail(frame, box)
            )

    def _list_faces(self, tracks: Tracks) -> tuple[dict[int, int], tuple[FoundFace, ...]]:
        """Return candidate's first place -> number in the list, and the list."""
        groups = _group_by_place(tracks)
        groups.sort(key=lambda group: -sum(c.mean_area * len(c.rows) for c in group))
        groups = groups[:MAX_FACES]
        groups.sort(key=lambda group: (group[0].shot, group[0].mean_x))
        listed: dict[int, int] = {}
        faces = []
        for place, group in enumerate(groups):
            listed.update({candidate.places[0]: place for candidate in group})
            best = max(group, key=lambda c: self._portraits[c.places[0]].merit)
            portrait = self._portraits[best.places[0]]
            people = [candidate.places[0] for candidate in tracks.in_shot(best.shot)]
            faces.append(
                FoundFace(
                    number=people.index(best.places[0]) + 1,
                    seconds=portrait.seconds,
                    share=tracks.share(best),
                    box=portrait.box,
                    thumbnail=portrait.thumbnail,
                )
            )
        return listed, tuple(faces)

    def _sightings(self, tracks: Tracks, listed: dict[int, int]) -> Iterator[Sighting]:
        seen = [
            (row, listed.get(candidate.places[0]), box)
            for candidate in tracks.candidates
            if candidate.mean_width >= MIN_FACE_WIDTH
            for row, box in zip(candidate.rows, candidate.boxes, strict=True)
        ]
        for row, face, box in sorted(seen, key=lambda one: (one[0], float(one[2][0]))):
            yield Sighting(self._seconds[row], face, box)

    def _find_spans(self, tracks: Tracks, share: float) -> tuple[tuple[Span, ...], str | None]:
        """Return the stretches of the face a job would take, and why it would refuse."""
        trouble = None
        kinds = np.zeros(len(self._seconds), int)
        try:
            track = choose_face(tracks, FaceChoice(), self._clip.size, self._clip.fps)
        except InputError as refusal:
            trouble = str(refusal)
        else:
            _, turned = leave_out_profiles(track)
            kinds = np.where(turned, 2, np.where(track.present, 1, 0))
        if self._clip.is_still:
            return (Span(0.0, 0.0, _KINDS[kinds[0]]),), trouble
        borders = np.flatnonzero(np.diff(kinds)) + 1
        edges = [0.0, *(self._border(row) for row in borders), share * self._clip.duration]
        rows = [0, *borders.tolist()]
        spans = (
            Span(start, end, _KINDS[kinds[row]])
            for row, (start, end) in zip(rows, pairwise(edges), strict=True)
        )
        return tuple(spans), trouble

    def _border(self, row: int) -> float:
        """Return where one thing ends and the next begins: at a cut, else half-way."""
        before, after = self._seconds[row - 1], self._seconds[row]
        cut = next((cut for cut in self._cuts if before < cut <= after), None)
        return (before + after) / 2 if cut is None else cut


def _group_by_place(tracks: Tracks) -> list[list[Candidate]]:
    """Group those who can be chosen over the shots: a job given one takes who stands there."""
    groups: list[list[Candidate]] = []
    for candidate in tracks.candidates:
        if candidate.mean_width < MIN_FACE_WIDTH:
            continue
        for group in groups:
            is_elsewhen = all(member.shot != candidate.shot for member in group)
            if is_elsewhen and overlap(group[0].box, candidate.box) > MATCH_OVERLAP:
                group.append(candidate)
                break
        else:
            groups.append([candidate])
    return groups
