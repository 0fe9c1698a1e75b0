"""The arithmetic after SyncNet's networks, on features with a planted offset."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from golden_folder import Check, Family, largest_error
from golden_recipe import make_input

from lipsync.score.sync import MAX_SHIFT, SyncMeasure, SyncMeter

NUMBER = 1e-3  # absolute
_BATCH = 13  # windows handed over at once: the result must not depend on it
_LENGTH, _WIDTH, _MIDDLE = 120, 1024, slice(30, 90)
_SHORT = 3  # frames by which the short clip is off


def check(family: Family) -> Iterator[Check]:
    """Compare every planted clip."""
    for name, case in family.facts["results"].items():
        vector = f"{family.name}.{name}"
        measure = measure_planted(family.salt, case)
        yield Check(f"{vector}.offset", abs(measure.offset - case["offset"]), 0)
        yield Check(f"{vector}.min_dist", abs(measure.distance - case["min_dist"]), NUMBER)
        yield Check(f"{vector}.conf", abs(measure.confidence - case["conf"]), NUMBER)
        yield from compare_arrays(family, name, measure)


def compare_arrays(
    family: Family, name: str, measure: SyncMeasure, tolerance: float = NUMBER
) -> Iterator[Check]:
    """Compare what was recorded under `name` besides single numbers."""
    arrays = {"curve": measure.curve[::-1], "fconfm": measure.per_window}
    for key, recorded in family.arrays.items():
        kind = key.removeprefix(f"{name}_")
        if kind in arrays:
            ours = arrays[kind]
        elif key != kind and re.fullmatch(r"row\d+", kind):
            ours = measure.distances[int(kind.removeprefix("row"))]
        else:
            continue
        yield Check(f"{family.name}.{key}", largest_error(ours, recorded), tolerance)


def measure_planted(salt: str, case: Mapping[str, Any]) -> SyncMeasure:
    """Stream the features of one planted clip through the published arithmetic."""
    base = make_input("score.base", (_LENGTH, _WIDTH), salt).numpy()
    noise = make_input("score.noise", (_LENGTH, _WIDTH), salt).numpy()
    if "shift_k" in case:
        shift, lips = case["shift_k"], base[_MIDDLE]
        heard = base[_MIDDLE.start + shift : _MIDDLE.stop + shift]
        sounds = heard + np.float32(0.7) * noise[_MIDDLE]
    else:
        lips, sounds = base[: case["frames"]], base[_SHORT : _SHORT + case["frames"]]
    meter = SyncMeter(case.get("vshift", MAX_SHIFT), compat=True)
    for start in range(0, len(lips), _BATCH):
        meter.see(lips[start : start + _BATCH])
        meter.hear(sounds[start : start + _BATCH])
    return meter.finish()
