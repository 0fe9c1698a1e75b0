"""One recorded family of golden vectors: what was asked (JSON) and what came out (NPZ).

And what a check of it reports: how far off each vector is, or why it was left out.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Check:
    """One vector compared with what was recorded."""

    vector: str
    error: float  # the largest, in the vector's own unit; NaN is a miss
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is a number and small enough."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        mark = "ok  " if self.passed else "MISS"
        return f"{mark} {self.vector}: largest error {self.error:.3g}, tolerance {self.tolerance:g}"


@dataclass(frozen=True)
class Skip:
    """One vector that was not compared, and why."""

    vector: str
    reason: str

    def __str__(self) -> str:
        return f"skip {self.vector}: {self.reason}"


@dataclass(frozen=True)
class Family:
    """The files of one family, NAME.json and, where there are arrays, NAME.npz beside it."""

    path: Path  # of the JSON
    clips: Path  # folder with the films and voices that the JSON names

    @property
    def name(self) -> str:
        """The files' name without its ending."""
        return self.path.stem

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The JSON: configs, salt, sizes, seeds, and outcomes that are single numbers.

        Empty where the family has arrays only.
        """
        if not self.path.exists():
            return {}
        facts: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return facts

    @property
    def salt(self) -> str:
        """What was put before every name when weights and inputs were drawn.

        A family that does not say has the salt of its folder's others.
        """
        for path in (self.path, *sorted(self.path.parent.glob("*.json"))):
            facts = self.facts if path == self.path else json.loads(path.read_text("utf-8"))
            if isinstance(facts, dict) and "salt" in facts:
                return str(facts["salt"])
        return ""

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Every recorded array by its key."""
        with np.load(self.path.with_suffix(".npz")) as stored:
            return dict(stored)

    def pictures(self, key: str) -> list[np.ndarray]:
        """Decode the PNG files kept end to end under `key`: each (H, W[, 3]) uint8, RGB."""
        ends = np.cumsum(self.arrays[f"{key}_len"])
        parts = np.split(self.arrays[key], ends[:-1])
        return [np.asarray(Image.open(io.BytesIO(part.tobytes()))) for part in parts]


def largest_error(found: np.ndarray, recorded: np.ndarray) -> float:
    """Return the largest absolute difference: NaN if one is, infinite where the shapes differ."""
    if found.shape != recorded.shape:
        return float("inf")
    return float(np.abs(found.astype(np.float64) - recorded.astype(np.float64)).max(initial=0.0))
