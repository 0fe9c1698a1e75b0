"""Who is followed through a scene by the published face pipeline of SyncNet.

It is greedy and loses people, so the program follows faces by `face.track`; the recorded vectors
are only had this way.
https://github.com/joonson/syncnet_python
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RATE = 25  # frames a second
_MAX_GAP = 25  # frames from one detection of a track to its next
_MIN_OVERLAP = 0.5  # intersection over union with the track's last box
_MIN_SIDE = 100.0  # px


@dataclass(frozen=True)
class BoxTrack:
    """One face's box in every frame from its first on."""

    first: int  # frame
    boxes: np.ndarray  # (n, 4) float64 px

    @property
    def start_seconds(self) -> float:
        """Where its sound begins, to the millisecond."""
        return round(self.first / RATE, 3)

    @property
    def end_seconds(self) -> float:
        """Where its sound ends, to the millisecond."""
        return round((self.first + len(self.boxes)) / RATE, 3)


def follow_published(faces: Sequence[np.ndarray], min_detections: int) -> list[BoxTrack]:
    """Return the tracks that the published procedure finds in one scene, in its order.

    `faces` holds a (k, 4) array of boxes in px per frame. Of a track more than `min_detections`
    detections must be there, and its boxes must measure more than 100 px in the mean, in width or
    height. The first face left begins a track; who is next in the list of the same frame is passed
    over once a face has been taken, and faces of tracks that come to nothing are lost.
    """
    left = [list(boxes) for boxes in faces]
    tracks = []
    while any(left):
        numbers, boxes = _take_track(left)
        if len(boxes) > min_detections:
            track = _fill_gaps(numbers, np.array(boxes, np.float64))
            sides = track.boxes[:, 2:] - track.boxes[:, :2]
            if sides.mean(axis=0).max() > _MIN_SIDE:
                tracks.append(track)
    return tracks


def _take_track(left: list[list[np.ndarray]]) -> tuple[list[int], list[np.ndarray]]:
    """Take one track out of the faces that are left; return its frames and boxes."""
    numbers: list[int] = []
    boxes: list[np.ndarray] = []
    for number, here in enumerate(left):
        place = 0
        while place < len(here):
            if boxes and number - numbers[-1] > _MAX_GAP:
                return numbers, boxes
            if not boxes or _overlap(here[place], boxes[-1]) > _MIN_OVERLAP:
                numbers.append(number)
                boxes.append(here.pop(place))  # and so the next one moves up and is passed over
            place += 1
    return numbers, boxes


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.maximum(sides, 0.0)))
    return common / (float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common)


def _fill_gaps(numbers: list[int], boxes: np.ndarray) -> BoxTrack:
    """Interpolate; of two boxes in one frame the later one counts there."""
    frames = np.arange(numbers[0], numbers[-1] + 1)
    sides = [np.interp(frames, numbers, side) for side in boxes.T]
    return BoxTrack(numbers[0], np.stack(sides, axis=1))
