"""From what the voice asks to where the mouth's points go, for one person in one scene.

Everything happens in canonical space (pose-free, IOD; see `face.mouth`). The person's slow
expression is kept: it is what remains when the fast part explained by the mouth's own opening and
width is taken away. Works on stretches of the scene, so memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lipsync.assets import asset_path
from lipsync.engines.draft.columns import ACTIVITY, CLOSURE, LABIODENTAL, OPENING, WIDTH
from lipsync.engines.draft.mesh import CONTROL, LOWER_LIP, UPPER_LIP, positions
from lipsync.face.mouth import (
    INNER_LIPS,
    MOUTH_CORNERS,
    fit_pose,
    head_angles,
    measure_canonical,
    measure_mouth,
    person_face,
)
from lipsync.types import Scene

_CHUNK = 256  # output frames planned at once
_STUDY_ROWS = 3000  # rows enough to know how a person opens the mouth
_REST_WIDTH = 0.557  # IOD, the width at which the basis adds nothing
_GENERIC_RANKS = (0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1)
_GENERIC_OPENINGS = (0, 0.002, 0.015, 0.045, 0.082, 0.112, 0.14, 0.18, 0.22)  # IOD
_TALKS = 0.05  # IOD, P90 - P10 of the opening above which a clip is taken to talk
_GAIN = 0.85  # about the median: full gain overshoots where the voice is heard wrongly
_MAX_OPENING = 0.30  # IOD
_NEUTRAL_SECONDS = 0.6  # low-pass that separates expression from speech
_BITE_LOWER, _BITE_UPPER = 0.03, 0.015  # IOD, how far the lips rise so that f and v meet the teeth
_LOWER, _UPPER = positions(LOWER_LIP), positions(UPPER_LIP)


@dataclass(frozen=True)
class Motion:
    """One stretch of frames: where the control points are and where they should go."""

    start: int  # first frame, within the scene
    source: np.ndarray  # (T, C, 2) frame px, smoothed
    target: np.ndarray  # (T, C, 2) frame px
    wanted: np.ndarray  # (T, 2) opening and width, IOD
    own: np.ndarray  # (T, 2) the frame's own opening and width, IOD
    angles: np.ndarray  # (T, 3) yaw, pitch, roll, degrees
    scale: np.ndarray  # (T,) px per IOD


@dataclass(frozen=True)
class Person:
    """How this face is built and how it moves its mouth."""

    face: np.ndarray  # (478, 3) mean canonical face
    rest: float  # IOD, opening while silent
    ranks: np.ndarray  # rank -> opening, as a table
    openings: np.ndarray
    width: float  # IOD, median
    width_spread: float  # IOD, standard deviation


@cache
def _basis() -> np.ndarray:
    """Return (3, 478, 3): displacement per unit of opening, opening squared, width."""
    with np.load(asset_path("mouth_shape.npz")) as stored:
        return stored["basis"].astype(np.float64)


def _deform(params: np.ndarray, points: np.ndarray | None = None) -> np.ndarray:
    """Return (T, L, 3) displacement for params (T, 2) opening and width."""
    opening, width = params[:, 0], params[:, 1] - _REST_WIDTH
    basis = _basis() if points is None else _basis()[:, points]
    return np.einsum("tk,klc->tlc", np.column_stack([opening, opening**2, width]), basis)


def study_person(scene: Scene) -> Person:
    """Measure the person over the scene's track, all shots: pose-free face and mouth habits."""
    rows = np.flatnonzero(scene.track.present)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _STUDY_ROWS)).astype(int)]
    here = np.unique(scene.rows)
    face = person_face(scene.track.landmarks, here)
    own = measure_mouth(scene.track.landmarks, rows)
    low, high = np.percentile(own[:, 0], (10, 90))
    ranks = np.linspace(0, 1, 101)
    openings = np.quantile(own[:, 0], ranks)
    rest = float(np.percentile(own[:, 0], 5))
    if high - low < _TALKS:
        openings = np.interp(ranks, _GENERIC_RANKS, _GENERIC_OPENINGS)
        rest = float(np.median(own[:, 0]))
    spread = float(np.clip(own[:, 1].std(), 0.02, 0.04))
    return Person(face, rest, ranks, openings, float(np.median(own[:, 1])), spread)


def want_mouth(
    features: np.ndarray, person: Person, fps: float, amplitude: float, width_gain: float
) -> np.ndarray:
    """Return (T, 3) wanted opening, width (IOD) and lip-on-teeth contact of the whole scene."""
    table = person.openings
    median = float(np.median(table))
    opening = np.interp(features[:, OPENING], person.ranks, table)
    opening = median + _GAIN * amplitude * (opening - median)
    opening = np.clip(opening, 0, _MAX_OPENING)
    closed = np.clip((features[:, CLOSURE] - 0.30) / 0.35, 0, 1)
    opening *= 1 - 0.7 * closed
    active = features[:, ACTIVITY]
    opening = active * opening + (1 - active) * np.minimum(person.rest, median)
    opening = gaussian_filter1d(opening, 0.6 * fps / 25, mode="nearest")
    swing = np.clip(_GAIN * person.width_spread * features[:, WIDTH], -0.1, 0.1)
    width = person.width + width_gain * active * swing
    width = gaussian_filter1d(width, 0.8 * fps / 25, mode="nearest")
    return np.column_stack([opening, width, active * features[:, LABIODENTAL]])


def _reach(neutral: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the params (T, 2) that make neutral + deformation *measure* as wanted."""
    tips = np.array([*INNER_LIPS, *MOUTH_CORNERS])
    params = wanted.copy()
    for _ in range(3):
        shape = neutral[:, tips] + _deform(params, tips)
        opening = np.linalg.norm(shape[:, 0] - shape[:, 1], axis=1)
        # the norm cannot tell lips that have passed through each other from open ones
        opening = np.where(shape[:, 1, 1] < shape[:, 0, 1], -opening, opening)
        width = np.linalg.norm(shape[:, 2] - shape[:, 3], axis=1)
        params = params + wanted - np.column_stack([opening, width])
    return params


def plan_motion(scene: Scene, person: Person, wanted: np.ndarray) -> Iterator[Motion]:
    """Yield the scene's motion in stretches; each sees enough of its neighbours to be seamless."""
    per_frame = float(scene.fps) / 25
    slow = _NEUTRAL_SECONDS * float(scene.fps)
    halo = int(np.ceil(3 * slow))
    total = len(scene.rows)
    for start in range(0, total, _CHUNK):
        stop = min(start + _CHUNK, total)
        first, last = max(0, start - halo), min(total, stop + halo)
        inner = slice(start - first, stop - first)
        points = scene.track.landmarks[scene.rows[first:last]]
        points = gaussian_filter1d(points, 0.5 * per_frame, axis=0, mode="nearest")
        pose = fit_pose(points, person.face)
        canonical = pose.to_canonical(points)
        own = measure_canonical(canonical)[:, :2]
        neutral = gaussian_filter1d(canonical - _deform(own), slow, axis=0, mode="nearest")[inner]
        here, want = pose[inner], wanted[start:stop]
        shape = neutral[:, CONTROL] + _deform(_reach(neutral, want[:, :2]), CONTROL)
        shape[:, _LOWER, 1] -= _BITE_LOWER * want[:, 2:]
        shape[:, _UPPER, 1] -= _BITE_UPPER * want[:, 2:]
        now = gaussian_filter1d(canonical, 0.8 * per_frame, axis=0, mode="nearest")[inner][
            :, CONTROL
        ]
        moved = here.to_image(shape)[..., :2] - here.to_image(now)[..., :2]
        source = points[inner][:, CONTROL, :2]
        yield Motion(
            start,
            source,
            source + moved,
            want[:, :2],
            own[inner],
            head_angles(here.rotation),
            here.scale,
        )
