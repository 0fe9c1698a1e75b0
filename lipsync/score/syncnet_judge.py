"""The judge `syncnet`: the published SyncNet v2 on the chosen face of a clip.

Its confidence is what papers call LSE-C and its distance LSE-D, with the published program's
defects left out: the clip is brought to 25 fps whatever its rate, no window crosses a gap or a
cut, every window counts once, and nobody but the chosen face is judged.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
from torch import Tensor

from lipsync.face.detect import EYE_CORNERS
from lipsync.media.frames import read_frames
from lipsync.media.view import FrameView
from lipsync.score.evaluation import cut_sounds, hold_faces
from lipsync.score.face_crop import crop_face, crop_rectangle, smooth_path, usual_boxes
from lipsync.score.network_judge import NetworkJudge
from lipsync.score.sync import MAX_SHIFT, RATE, WINDOW, SyncMeasure, weigh_distances
from lipsync.score.syncnet import StripSyncNet, load_syncnet
from lipsync.score.verdict import Limits, find_verdict
from lipsync.score.watch import Watched
from lipsync.steps import map_steps
from lipsync.types import Clip, SyncScore

KEY = "syncnet-v2"
WORTH = (
    "Confidence from 0 to about 10, where real speech has 6 or more, and a distance, where it has "
    "7.5 or less; a proxy: it agrees with people only about 7 times in 10, and rewards wide mouths."
)
# below 2 there is no sync; good real speech has 6 and more
_LIMITS = Limits(lowest=2.0, good=6.0)


class SyncNetJudge(NetworkJudge[StripSyncNet, Tensor]):
    """Asks SyncNet v2."""

    name = "syncnet"
    worth = WORTH
    weights: tuple[str, ...] = (KEY,)
    points = np.array(EYE_CORNERS)  # any will do: boxes are what counts

    def load(self, path: Path) -> StripSyncNet:
        """As `NetworkJudge` says."""
        return StripSyncNet(load_syncnet(path, device=self._residence.device))

    def hear(self, samples: np.ndarray) -> Tensor:
        """Return (S, 13, 20) float32: what is heard in the windows that begin at each frame."""
        return cut_sounds(samples)

    def hold(
        self, clip: Clip, watched: Watched, network: StripSyncNet, sounds: Tensor
    ) -> Generator[int, None, np.ndarray]:
        """Yield the row reached; return (T - 4, 31) distances, NaN where no window is."""
        shape = (len(watched.numbers) - WINDOW + 1, 2 * MAX_SHIFT + 1)
        distances = np.full(shape, np.nan, np.float32)
        turn = self._residence.turn
        for stretch in watched.track.segments():
            first, windows = stretch.start, stretch.stop - stretch.start - WINDOW + 1
            if windows < 1:
                continue
            with closing(_cut_faces(clip, watched, stretch)) as faces:
                held = hold_faces(network, faces, sounds, start=first, turn=turn)
                distances[first : first + windows] = yield from map_steps(first.__add__, held)
        return distances

    def weigh(self, distances: np.ndarray) -> SyncScore:
        """As `NetworkJudge` says."""
        return _to_score(weigh_distances(distances))


def _cut_faces(clip: Clip, watched: Watched, stretch: slice) -> Generator[np.ndarray, None, None]:
    """Yield the (224, 224, 3) uint8 RGB face in each row of a stretch."""
    path = smooth_path(usual_boxes(watched.track.boxes[stretch]))
    frames = read_frames(clip, watched.numbers[stretch].tolist())
    for frame, half, x, y in zip(frames, path.half_sides, path.x, path.y, strict=True):
        where = crop_rectangle(float(half), float(x), float(y), frame.size)
        yield crop_face(FrameView(frame, frame.size), where)


def _to_score(measure: SyncMeasure) -> SyncScore:
    return SyncScore(
        judge=SyncNetJudge.name,
        worth=WORTH,
        confidence=measure.confidence,
        offset_frames=measure.offset,
        fps=Fraction(RATE),
        verdict=find_verdict(measure.confidence, measure.offset, _LIMITS),
        distance=measure.distance,
        curve_offsets=tuple(measure.shifts.tolist()),
        curve=tuple(measure.curve.round(4).tolist()),
        per_second=tuple(
            None if value is None else round(value, 3) for value in measure.per_second
        ),
    )
