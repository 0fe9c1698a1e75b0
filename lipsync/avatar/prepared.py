"""What was prepared of a clip, on the disk and back: everybody found, where crops lie, the crops.

Whatever grows with the clip is mapped from its file, so a long clip's avatar takes no more memory
than a short one's. Crops and their places are kept per *place*: the row of a face in the store of
landmarks, which no choice among the people changes.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipsync.avatar.sealed import Sealed
from lipsync.face.align import Template, align_track
from lipsync.face.gallery import Album
from lipsync.face.scenes import leave_out_profiles
from lipsync.face.speaker import Speaker
from lipsync.face.track import MIN_FACE_WIDTH, Candidate, Tracks, join_people
from lipsync.landmarks import LandmarkStore
from lipsync.types import Alignment, Crops, FaceTrack, Reference

_NOWHERE = -1


@dataclass(frozen=True)
class Aligned:
    """Where crops lie on every face, N places."""

    matrices: np.ndarray  # (N, 2, 3) float32, frame px -> crop px
    runs: np.ndarray  # (N,) int32, the run of rows each was smoothed in, -1 = not aligned
    sides: np.ndarray  # (R,) int32, px, of the crop in each run

    def find(self, places: np.ndarray) -> Alignment | None:
        """Return the alignment of `places` (T,), None unless all of them are of one run."""
        runs = np.unique(self.runs[places])
        if len(runs) != 1 or runs[0] == _NOWHERE:
            return None
        return Alignment(np.asarray(self.matrices[places]), int(self.sides[runs[0]]))


@dataclass(frozen=True)
class KeptCrops:
    """Crops that were made before, of the faces that a job takes by itself."""

    pictures: np.ndarray  # (K, S, S, 3) uint8 RGB
    numbers: np.ndarray  # (N,) int32, the picture of each place, -1 = none

    def find(self, places: np.ndarray) -> Crops | None:
        """Return the crops of `places` (T,), None unless all of them are kept."""
        numbers = self.numbers[places]
        return None if (numbers == _NOWHERE).any() else _Picked(self.pictures, numbers)


@dataclass(frozen=True)
class _Picked:
    pictures: np.ndarray
    numbers: np.ndarray  # (T,)

    def __getitem__(self, frames: slice, /) -> np.ndarray:
        return np.asarray(self.pictures[self.numbers[frames]])


@dataclass(frozen=True)
class PreparedSpeaker(Speaker):
    """Somebody of whom an avatar knows already what a job would find out."""

    aligned: Aligned
    kept: KeptCrops | None

    def align(self, segment: slice, template: Template, size: int | None) -> Alignment:
        """Return what is kept; a segment that is none of the whole clip's is aligned now."""
        return self._find(segment) or super().align(segment, template, size)

    def crops(self, segment: slice, rows: np.ndarray) -> Crops | None:
        """Return the kept crops if the segment's alignment is kept, which they were cut by."""
        if self.kept is None or self._find(segment) is None:
            return None
        return self.kept.find(self.track.landmarks.places[rows])

    def _find(self, segment: slice) -> Alignment | None:
        return self.aligned.find(self.track.landmarks.places[segment])


@dataclass(frozen=True)
class Prepared:
    """All that one job needs of an avatar."""

    tracks: Tracks
    album: Album
    aligned: Aligned
    crops: KeptCrops | None  # None = the engine's are too large to keep

    def speaker(self, track: FaceTrack) -> PreparedSpeaker:
        """Return somebody out of the tracks, as `face.track.choose_face` has joined them."""
        return PreparedSpeaker(track, self.album, self.aligned, self.crops)


def save_faces(folder: Path, tracks: Tracks, album: Album) -> None:
    """Write everybody found and the mouths kept of them into `folder`."""
    for name, array in tracks.landmarks.arrays().items():
        np.save(folder / f"{name}.npy", array)
    people = (*tracks.candidates, *tracks.glimpses)
    np.savez(
        folder / "people.npz",
        shots=np.array(tracks.shots, np.int64),
        # shot, rows, whether more than a glimpse
        people=np.array(
            [
                (one.shot, len(one.rows), place < len(tracks.candidates))
                for place, one in enumerate(people)
            ],
            np.int64,
        ).reshape(-1, 3),
        rows=np.array([row for one in people for row in one.rows], np.int64),
        places=np.array([place for one in people for place in one.places], np.int64),
        boxes=np.array([box for one in people for box in one.boxes], np.float32).reshape(-1, 4),
    )
    pictures = [picture.image for picture in album.pictures]
    np.save(
        folder / "mouths.npy", np.concatenate([np.zeros(0, np.uint8), *map(np.ravel, pictures)])
    )
    count = len(pictures)
    points = [picture.landmarks for picture in album.pictures]
    np.savez(
        folder / "album.npz",
        rows=np.array([picture.row for picture in album.pictures], np.int64),
        sizes=np.array([image.shape[:2] for image in pictures], np.int64).reshape(-1, 2),
        points=np.array(points, np.float32).reshape(count, -1, 3),
        boxes=album.boxes,
    )


def load_faces(held: Sealed, num_rows: int) -> tuple[Tracks, Album]:
    """Return what `save_faces` wrote of a clip of `num_rows` frames."""
    names = ("codes", "origin", "step")
    store = LandmarkStore.of_arrays({name: _mapped(held, f"{name}.npy") for name in names})
    told = _arrays(held, "people.npz")
    candidates: list[Candidate] = []
    glimpses: list[Candidate] = []
    start = 0
    for shot, count, is_candidate in told["people"].tolist():
        kept = slice(start, start + count)
        start += count
        one = Candidate(
            shot, told["rows"][kept].tolist(), told["places"][kept].tolist(), [*told["boxes"][kept]]
        )
        (candidates if is_candidate else glimpses).append(one)
    shots = tuple(told["shots"].tolist())
    tracks = Tracks(num_rows, shots, tuple(candidates), store, tuple(glimpses))
    return tracks, _load_album(held)


def _load_album(held: Sealed) -> Album:
    told, pixels = _arrays(held, "album.npz"), _mapped(held, "mouths.npy")
    pictures = []
    start = 0
    for row, (height, width), points in zip(
        told["rows"].tolist(), told["sizes"].tolist(), told["points"], strict=True
    ):
        stop = start + height * width * 3
        pictures.append(Reference(row, pixels[start:stop].reshape(height, width, 3), points))
        start = stop
    return Album(tuple(pictures), told["boxes"])


def align_people(
    tracks: Tracks, template: Template, side: int | None
) -> Generator[int, None, Aligned]:
    """Align everybody found as a job would that chose them; yield the faces aligned so far.

    Those too small to be chosen are left out.
    """
    count = len(tracks.landmarks)
    matrices = np.full((count, 2, 3), np.nan, np.float32)
    runs = np.full(count, _NOWHERE, np.int32)
    sides: list[int] = []
    done = 0
    for people in _layers(tracks):
        # a row's alignment hangs on the same person's rows in the same shot only
        track, _ = leave_out_profiles(join_people(tracks, people))
        for segment in track.segments():
            alignment = align_track(track, segment, template, side)
            places = track.landmarks.places[segment]
            matrices[places] = alignment.matrices
            runs[places] = len(sides)
            sides.append(alignment.size)
            done += len(places)
            yield done
    return Aligned(matrices, runs, np.array(sides, np.int32))


def save_aligned(folder: Path, aligned: Aligned) -> None:
    """Write what `align_people` found into `folder`."""
    for name in ("matrices", "runs", "sides"):
        np.save(folder / f"{name}.npy", getattr(aligned, name))


def load_aligned(held: Sealed) -> Aligned:
    """Return what `save_aligned` wrote."""
    return Aligned(*(_mapped(held, f"{name}.npy") for name in ("matrices", "runs", "sides")))


def load_crops(held: Sealed) -> KeptCrops:
    """Return what was written as ``pictures.npy`` and ``numbers.npy``."""
    return KeptCrops(_mapped(held, "pictures.npy"), _mapped(held, "numbers.npy"))


def _layers(tracks: Tracks) -> list[list[Candidate]]:
    """Return everybody who can be chosen in as few tracks as possible, one person per shot each."""
    shots: dict[int, list[Candidate]] = {}
    for candidate in tracks.candidates:
        if candidate.mean_width >= MIN_FACE_WIDTH:
            shots.setdefault(candidate.shot, []).append(candidate)
    depth = max(map(len, shots.values()), default=0)
    return [
        [people[layer] for people in shots.values() if layer < len(people)]
        for layer in range(depth)
    ]


def _mapped(held: Sealed, name: str) -> np.ndarray:
    array = np.load(held.path(name), allow_pickle=False, mmap_mode="r")
    return np.asarray(array)  # mapped all the same, and as quick to index as any other


def _arrays(held: Sealed, name: str) -> dict[str, np.ndarray]:
    with np.load(held.path(name), allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}
