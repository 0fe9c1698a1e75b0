"""Smoothing over time as a pure function of the whole track.

A row's value depends on its neighbours within the same run only: never on what lies beyond a gap
or a cut, and never on the order or the pieces in which rows are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

REACH = 4.0  # standard deviations at which the Gaussian is cut off
BLOCK = 256  # rows worked on at a time, so that memory does not grow with the track


class Rows(Protocol):
    """An array or anything else of known length that gives rows for a slice."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> np.ndarray: ...


def smooth_track(
    values: Rows,
    present: np.ndarray,
    shots: Sequence[int],
    sigma: float,
    rows: slice | None = None,
) -> np.ndarray:
    """Return `values` (T, ...) smoothed by a Gaussian of `sigma` frames, float32.

    `present` is (T,) bool and `shots` holds the first row of each shot; weights are renormalised at
    the ends of each run. Absent rows are NaN. With `rows` only that stretch is computed and
    returned, bit-identical to the same rows of the whole. `sigma` 0 = no smoothing.
    """
    first, last, _ = (rows or slice(None)).indices(len(values))
    sample = values[0:1]
    result = np.full((max(last - first, 0), *sample.shape[1:]), np.nan, np.float32)
    for start, stop in _runs(present, shots):
        for block in range(max(start, first), min(stop, last), BLOCK):
            end = min(block + BLOCK, stop, last)
            result[block - first : end - first] = _smooth_block(
                values, slice(start, stop), slice(block, end), sigma
            )
    return result


def _runs(present: np.ndarray, shots: Sequence[int]) -> list[tuple[int, int]]:
    padded = np.concatenate([[False], np.asarray(present, bool), [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1]).tolist()
    runs = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        inner = [shot for shot in shots if start < shot < stop]
        runs += list(zip([start, *inner], [*inner, stop], strict=True))
    return runs


def _smooth_block(values: Rows, run: slice, block: slice, sigma: float) -> np.ndarray:
    reach = int(np.ceil(REACH * sigma))
    left, right = max(run.start, block.start - reach), min(run.stop, block.stop + reach)
    known = np.asarray(values[left:right], np.float32)
    if reach == 0:
        return known
    total = np.zeros((block.stop - block.start, *known.shape[1:]), np.float32)
    weights = np.zeros(block.stop - block.start, np.float32)
    # tap by tap, not by a matrix product: the order of additions is then the same for any block
    for tap in range(-reach, reach + 1):
        weight = np.float32(np.exp(-0.5 * (tap / sigma) ** 2))
        a, b = max(block.start + tap, left), min(block.stop + tap, right)
        if a < b:
            into = slice(a - tap - block.start, b - tap - block.start)
            total[into] += weight * known[a - left : b - left]
            weights[into] += weight
    return total / weights.reshape(-1, *[1] * (total.ndim - 1))
