"""What `bench draft` measures on landmarks: pure functions of tracks at the clip's own rate.

All lengths are in IOD (distance of the outer eye corners), measured free of pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lipsync.engines.draft.mesh import INNER_LIP, OUTER_LIP
from lipsync.face.mouth import RIGID, fit_pose, measure_canonical
from lipsync.landmarks import LandmarkStore

# the 40 points of both lip contours
LIPS = np.array([*OUTER_LIP, *INNER_LIP])
_MAX_LAG_SECONDS = 0.32
_SEALED = 0.03  # IOD of opening
_CLOSURE = 0.6  # of the voice's closure track


@dataclass(frozen=True)
class SeenMouth:
    """A mouth as detected in a video, one row per frame."""

    mouth: np.ndarray  # (T, 2) opening and width
    lips: np.ndarray  # (T, 40, 2) canonical x, y of the lip contours
    still: np.ndarray  # (T, P, 2) image px of points that do not speak
    unit: np.ndarray  # (T,) px per IOD


def see(landmarks: LandmarkStore | np.ndarray, rows: np.ndarray, face: np.ndarray) -> SeenMouth:
    """Measure the given rows on the person's mean face (478, 3)."""
    points = landmarks[rows]
    pose = fit_pose(points, face)
    canonical = pose.to_canonical(points)
    return SeenMouth(
        measure_canonical(canonical)[:, :2],
        canonical[:, LIPS, :2],
        points[:, RIGID, :2],
        pose.scale,
    )


def correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's r."""
    return float(np.corrcoef(one, other)[0, 1])


def lagged(lag: int, *tracks: np.ndarray) -> list[np.ndarray]:
    """Cut tracks so that row t of the first meets row t + lag of all the others."""
    first, *others = tracks
    length = len(first) - abs(lag)
    start = max(0, -lag)
    return [first[start : start + length]] + [
        other[start + lag : start + lag + length] for other in others
    ]


def own_lag(wanted: np.ndarray, true: np.ndarray, fps: float) -> int:
    """Return the frames by which the clip's lips come after its voice, as far as heard."""
    reach = round(_MAX_LAG_SECONDS * fps)

    def agreement(lag: int) -> float:
        one, other = lagged(lag, wanted, true)
        return correlate(one[:, 0], other[:, 0]) + correlate(one[:, 1], other[:, 1])

    return max(range(-reach, reach + 1), key=agreement)


def lip_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean distance of lip points (T, 40, 2)."""
    return float(np.linalg.norm(one - other, axis=2).mean())


def frozen_lips(true: SeenMouth, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the baselines' lips (T, 40, 2): rest on the slow expression, another moment, mean."""
    slow = gaussian_filter1d(true.lips, 0.6 * fps, axis=0, mode="nearest")
    at_rest = true.mouth[:, 0] <= np.percentile(true.mouth[:, 0], 10)
    rest = true.lips[at_rest].mean(axis=0)
    neutral = slow - slow.mean(axis=0) + rest
    shuffled = true.lips[np.random.default_rng(0).permutation(len(true.lips))]
    mean = np.broadcast_to(true.lips.mean(axis=0), true.lips.shape)
    return neutral, shuffled, mean


def sealed_share(closure: np.ndarray, active: np.ndarray, opening: np.ndarray) -> float:
    """Return the share of heard p, b, m whose rendered lips meet within a frame either way."""
    peaks = [
        t
        for t in range(1, len(closure) - 1)
        if closure[t] > _CLOSURE
        and active[t] > 0.5
        and closure[t] >= closure[t - 1]
        and closure[t] > closure[t + 1]
    ]
    if not peaks:
        return float("nan")
    return float(np.mean([opening[max(0, t - 1) : t + 2].min() <= _SEALED for t in peaks]))


def jitter(seen: SeenMouth) -> float:
    """Return the RMS second difference of the points that do not speak, IOD."""
    second = np.diff(seen.still, n=2, axis=0) / seen.unit[1:-1, None, None]
    return float(np.sqrt((second**2).sum(axis=2).mean()))
