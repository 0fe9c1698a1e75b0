"""A small, varied collection of a face's mouths, picked while the clip streams by.

Engines that borrow pixels from other moments (or want a reference picture) need frames that differ:
mouth open and closed, wide and narrow, head turned and straight. Frames are compared by those four
numbers (greedy k-centres, online: a newcomer must be far enough from everything kept; when a pocket
is full the distance asked for grows). One pocket per face and shot; memory is bounded by the total.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from lipsync.face.detect import overlap
from lipsync.face.mouth import fit_pose, head_angles, measure_canonical
from lipsync.media.colour import rgb_image
from lipsync.types import Face, FaceTrack, Frame, Rect, Reference

_REACH = 0.8  # IOD around the middle of the mouth that a picture shows
_MAX_SIDE = 448  # px; larger mouths are kept at this size
_MAX_BYTES = 96 << 20  # of all pictures together
_SPREAD = np.array([0.03, 0.03, 6.0, 6.0])  # one unit: IOD, IOD, degrees, degrees
_FIRST_DISTANCE = 0.4  # units
_GROWTH = 1.25
_LIP_MIDDLE = (13, 14)
_SAME_FACE = 0.5  # overlap of a kept picture's box with the track's in the same frame


@dataclass(frozen=True)
class _Kept:
    reference: Reference
    traits: np.ndarray  # (4,) units
    box: np.ndarray  # (4,) px, of the face in its frame


@dataclass
class _Pocket:
    box: np.ndarray  # where the face was last
    limit: int
    distance: float = _FIRST_DISTANCE
    kept: list[_Kept] = field(default_factory=list)


@dataclass(frozen=True)
class Album:
    """What a gallery has kept of everybody, in order of time."""

    pictures: tuple[Reference, ...]
    boxes: np.ndarray  # (K, 4) float32 px, of each picture's face in its frame

    def references(self, track: FaceTrack, rows: slice) -> list[Reference]:
        """Return the pictures of the tracked face within `rows`, in order of time."""
        return [
            picture
            for picture, box in zip(self.pictures, self.boxes, strict=True)
            if rows.start <= picture.row < rows.stop
            and track.present[picture.row]
            and overlap(box, track.boxes[picture.row]) > _SAME_FACE
        ]


class Gallery:
    """Keep up to `limit` varied mouths per face and shot; `limit` 0 keeps nothing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._current: list[_Pocket] = []
        self._past: list[_Pocket] = []

    def offer(self, row: int, frame: Frame, faces: list[Face], is_cut: bool) -> None:
        """Look at the faces (px of the frame) of the next frame and keep what is new in them."""
        if not self._limit:
            return
        if is_cut:
            self._past += self._current
            self._current = []
        for face in faces:
            pocket = self._pocket_of(face.box)
            pose = fit_pose(face.landmarks[None])
            measured = measure_canonical(pose.to_canonical(face.landmarks[None]))[0, :2]
            traits = np.concatenate([measured, head_angles(pose.rotation)[0, :2]]) / _SPREAD
            if not _is_new(traits, pocket.kept, pocket.distance):
                continue
            picture = _picture(row, frame, face.landmarks, float(pose.scale[0]))
            pocket.kept.append(_Kept(picture, traits, face.box))
            if len(pocket.kept) > pocket.limit:
                _thin(pocket)
            self._bound_memory()

    def album(self) -> Album:
        """Return everything kept so far."""
        every = [kept for pocket in (*self._past, *self._current) for kept in pocket.kept]
        every.sort(key=lambda kept: kept.reference.row)
        boxes = np.array([kept.box for kept in every], np.float32).reshape(-1, 4)
        return Album(tuple(kept.reference for kept in every), boxes)

    def references(self, track: FaceTrack, rows: slice) -> list[Reference]:
        """Return what was kept of the tracked face within `rows`, in order of time."""
        return self.album().references(track, rows)

    def _pocket_of(self, box: np.ndarray) -> _Pocket:
        best = max(self._current, key=lambda p: overlap(p.box, box), default=None)
        if best is None or overlap(best.box, box) < 0.25:
            best = _Pocket(box, self._limit)
            self._current.append(best)
        best.box = box
        return best

    def _bound_memory(self) -> None:
        pockets = [*self._past, *self._current]
        while sum(k.reference.image.nbytes for p in pockets for k in p.kept) > _MAX_BYTES:
            fullest = max(pockets, key=lambda p: len(p.kept))
            if len(fullest.kept) > 1:
                fullest.limit = len(fullest.kept) - 1
                _thin(fullest)
            else:  # as many shots as pictures: one alone says little more than the frame itself
                fullest.kept.clear()


def _is_new(traits: np.ndarray, kept: list[_Kept], distance: float) -> bool:
    if not kept:
        return True
    known = np.array([other.traits for other in kept])
    return bool(np.linalg.norm(known - traits, axis=1).min() >= distance)


def _thin(pocket: _Pocket) -> None:
    """Raise the distance asked for until at least one kept picture is too near another."""
    while len(pocket.kept) > pocket.limit:
        pocket.distance *= _GROWTH
        spread: list[_Kept] = []
        for one in pocket.kept:
            if _is_new(one.traits, spread, pocket.distance):
                spread.append(one)
        pocket.kept = spread


def _picture(row: int, frame: Frame, landmarks: np.ndarray, scale: float) -> Reference:
    """Cut the mouth's surroundings out of a frame; `scale` is px per IOD."""
    height, width = frame.size
    centre = landmarks[list(_LIP_MIDDLE), :2].mean(axis=0)
    reach = _REACH * scale
    rect = Rect(
        left=max(0, int(centre[0] - reach)) // 2 * 2,
        top=max(0, int(centre[1] - reach)) // 2 * 2,
        right=min(width, -(-int(centre[0] + reach) // 2) * 2),
        bottom=min(height, -(-int(centre[1] + reach) // 2) * 2),
    )
    image = rgb_image(frame, rect=rect)
    points: np.ndarray = landmarks - np.array([rect.left, rect.top, 0], np.float32)
    shrink = min(1.0, _MAX_SIDE / max(image.shape[:2]))
    if shrink < 1:
        size = (round(image.shape[1] * shrink), round(image.shape[0] * shrink))
        factor = np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        # pixel centres are integers: the scale acts about the outer edge, at -0.5
        points = points * np.append(factor, factor[0])
        points[:, :2] += 0.5 * factor - 0.5
    return Reference(row, image, points.astype(np.float32))
