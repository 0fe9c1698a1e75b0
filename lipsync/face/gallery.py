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


@dataclass
class _Pocket:
    box: np.ndarray
    limit: int
    distance: float = _FIRST_DISTANCE
    traits: list[np.ndarray] = field(default_factory=list)
    kept: list[Reference] = field(default_factory=list)


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
            trait = np.concatenate([measured, head_angles(pose.rotation)[0, :2]]) / _SPREAD
            if pocket.traits:
                nearest = np.linalg.norm(np.array(pocket.traits) - trait, axis=1).min()
                if nearest < pocket.distance:
                    continue
            pocket.traits.append(trait)
            pocket.kept.append(_picture(row, frame, face.landmarks, float(pose.scale[0])))
            if len(pocket.kept) > pocket.limit:
                _thin(pocket)
            self._bound_memory()

    def references(self, track: FaceTrack, rows: slice) -> list[Reference]:
        """Return what was kept of the tracked face within `rows`, in order of time."""
        found = [
            reference
            for pocket in (*self._past, *self._current)
            for reference in pocket.kept
            if rows.start <= reference.row < rows.stop
            and track.present[reference.row]
            and overlap(pocket.box, track.boxes[reference.row]) > 0
        ]
        return sorted(found, key=lambda reference: reference.row)

    def _pocket_of(self, box: np.ndarray) -> _Pocket:
        best = max(self._current, key=lambda p: overlap(p.box, box), default=None)
        if best is None or overlap(best.box, box) < 0.25:
            best = _Pocket(box, self._limit)
            self._current.append(best)
        best.box = box
        return best

    def _bound_memory(self) -> None:
        pockets = [*self._past, *self._current]
        while sum(r.image.nbytes for p in pockets for r in p.kept) > _MAX_BYTES:
            fullest = max(pockets, key=lambda p: len(p.kept))
            if len(fullest.kept) < 2:
                break
            fullest.limit = len(fullest.kept) - 1
            _thin(fullest)


def _thin(pocket: _Pocket) -> None:
    """Raise the distance asked for until at least one kept picture is too near another."""
    while len(pocket.kept) > pocket.limit:
        pocket.distance *= _GROWTH
        keep: list[int] = []
        for index, trait in enumerate(pocket.traits):
            others = [np.linalg.norm(trait - pocket.traits[k]) for k in keep]
            if not others or min(others) >= pocket.distance:
                keep.append(index)
        pocket.traits = [pocket.traits[k] for k in keep]
        pocket.kept = [pocket.kept[k] for k in keep]


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
    points = landmarks - np.array([rect.left, rect.top, 0], np.float32)
    shrink = min(1.0, _MAX_SIDE / max(image.shape[:2]))
    if shrink < 1:
        size = (round(image.shape[1] * shrink), round(image.shape[0] * shrink))
        factor = np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        # pixel centres are integers: the scale acts about the outer edge, at -0.5
        points = points * np.append(factor, factor[0])
        points[:, :2] += 0.5 * factor - 0.5
    return Reference(row, image, points.astype(np.float32))
