"""What handlers change on the screen: one update per component, in the order the layout binds."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from typing import Any, cast

import gradio as gr

Update = dict[str, Any]
LOCKED: Update = gr.update(interactive=False)

_UPDATE_SECONDS = 0.2  # more often than five times a second only costs bandwidth


class Updates:
    """One update for each of some components, a dataclass with a field for each of them.

    None leaves a component as it is.
    """

    def as_list(self) -> list[Any]:
        """Return the updates in the order of the fields."""
        values = (getattr(self, one.name) for one in fields(cast(Any, self)))
        return [gr.skip() if value is None else value for value in values]


@dataclass(frozen=True)
class JobUpdates(Updates):
    """One update for every component a job touches."""

    status: Update | None = None
    player: Update | None = None
    score: Update | None = None
    facts: Update | None = None
    extras: Update | None = None  # a quiet line: what is still being made for the result
    files: Update | None = None  # the row of downloads
    download: Update | None = None
    record: Update | None = None
    make_both: Update | None = None
    both: Update | None = None
    again: Update | None = None
    generate: Update | None = None
    preview: Update | None = None
    cancel: Update | None = None
    clock: gr.Timer | None = None  # the timer that asks for the place in the queue
    shown: Update | str | None = None  # id of the history entry on the stage


class Throttle:
    """Keeps progress from being shown more often than anybody can see."""

    def __init__(self, seconds: float = _UPDATE_SECONDS) -> None:
        """Progress is due at once, then `seconds` after it was shown last."""
        self._seconds = seconds
        self._shown_at = -math.inf

    def is_due(self, at_once: bool = False) -> bool:
        """Return whether to show progress now, in any case where it has to be `at_once`."""
        now = time.monotonic()
        is_due = at_once or now >= self._shown_at + self._seconds
        if is_due:
            self._shown_at = now
        return is_due


def starting(status: str) -> JobUpdates:
    """Return the updates right after the click: the old result makes room."""
    return JobUpdates(
        status=gr.update(value=status, visible=True),
        player=gr.update(value=None, visible=False),
        score=gr.update(value="", visible=False),
        facts=gr.update(value="", visible=False),
        extras=gr.update(value="", visible=False),
        files=gr.update(visible=False),
        again=gr.update(visible=False),
        generate=gr.update(interactive=False),
        preview=gr.update(interactive=False),
        cancel=gr.update(interactive=True),
        clock=gr.Timer(active=True),
    )


def working(status: str) -> JobUpdates:
    """Return the updates while a job runs."""
    return _between(status, is_working=True)


def idle(status: str) -> JobUpdates:
    """Return the updates after a job that gave no result."""
    return _between(status, is_working=False)


def _between(status: str, *, is_working: bool) -> JobUpdates:
    return JobUpdates(
        status=gr.update(value=status, visible=True),
        generate=gr.update(interactive=not is_working),
        preview=gr.update(interactive=not is_working),
        cancel=gr.update(interactive=is_working),
        clock=gr.Timer(active=False),
    )


def shown(html: str) -> Update:
    """Return the update of an HTML part that is there while it has something to say."""
    return gr.update(value=html, visible=bool(html))
