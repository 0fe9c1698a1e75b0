"""What tests of both recipes ask of a run: was it stopped without a trace?"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lipsync.nn.checkpoint import read_file


def read_rows(checkpoint: Path, kind: str) -> list[dict[str, str]]:
    """Return the rows of a run's curve, but for the seconds they took."""
    with checkpoint.with_name(f"{checkpoint.stem}.{kind}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def flatten(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of nested dicts and lists with its path."""
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in items:
            yield from flatten(value, f"{name}/{key}")
    else:
        yield name, state


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of all that differs between two checkpoints, to the bit; not the seconds."""
    ours, theirs = (dict(flatten(read_file(path))) for path in (one, other))
    assert ours.keys() == theirs.keys()
    return [name for name in ours if name != "/seconds" and not _same(ours[name], theirs[name])]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return bool(one == other)
