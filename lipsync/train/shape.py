"""Refit of the mouth's shape: how each mesh point moves per unit of opening, opening², width.

    python -m lipsync.train.shape ../shared/clips/fit -o assets \\
        --held-out ../shared/clips

Writes `mouth_shape.npz`: `basis` (3, 478, 3) and `mean_face` (478, 3), both float32, IOD, y down,
exact mirror images of themselves. Only what moves as fast as speech is fitted (slower than 0.6 s is
expression or head pose), clip by clip about the clip's own mean, every person with equal weight.
Points that a mouth does not move come out near zero by themselves.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment

from lipsync.assets import asset_path
from lipsync.engines.draft.mesh import CONTROL, INNER_LIP, OUTER_LIP
from lipsync.errors import LipsyncError
from lipsync.face.mouth import fit_pose, mean_face, measure_canonical, person_face
from lipsync.train.clips import CACHE, TalkingClip, collect_clips, list_clips
from lipsync.train.overlap import separate

_SLOW_SECONDS = 0.6  # sigma; as in engines/draft/motion.py
_SEEN = (CONTROL, (*OUTER_LIP, *INNER_LIP))  # what the comparison looks at
_LOPSIDED = 0.05  # IOD between a point's mirror image and its partner; people's mean has 0.03
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Moves:
    """The fast motion of one clip, pose-free, IOD."""

    params: np.ndarray  # (T, 3) opening, opening squared, width, slow part dropped
    points: np.ndarray  # (T, 478, 3) displacement, slow part dropped


def read_moves(clip: TalkingClip) -> Moves:
    """Return how the mesh of one clip moves as fast as speech."""
    rows = np.arange(len(clip.landmarks))
    canonical = fit_pose(clip.landmarks, person_face(clip.landmarks, rows)).to_canonical(
        clip.landmarks
    )
    measured = measure_canonical(canonical)
    params = np.column_stack([measured[:, 0], measured[:, 0] ** 2, measured[:, 1]])
    sigma = _SLOW_SECONDS * float(clip.fps)
    slow_params, slow_points = (
        gaussian_filter1d(values, sigma, axis=0, mode="nearest") for values in (params, canonical)
    )
    return Moves(params - slow_params, canonical - slow_points)


def mirror_pairs(face: np.ndarray) -> np.ndarray:
    """Return (478,) the mirror partner of each point of a nearly symmetric face (478, 3).

    Points on the middle line are their own partners. Raises ValueError where the face is too
    lopsided to tell.
    """
    cost = np.linalg.norm((face * _MIRROR)[:, None] - face[None], axis=2) ** 2
    partner = np.asarray(linear_sum_assignment(cost)[1])
    is_mutual = (partner[partner] == np.arange(len(face))).all()
    if not is_mutual or cost[np.arange(len(face)), partner].max() > _LOPSIDED**2:
        raise ValueError("the face is too lopsided to pair its points")
    return partner


def fit_basis(moves: Sequence[Moves], partner: np.ndarray) -> np.ndarray:
    """Return the symmetric basis (3, 478, 3) by least squares, every clip with equal weight."""
    moments = sum(move.params.T @ move.params / len(move.params) for move in moves)
    products = sum(
        np.einsum("tk,tlc->klc", move.params, move.points) / len(move.params) for move in moves
    )
    flat = np.asarray(products).reshape(3, -1)
    basis = np.linalg.solve(np.asarray(moments), flat).reshape(3, -1, 3)
    return (basis + basis[:, partner] * _MIRROR) / 2


def fit_mean_face(clips: Sequence[TalkingClip], partner: np.ndarray) -> np.ndarray:
    """Return the symmetric mean (478, 3) of the people's canonical faces, eye corners 1 apart."""
    faces = [person_face(clip.landmarks, np.arange(len(clip.landmarks))) for clip in clips]
    face = np.mean(faces, axis=0)
    return (face + face[partner] * _MIRROR) / 2


def unexplained(move: Moves, basis: np.ndarray, points: np.ndarray) -> float:
    """Return the RMS, IOD, of the picture-plane motion of `points` that the basis leaves over."""
    rest = move.points[:, points] - np.einsum("tk,klc->tlc", move.params, basis[:, points])
    return float(np.sqrt((rest[..., :2] ** 2).mean()))


def roughness(basis: np.ndarray, face: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return (3,) RMS difference of each point's displacement to that of its six neighbours."""
    apart = np.linalg.norm(face[:, None] - face[None], axis=2)
    nearest = np.argsort(apart, axis=1)[:, 1:7]
    uneven = (basis - basis[:, nearest].mean(axis=2))[:, points, :2]
    return np.asarray(np.sqrt((uneven**2).mean(axis=(1, 2))))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the refit and print it beside the bundled one; returns 0, or 2 on unusable clips."""
    options = _read_options(argv)
    try:
        found = collect_clips(list_clips(options.places), options.cache).clips
        others = collect_clips(list_clips(options.held_out), options.cache).clips
    except LipsyncError as error:
        print(error, file=sys.stderr)
        return 2
    names = {clip.name for clip in found}
    held_out = [clip for clip in others if clip.name not in names]
    clips = separate(found, held_out).clips
    partner = mirror_pairs(mean_face())
    basis = fit_basis([read_moves(clip) for clip in clips], partner)
    face = fit_mean_face(clips, partner)
    options.output.mkdir(parents=True, exist_ok=True)
    with np.load(asset_path("mouth_shape.npz")) as stored:
        bundled = stored["basis"].astype(np.float64)
    np.savez_compressed(
        options.output / "mouth_shape.npz",
        basis=basis.astype(np.float32),
        mean_face=face.astype(np.float32),
    )
    moves = [read_moves(clip) for clip in held_out]
    for name, tried in (("still", 0 * basis), ("bundled", bundled), ("refit", basis)):
        rest = [np.mean([unexplained(m, tried, np.array(p)) for m in moves]) for p in _SEEN]
        rough = roughness(tried, face, CONTROL)
        print(f"{name:8} left over, IOD: {np.round(rest, 5)}  roughness: {np.round(rough, 3)}")
    return 0


def _read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Refit the mouth's shape.", allow_abbrev=False)
    parser.add_argument("places", nargs="+", type=Path, metavar="FOLDER", help="talking clips")
    parser.add_argument("-o", "--output", type=Path, default=Path("fitted"), metavar="DIR")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR")
    parser.add_argument(
        "--held-out",
        nargs="+",
        type=Path,
        required=True,
        metavar="PLACE",
        help="clips on which refit and bundled shape are compared; none like them is learnt from",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
