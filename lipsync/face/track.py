"""From detections per frame to one person's track through the clip.

`FaceTracker` sorts detections into candidates (one person within one shot) as frames stream by;
`choose_face` picks one candidate per shot and joins them to a `FaceTrack`. Both know only boxes
and landmarks. Decisions about gaps: where a candidate is missing for at most two frames and comes
back at the same place, those frames are bridged by straight-line interpolation (a blink of the
detector, not of the person); every longer gap stays absent, because nobody knows what was there.
A face that comes back elsewhere in the same shot is taken for the person who is missing, if only
one is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from lipsync.errors import InputError
from lipsync.face.detect import overlap
from lipsync.landmarks import LandmarkStore
from lipsync.types import Face, FaceChoice, FaceTrack, Size

BRIDGE_FRAMES = 2  # longest dropout that is bridged, frames
GLIMPSE_FRAMES = 5  # somebody seen less than this is not missed
MATCH_OVERLAP = 0.25  # intersection over union of a box with the candidate's last one
MATCH_DISTANCE = 0.8  # of a face width, between centres, for faces that moved fast
MIN_FACE_WIDTH = 48  # px; a smaller face has no mouth to speak of
MIN_CANDIDATE_SHARE = 0.02  # of its shot; shorter sightings are the detector's mistakes
JUMP_SHIFT = 0.35  # of the face width in one frame
JUMP_RATIO = (
    4.0  # times the motion in the frames beside it: heads speed up and slow down, cuts do not
)


@dataclass
class Candidate:
    """One person within one shot, as sorted so far."""

    shot: int  # row at which the shot begins
    rows: list[int] = field(default_factory=list)  # rows where the face is
    places: list[int] = field(default_factory=list)  # row of each in the shared landmark store
    boxes: list[np.ndarray] = field(default_factory=list)  # (4,) float32 px

    @property
    def first_row(self) -> int:
        return self.rows[0]

    @property
    def box(self) -> np.ndarray:
        """The middle one of its boxes in time, (4,) float32 px."""
        return self.boxes[len(self.boxes) // 2]

    @property
    def mean_width(self) -> float:
        """Mean width of its boxes, px."""
        return float(np.mean([box[2] - box[0] for box in self.boxes]))

    @property
    def mean_area(self) -> float:
        """Mean area of its boxes, px²."""
        return float(np.mean([(box[2] - box[0]) * (box[3] - box[1]) for box in self.boxes]))

    @property
    def mean_x(self) -> float:
        """Mean horizontal place of its centre, px."""
        return float(np.mean([(box[0] + box[2]) / 2 for box in self.boxes]))


@dataclass(frozen=True)
class Tracks:
    """Everybody found in the clip."""

    num_rows: int
    shots: tuple[int, ...]  # first row of each shot
    candidates: tuple[Candidate, ...]  # by shot, then left to right
    landmarks: LandmarkStore  # of all candidates, in the order they were found
    glimpses: tuple[Candidate, ...] = ()  # seen too little of their shot to be candidates

    def share(self, candidate: Candidate) -> float:
        """Return the share of its shot's frames in which a candidate is seen, in [0, 1]."""
        return len(candidate.rows) / (self.shot_end(candidate.shot) - candidate.shot)

    def shot_end(self, shot: int) -> int:
        """Return the row after the last one of the shot that begins at row `shot`."""
        later = [start for start in self.shots if start > shot]
        return later[0] if later else self.num_rows

    def in_shot(self, shot: int) -> list[Candidate]:
        """Return the candidates of the shot that begins at row `shot`, left to right."""
        return [candidate for candidate in self.candidates if candidate.shot == shot]

    def within(self, rows: range) -> Tracks:
        """Return what would be known if only `rows` had been looked at, row r being ``rows[r]``.

        Who is a glimpse in the whole may be a candidate there, and the other way round.
        """
        shots = tuple(
            sorted({max(shot - rows.start, 0) for shot in self.shots if shot < rows.stop})
        )
        people = [
            _cut_candidate(candidate, rows) for candidate in (*self.candidates, *self.glimpses)
        ]
        seen = [one for one in people if one.rows]
        return _sort_out(len(rows), tuple(shots), seen, self.landmarks)


class FaceTracker:
    """Sort faces into candidates while frames stream by; 3 kB of memory per face and frame, less
    where only some landmarks are `kept`."""

    def __init__(self, num_points: int, kept: np.ndarray | None = None) -> None:
        self._store = LandmarkStore(0, num_points, kept)
        self._closed: list[Candidate] = []
        self._open: list[Candidate] = []
        self._shots = [0]
        self._num_rows = 0

    def update(self, row: int, faces: list[Face], is_cut: bool) -> None:
        """Take the faces of the next frame, in px of the frame; rows come in order from 0."""
        assert row == self._num_rows
        self._num_rows += 1
        if is_cut and row > 0:
            self._shots.append(row)
            self._closed += self._open
            self._open = []
        for face, candidate in _match(faces, self._open, row):
            if candidate is None:
                candidate = Candidate(shot=self._shots[-1])
                self._open.append(candidate)
            elif 1 < row - candidate.rows[-1] <= BRIDGE_FRAMES + 1:
                self._bridge(candidate, row, face)
            self._add(candidate, row, face.box, face.landmarks)

    def finish(self) -> Tracks:
        """Return everybody so far, who is more than a glimpse as a candidate.

        They go on growing if the tracker goes on, so use them before its next update.
        """
        people = self._closed + self._open
        return _sort_out(self._num_rows, tuple(self._shots), people, self._store)

    def _add(self, candidate: Candidate, row: int, box: np.ndarray, points: np.ndarray) -> None:
        candidate.rows.append(row)
        candidate.boxes.append(np.asarray(box, np.float32))
        candidate.places.append(self._store.append(points))

    def _bridge(self, candidate: Candidate, row: int, face: Face) -> None:
        start = candidate.rows[-1]
        box, points = candidate.boxes[-1], self._store[candidate.places[-1]]
        if overlap(box, face.box) < MATCH_OVERLAP:
            return
        for between in range(start + 1, row):
            share = np.float32((between - start) / (row - start))
            self._add(
                candidate,
                between,
                box + share * (face.box - box),
                points + share * (face.landmarks - points),
            )


def choose_face(
    tracks: Tracks,
    choice: FaceChoice,
    size: Size,
    fps: Fraction,
    numbers: Sequence[int] | None = None,
    *,
    where: str = "the clip",
    within: range | None = None,
) -> FaceTrack:
    """Return the track of the face that was asked for, in a clip of `size` at `fps`.

    Largest (the default) is mean area x share of the shot's frames; `number` counts from the left
    by mean place; `click` is a point inside the face's box at that time. The rule is applied to
    every shot on its own: a shot with fewer faces than `number` is left alone, and with a click the
    other shots take the face at the clicked person's place, else their largest. Shots where the
    face is too small are left alone. `numbers` is the clip's frame of each row, ascending (None =
    the row itself) and `where` says in words what was looked at. With `within`, only those rows
    count for the choice; the track has every row all the same, and who was chosen by them is
    followed beyond them. Raises InputError: no face anywhere, face too small, number too high,
    click beside every face.
    """
    if within is not None:
        seen = choose_people(tracks.within(within), choice, size, fps, within, where)
        everybody = (*tracks.candidates, *tracks.glimpses)
        places = {one.places[0] for one in seen}
        return join_people(tracks, [one for one in everybody if not places.isdisjoint(one.places)])
    return join_people(tracks, choose_people(tracks, choice, size, fps, numbers, where))


def choose_people(
    tracks: Tracks,
    choice: FaceChoice,
    size: Size,
    fps: Fraction,
    numbers: Sequence[int] | None,
    where: str,
) -> list[Candidate]:
    """Return the candidates that `choose_face` joins, at most one per shot."""
    if not tracks.candidates:
        raise nobody_found(where)
    if choice.click is not None:
        chosen = _by_click(tracks, choice.click, choice.click_seconds, fps, numbers)
    elif choice.number is not None:
        chosen = _by_number(tracks, choice.number)
    else:
        chosen = [_largest(tracks, shot) for shot in tracks.shots if tracks.in_shot(shot)]
    widest = max(candidate.mean_width for candidate in chosen)
    if widest < MIN_FACE_WIDTH:
        raise InputError(
            f"The face is only {widest:.0f} px wide in this {size.width}×{size.height} clip and at "
            f"least {MIN_FACE_WIDTH} px are needed; choose a closer shot, a larger version of the "
            "clip or another face."
        )
    return [c for c in chosen if c.mean_width >= MIN_FACE_WIDTH]


def nobody_found(where: str) -> InputError:
    """Return what to raise where there is no face; `where` says in words what was looked at."""
    return InputError(
        f"No face was found in {where}; lip sync needs a face turned to the camera, "
        "so choose a clip that shows one."
    )


def jump_rows(track: FaceTrack) -> list[int]:
    """Return the rows at which the face stands elsewhere than one frame before, as in a jump cut.

    A cut within one scene hardly changes the picture but moves the head at once; moving heads speed
    up and slow down over several frames. What happens at a known cut tells nothing of either.
    """
    centres = (track.boxes[:, :2] + track.boxes[:, 2:]) / 2
    widths = track.boxes[:, 2] - track.boxes[:, 0]
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1) / np.minimum(widths[1:], widths[:-1])
    growth = np.abs(np.log(widths[1:] / widths[:-1]))
    steps = np.nan_to_num(np.maximum(steps, growth), nan=0.0)
    steps[np.array(track.shots[1:], int) - 1] = 0.0
    quiet = np.concatenate([[0.0], steps, [0.0]])
    beside = np.maximum(quiet[:-2], quiet[2:])
    rows = np.flatnonzero((steps > JUMP_SHIFT) & (steps > JUMP_RATIO * beside)) + 1
    return [int(row) for row in rows]


def _match(
    faces: list[Face], waiting: list[Candidate], row: int
) -> list[tuple[Face, Candidate | None]]:
    """Pair each face with the waiting candidate it continues, best pairs first."""
    pairs = []
    for f, face in enumerate(faces):
        for c, candidate in enumerate(waiting):
            score = _likeness(face.box, candidate, row)
            if score > 0:
                pairs.append((-score, f, c))
    partner: dict[int, Candidate] = {}
    taken: set[int] = set()
    for _, f, c in sorted(pairs):
        if f not in partner and c not in taken:
            partner[f] = waiting[c]
            taken.add(c)
    missing = [
        candidate
        for c, candidate in enumerate(waiting)
        if c not in taken and len(candidate.rows) >= GLIMPSE_FRAMES
    ]
    strangers = [f for f in range(len(faces)) if f not in partner]
    if len(missing) == len(strangers) == 1 and _similar_width(faces[strangers[0]].box, missing[0]):
        partner[strangers[0]] = missing[0]
    return [(face, partner.get(f)) for f, face in enumerate(faces)]


def _similar_width(box: np.ndarray, candidate: Candidate) -> bool:
    last = candidate.boxes[-1]
    return bool(0.5 < (box[2] - box[0]) / max(last[2] - last[0], 1e-6) < 2.0)


def _likeness(box: np.ndarray, candidate: Candidate, row: int) -> float:
    """Return how well a box continues a candidate, 0 = not at all; recent and near is better."""
    expected = _expected_box(candidate, row)
    shared = overlap(box, expected)
    width = float(expected[2] - expected[0])
    centres = (box[:2] + box[2:] - expected[:2] - expected[2:]) / 2
    near = 1.0 - float(np.hypot(*centres)) / max(MATCH_DISTANCE * width, 1e-6)
    ratio = float(box[2] - box[0]) / max(width, 1e-6)
    if shared < MATCH_OVERLAP and (near <= 0 or not 0.6 < ratio < 1.67):
        return 0.0
    return max(shared, 0.5 * near, 1e-3) / (row - candidate.rows[-1]) ** 0.25


def _expected_box(candidate: Candidate, row: int) -> np.ndarray:
    """Carry the last box on at its recent speed, so that two people who cross stay themselves."""
    last, count = candidate.boxes[-1], len(candidate.boxes)
    if count < 2:
        return last
    back = max(0, count - 4)
    speed = (last - candidate.boxes[back]) / (candidate.rows[-1] - candidate.rows[back])
    shift = np.tile((speed[:2] + speed[2:]) / 2, 2)  # sizes are not carried on
    return last + shift * min(row - candidate.rows[-1], 5)


def _sort_out(
    num_rows: int, shots: tuple[int, ...], people: Sequence[Candidate], landmarks: LandmarkStore
) -> Tracks:
    tracks = Tracks(num_rows, shots, (), landmarks)
    every = sorted(people, key=lambda c: (c.shot, c.mean_x))
    glimpses = tuple(c for c in every if tracks.share(c) < MIN_CANDIDATE_SHARE)
    candidates = tuple(c for c in every if tracks.share(c) >= MIN_CANDIDATE_SHARE)
    return Tracks(num_rows, shots, candidates, landmarks, glimpses)


def _cut_candidate(candidate: Candidate, rows: range) -> Candidate:
    """Return what `rows` show of a candidate, counted from their first."""
    kept = slice(bisect_left(candidate.rows, rows.start), bisect_left(candidate.rows, rows.stop))
    return Candidate(
        shot=max(candidate.shot - rows.start, 0),
        rows=[row - rows.start for row in candidate.rows[kept]],
        places=candidate.places[kept],
        boxes=candidate.boxes[kept],
    )


def _largest(tracks: Tracks, shot: int) -> Candidate:
    return max(tracks.in_shot(shot), key=lambda c: c.mean_area * tracks.share(c))


def _by_number(tracks: Tracks, number: int) -> list[Candidate]:
    most = max(len(tracks.in_shot(shot)) for shot in tracks.shots)
    if not 1 <= number <= most:
        found = "1 face was" if most == 1 else f"{most} faces were"
        raise InputError(
            f"Face number {number} was asked for but {found} found; "
            f"choose a number from 1 (leftmost) to {most}."
        )
    shots = [tracks.in_shot(shot) for shot in tracks.shots]
    return [people[number - 1] for people in shots if len(people) >= number]


def _by_click(
    tracks: Tracks,
    point: tuple[float, float],
    seconds: float,
    fps: Fraction,
    numbers: Sequence[int] | None,
) -> list[Candidate]:
    frames = range(tracks.num_rows) if numbers is None else numbers
    row = min(bisect_left(frames, round(seconds * fps)), tracks.num_rows - 1)
    shot = max(start for start in tracks.shots if start <= row)
    hits = []
    for candidate in tracks.in_shot(shot):
        nearest = int(np.argmin([abs(seen - row) for seen in candidate.rows]))
        x1, y1, x2, y2 = candidate.boxes[nearest].tolist()
        is_inside = x1 <= point[0] <= x2 and y1 <= point[1] <= y2
        if is_inside and abs(candidate.rows[nearest] - row) <= fps:
            hits.append((abs(candidate.rows[nearest] - row), (x2 - x1) * (y2 - y1), candidate))
    if not hits:
        raise InputError(
            f"There is no face at the clicked point ({point[0]:.0f}, {point[1]:.0f}) at "
            f"{seconds:.1f} s; click inside a face."
        )
    clicked = min(hits, key=lambda hit: hit[:2])[2]
    chosen = []
    for start in tracks.shots:
        people = tracks.in_shot(start)
        if start == shot:
            chosen.append(clicked)
        elif people:
            near = max(people, key=lambda c: overlap(c.box, clicked.box))
            same_place = overlap(near.box, clicked.box) > MATCH_OVERLAP
            chosen.append(near if same_place else _largest(tracks, start))
    return chosen


def join_people(tracks: Tracks, chosen: Sequence[Candidate]) -> FaceTrack:
    """Return one track of candidates, at most one per shot."""
    boxes = np.full((tracks.num_rows, 4), np.nan, np.float32)
    places = np.full(tracks.num_rows, -1, np.int64)
    for candidate in chosen:
        boxes[candidate.rows] = candidate.boxes
        places[candidate.rows] = candidate.places
    landmarks = tracks.landmarks.select(places)
    track = FaceTrack(boxes, landmarks, places >= 0, tracks.shots)
    shots = tuple(sorted({*tracks.shots, *jump_rows(track)}))
    return FaceTrack(boxes, landmarks, track.present, shots)
