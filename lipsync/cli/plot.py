"""A picture of scores: confidence second by second, and the curve over offsets."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lipsync.errors import OutputError
from lipsync.media.output import check_ending, check_place, output_errors, partial_file
from lipsync.types import SyncScore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDINGS = (".png",)
MOST_ROWS = 100  # clips; what is drawn of more nobody can look at
_ROW_INCHES, _WIDTH_INCHES, _DPI = 2.4, 11.0, 100
_TEAL, _AMBER, _GREY = "#0d9488", "#b45309", "#6b7280"
# matplotlib's own letters are Latin, Greek and Cyrillic; file names know more
_LETTERS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "SimHei")


def check_plot(output: Path, inputs: Sequence[Path], rows: int) -> None:
    """Raise `OutputError` unless a plot of so many rows can be written to `output`.

    It must be none of `inputs`.
    """
    check_place(output, inputs)
    check_ending(output, ENDINGS)
    if rows > MOST_ROWS:
        raise OutputError(
            f"A plot shows {MOST_ROWS} clips at most, not {rows}; name fewer, or leave out --plot."
        )


def draw_scores(scores: Sequence[tuple[str, SyncScore]], output: Path) -> None:
    """Write a PNG with one row per named score, at least one. Raises `OutputError`.

    On the left the confidence of each second, the weakest marked; on the right what the judge found
    at each offset, the one it reports marked.
    """
    from matplotlib import font_manager, rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    here = set(font_manager.get_font_names())
    fonts = [name for name in _LETTERS if name in here]
    # a letter that no font here has is drawn as a box, which says enough
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with rc_context({"font.family": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        size = (_WIDTH_INCHES, _ROW_INCHES * len(scores))
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        rows = figure.subplots(len(scores), 2, squeeze=False, width_ratios=(3, 2))
        for (name, score), (seconds, offsets) in zip(scores, rows, strict=True):
            _draw_seconds(seconds, name, score)
            _draw_offsets(offsets, score)
        with partial_file(output) as partial, output_errors(output):
            figure.savefig(partial, format="png")


def _draw_seconds(axes: Axes, name: str, score: SyncScore) -> None:
    known = [(at, value) for at, value in enumerate(score.per_second) if value is not None]
    worst = min(known, key=lambda one: one[1])[0] if known else None
    colours = [_AMBER if at == worst else _TEAL for at, _ in known]
    places, values = [at + 0.5 for at, _ in known], [value for _, value in known]
    axes.bar(places, values, width=0.9, color=colours)
    axes.axhline(score.confidence, color=_GREY, linewidth=1, linestyle="--")
    axes.set_xlim(0, max(len(score.per_second), 1))
    axes.set_ylim(min([0.0, *values]) * 1.05, max([1.0, score.confidence, *values]) * 1.05)
    axes.set_xlabel("second" if worst is None else f"second (weakest: from {worst} s)")
    axes.set_ylabel(f"confidence\n({score.judge})")
    # a file name is no formula, whatever dollars are in it
    title = f"{name}: {score.confidence:.2f}, {score.verdict}"
    axes.set_title(title, loc="left", fontsize="medium", parse_math=False)


def _draw_offsets(axes: Axes, score: SyncScore) -> None:
    axes.plot(score.curve_offsets, score.curve, color=_TEAL, marker="o", markersize=3)
    axes.axvline(score.offset_frames, color=_AMBER, linewidth=1)
    axes.set_xlabel(f"offset, frames of {float(1000 / score.fps):g} ms (> 0: the sound is early)")
    axes.set_ylabel("correlation" if score.distance is None else "distance")
    title = f"offset {score.offset_frames:+d} frames ({score.offset_ms:+.0f} ms)"
    axes.set_title(title, loc="left", fontsize="medium")
