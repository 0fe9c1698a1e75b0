"""The landmarks of a whole clip, kept small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_ARRAYS = ("codes", "origin", "step")


class LandmarkStore:
    """A long run of landmarks in a third of the memory: 16-bit codes on a grid per frame.

    Indexing with an int, slice or index array gives float32 px. The step is the frame's extent
    over 65 535, about 0.01 px for a face 600 px wide. Rows never set read as NaN, and so do all
    points but those in `kept`, if given: who needs a few points keeps a long clip in little memory.
    """

    GROWTH = 1024  # rows added at a time; the arrays are enlarged in place, never copied

    def __init__(self, num_rows: int, num_points: int, kept: np.ndarray | None = None) -> None:
        self._num_points = num_points
        self._kept = np.arange(num_points) if kept is None else kept  # (K,) int, their order
        self._codes = np.zeros((num_rows, len(self._kept), 3), np.uint16)
        self._origin = np.full((num_rows, 1, 3), np.nan, np.float32)
        self._step = np.zeros((num_rows, 1, 1), np.float32)
        self._rows: np.ndarray | None = (
            None  # where each row is kept, -1 = nowhere; None = in order
        )
        self._length = num_rows

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> LandmarkStore:
        """Return a store of what `arrays` gave, sharing memory; files may be mapped into it."""
        made = cls(0, arrays["codes"].shape[1])
        made._codes, made._origin, made._step = (arrays[name] for name in _ARRAYS)
        made._length = len(made._codes)
        return made

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is kept, for `of_arrays`: codes (N, L, 3) uint16, origin (N, 1, 3) float32
        and step (N, 1, 1) float32. Only of a store of all points that `select` has not made."""
        assert self._rows is None
        assert len(self._kept) == self._num_points
        return {name: getattr(self, f"_{name}")[: self._length] for name in _ARRAYS}

    @property
    def num_points(self) -> int:
        return self._num_points

    @property
    def places(self) -> np.ndarray:
        """Where each row is kept in the store that it was selected from, (T,) int; -1 = nowhere."""
        return np.arange(self._length) if self._rows is None else self._rows

    def __len__(self) -> int:
        return self._length

    def append(self, points: np.ndarray) -> int:
        """Add a row at the end and return its number; not for a store made by `select`."""
        assert self._rows is None
        if self._length == len(self._codes):
            for name in ("_codes", "_origin", "_step"):
                array = getattr(self, name)
                array.resize((self._length + self.GROWTH, *array.shape[1:]), refcheck=False)
        self._length += 1
        self[self._length - 1] = points
        return self._length - 1

    def select(self, rows: np.ndarray) -> LandmarkStore:
        """Return a store, sharing memory, whose row r is this one's row ``rows[r]``.

        `rows` is (T,) int, -1 = never set. Rows appended to this store later are not in it.
        """
        chosen = object.__new__(LandmarkStore)
        chosen._num_points, chosen._kept = self._num_points, self._kept
        chosen._codes, chosen._origin, chosen._step = self._codes, self._origin, self._step
        rows = np.asarray(rows)
        chosen._rows = rows if self._rows is None else np.where(rows < 0, -1, self._rows[rows])
        chosen._length = len(rows)
        return chosen

    def __setitem__(self, row: int, points: np.ndarray) -> None:
        if self._rows is not None:
            row = int(self._rows[row])
            assert row >= 0
        points = points[self._kept]
        origin = points.min(axis=0)
        step = max(float((points - origin).max()) / 65535.0, 1e-9)
        self._origin[row, 0] = origin
        self._step[row] = step
        self._codes[row] = np.rint((points - origin) / step)

    def __getitem__(self, rows: Any) -> np.ndarray:
        places = np.arange(self._length)[rows] if self._rows is None else self._rows[rows]
        points = self._codes[places].astype(np.float32) * self._step[places] + self._origin[places]
        points[places < 0] = np.nan
        if len(self._kept) == self._num_points:
            return points
        every = np.full((*points.shape[:-2], self._num_points, 3), np.nan, np.float32)
        every[..., self._kept, :] = points
        return every
