"""Cross-fades in time: how strongly each row's generated face is laid in."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lipsync.types import FaceTrack

FADE_SECONDS = 0.16  # 4 frames at 25 fps


def fade_weights(track: FaceTrack, fps: Fraction) -> np.ndarray:
    """Return (T,) float32 in [0, 1], the factor for each row's mask: 0 where the face is absent.

    Rows next to a gap ramp over about 0.16 s (at most a third of the run, so that a short run is
    still seen). A run that begins or ends with its shot or with the clip does not fade: there
    the picture changes by itself.
    """
    weights = track.present.astype(np.float32)
    length = max(1, round(FADE_SECONDS * fps))
    ends = {*track.shots, len(weights)}
    for run in track.segments():
        steps = min(length, (run.stop - run.start) // 3)
        ramp = np.arange(1, steps + 1, dtype=np.float32) / np.float32(steps + 1)
        if run.start not in ends:
            weights[run.start : run.start + steps] = ramp
        if run.stop not in ends:
            weights[run.stop - steps : run.stop] = ramp[::-1]
    return weights
