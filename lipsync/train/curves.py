"""Curves of a training run: a CSV that grows row by row, and a picture of it.

    python -m lipsync.train.curves runs/wav2lip/wav2lip.pth -o curves.png

A run keeps two beside its checkpoint: ``wav2lip.train.csv``, a row per step, and
``wav2lip.val.csv``, a row per look at the fixed validation windows.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from lipsync.errors import InputError, LipsyncError
from lipsync.media.output import check_ending, check_place, output_errors, partial_file

KINDS = ("train", "val")
_FIXED = ("step", "seconds")  # the first columns of every curve
_WIDTH_INCHES, _HEIGHT_INCHES, _DPI = 5.0, 3.2, 110
_TEAL, _PALE = "#0d9488", "#9ca3af"
_SMOOTH = 50  # points that the training's own, noisy losses are drawn as


class Curve:
    """A CSV file whose rows are of rising steps; numbers stand as exactly as float32 has them."""

    def __init__(self, path: Path, columns: Sequence[str], last_step: int) -> None:
        """Open the curve at `path` after `last_step`.

        Rows of later steps, which a run wrote after its last checkpoint, are dropped: the run
        will write them again. Raises OutputError where it cannot be written, InputError for a file
        with other columns.
        """
        header = [*_FIXED, *columns]
        rows = [row for row in _rows_of(path, header) if int(row["step"]) <= last_step]
        with output_errors(path):
            with partial_file(path) as partial, partial.open("w", newline="") as file:
                kept = csv.DictWriter(file, header)
                kept.writeheader()
                kept.writerows(rows)
            self._file: TextIO = path.open("a", newline="")
        self._path = path
        self._writer = csv.DictWriter(self._file, header)

    def add(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Write a row; columns without a value stay empty."""
        numbers = {name: f"{value:.9g}" for name, value in values.items()}
        with output_errors(self._path):
            self._writer.writerow({"step": step, "seconds": f"{seconds:.2f}", **numbers})
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def curve_path(checkpoint: Path, kind: str) -> Path:
    """Return where the curve of a kind lies, beside the checkpoint of its run."""
    return checkpoint.with_name(f"{checkpoint.stem}.{kind}.csv")


def read_curve(path: Path) -> dict[str, np.ndarray]:
    """Return column -> (N,) float64, NaN where nothing was measured. Raises InputError."""
    rows = _rows_of(path)
    if not rows:
        raise InputError(f"There is no curve at {path}; name the checkpoint of a run beside it.")
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def draw_curves(checkpoint: Path, output: Path) -> None:
    """Write a PNG of a run's losses over its minutes: validation dark, training pale.

    Raises InputError where the run has no curves, OutputError where `output` cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    learnt, examined = (read_curve(curve_path(checkpoint, kind)) for kind in KINDS)
    names = [name for name in examined if name not in _FIXED]
    size = (_WIDTH_INCHES * len(names), _HEIGHT_INCHES)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        if name in learnt:
            minutes, means = _thinned(learnt["seconds"] / 60, learnt[name])
            axes.plot(minutes, means, color=_PALE, linewidth=1, label="training windows")
        axes.plot(
            examined["seconds"] / 60,
            examined[name],
            color=_TEAL,
            marker="o",
            markersize=3,
            label="held out",
        )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes")
        axes.set_title(f"{name}: {examined[name][0]:.3g} to {examined[name][-1]:.3g}", loc="left")
        axes.legend(frameon=False)
    with partial_file(output) as partial, output_errors(output):
        figure.savefig(partial, format="png")


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the curves of one run; returns 0, or 2 where there are none."""
    parser = argparse.ArgumentParser(description="Draw a training run.", allow_abbrev=False)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png")
    options = parser.parse_args(argv)
    try:
        check_place(options.output)
        check_ending(options.output, (".png",))
        draw_curves(options.checkpoint, options.output)
    except LipsyncError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _rows_of(path: Path, header: Sequence[str] | None = None) -> list[dict[str, str]]:
    """Return the whole rows of a file, none where there is no file; a cut last row is dropped."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if header is not None and list(reader.fieldnames or ()) != list(header):
            raise InputError(f"{path} is the curve of another kind of run; move it away.")
        return [row for row in reader if None not in row.values()]


def _thinned(minutes: np.ndarray, values: np.ndarray) -> tuple[list[float], list[float]]:
    """Return at most `_SMOOTH` means of neighbouring values that were measured."""
    known = np.isfinite(values)
    count = min(_SMOOTH, int(known.sum()))
    if not count:
        return [], []
    parts = (np.array_split(series[known], count) for series in (minutes, values))
    times, means = ([float(part.mean()) for part in series] for series in parts)
    return times, means


if __name__ == "__main__":
    sys.exit(main())
