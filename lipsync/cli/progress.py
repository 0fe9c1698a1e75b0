"""How far a job is, on stderr: one line redrawn on a terminal, a few lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TextIO

from lipsync.types import Progress

STAGES = {
    "probe": "reading the files",
    "wait": "waiting for another process that prepares this clip",
    "check": "reading the clip",
    "copy": "copying the clip",
    "faces": "finding faces",
    "align": "aligning the faces",
    "crops": "cutting the faces out",
    "voice": "listening to the voice",
    "generate": "moving the mouth",
    "score": "judging the result",
    "done": "done",
}

_BAR_WIDTH = 24  # characters
_REDRAW_SECONDS = 0.1
_LOG_SECONDS = 10.0  # between two lines of one stage where nobody watches


class _Step(Protocol):
    """How far something is, in one of several stages."""

    @property
    def stage(self) -> str: ...


class ProgressLine:
    """Draw the progress of one job on `stream`; `close` leaves the cursor on a fresh line.

    `describe` makes one line of a step, without a bar for ``bar=False``; None: of a job's step.
    """

    def __init__(self, stream: TextIO, describe: Callable[..., str] | None = None) -> None:
        self._stream = stream
        self._describe: Callable[..., str] = describe or describe_progress
        self._live = stream.isatty()
        self._stage = ""
        self._shown_at = 0.0
        self._width = 0

    def show(self, progress: _Step) -> None:
        """Draw one step, unless the last drawing is too recent."""
        now = time.monotonic()
        new_stage = progress.stage != self._stage
        pause = _REDRAW_SECONDS if self._live else _LOG_SECONDS
        if not new_stage and now - self._shown_at < pause:
            return
        self._stage, self._shown_at = progress.stage, now
        if self._live:
            text = self._describe(progress)
            # spaces wipe what a longer line left behind
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._stream.write(self._describe(progress, bar=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """End the line that was being redrawn."""
        if self._live and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def describe_progress(progress: Progress, bar: bool = True) -> str:
    """Return one line: stage, how far, time left."""
    words = STAGES.get(progress.stage, progress.stage)
    parts = [words]
    if progress.total > 1 and progress.share > 0 and progress.stage != "done":
        share = progress.share
        parts = [f"{words} {progress.done}/{progress.total}"]
        if bar:
            filled = round(share * _BAR_WIDTH)
            parts.insert(0, "[" + "#" * filled + "-" * (_BAR_WIDTH - filled) + "]")
    if progress.seconds_left is not None and progress.stage != "done":
        parts.append(f"{format_seconds(progress.seconds_left)} left")
    return "  ".join(parts)


def format_seconds(seconds: float) -> str:
    """Return a time as people read it: 42 s, 3 min 05 s, 1 h 20 min."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
