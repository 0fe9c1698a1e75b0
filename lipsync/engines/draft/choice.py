"""Which picture lends its mouth to each frame: the frame itself or one kept from another moment.

A shortest path (Viterbi) over the scene: a good likeness of the wanted shape and of the head's
angle, few changes from one picture to another, and a short cross-fade where one happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_OPENING_UNIT = 0.035  # IOD that count as one
_WIDTH_UNIT = 0.05  # IOD
_ANGLE_UNIT = 9.0  # degrees
_TOO_CLOSED = 0.02  # IOD; stretching a closed mouth open shows no teeth, the other way round works
_SWITCH = 1.2  # cost of changing the picture
OWN_DRIFT = 0.15  # small price of the frame's own, ever-changing mouth
_FADE = 0.3  # share of the neighbour in the frames beside a change
OWN = 0  # the state that stands for the frame's own mouth; state k + 1 is reference k


@dataclass(frozen=True)
class Lender:
    """A state and its share in one frame."""

    state: int
    share: float


def likeness_cost(
    wanted: np.ndarray, angles: np.ndarray, shapes: np.ndarray, shape_angles: np.ndarray
) -> np.ndarray:
    """Return (T, K) cost of lending each of K mouths to each of T frames.

    `wanted` (T, 2) and `shapes` (K, 2) are opening and width in IOD; angles (·, 3) in degrees.
    """
    opening = (wanted[:, None, 0] - shapes[None, :, 0]) / _OPENING_UNIT
    width = (wanted[:, None, 1] - shapes[None, :, 1]) / _WIDTH_UNIT
    turned = (angles[:, None, :2] - shape_angles[None, :, :2]) / _ANGLE_UNIT
    closed = np.maximum(wanted[:, None, 0] - shapes[None, :, 0], 0) / _TOO_CLOSED
    return opening**2 + width**2 + (turned**2).sum(axis=2) + closed**2


def choose_lenders(cost: np.ndarray) -> Iterator[tuple[Lender, ...]]:
    """Yield, for each frame, the one or two states that lend; `cost` is (T, states)."""
    total = len(cost)
    backward = np.zeros(cost.shape, np.int16)
    reach = cost[0]
    for t in range(1, total):
        best = int(reach.argmin())
        stay = reach <= reach[best] + _SWITCH
        backward[t] = np.where(stay, np.arange(cost.shape[1]), best)
        reach = cost[t] + np.where(stay, reach, reach[best] + _SWITCH)
    path = np.zeros(total, np.int64)
    path[-1] = reach.argmin()
    for t in range(total - 1, 0, -1):
        path[t - 1] = backward[t, path[t]]
    for t in range(total):
        here = int(path[t])
        beside = next(
            (int(path[n]) for n in (t - 1, t + 1) if 0 <= n < total and path[n] != here), None
        )
        if beside is None:
            yield (Lender(here, 1.0),)
        else:
            yield (Lender(here, 1 - _FADE), Lender(beside, _FADE))
