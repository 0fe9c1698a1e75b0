"""The player: the result, and beside it, on the same frame, what was there before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import gradio as gr

from lipsync.types import Size, Skipped
from lipsync.ui.previews import file_address
from lipsync.ui.widgets import make_widget
from lipsync.ui.words import Words


@dataclass(frozen=True)
class Film:
    """A finished video that the server may hand out."""

    path: Path
    fps: Fraction
    num_frames: int
    size: Size


def make_player(elem_id: str) -> gr.HTML:
    """Return an empty player; it shows what `player_value` returns, and nothing for None.

    Other widgets move it with ``studio.seek(elem_id, seconds)``.
    """
    return make_widget("player", elem_id=elem_id)


def player_value(
    after: Film,
    stem: str,
    words: Words,
    before: Film | None = None,
    skipped: Sequence[Skipped] = (),
    labels: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Return the value of a player that shows `after`, compared with `before` once it is given.

    The two are kept together in time; the shorter one waits at its end. A still is saved as
    ``<stem>-frame-0042.png``, frames counted from 0. Stretches `skipped` are marked. With
    `labels` (for before and after) the two are results of equal standing, and the one that is
    alone on the screen is heard; without, they are named before and after, and `before` is silent.
    """
    return {
        "after": _describe(after),
        "before": None if before is None else _describe(before),
        "stem": stem,
        "labels": labels,
        "skipped": [
            (span.start_seconds, span.end_seconds, words.sentence(span.reason)) for span in skipped
        ],
    }


def _describe(film: Film) -> dict[str, Any]:
    return {
        "src": file_address(film.path),
        "fps": float(film.fps),
        "frames": film.num_frames,
        "width": film.size.width,
        "height": film.size.height,
    }
