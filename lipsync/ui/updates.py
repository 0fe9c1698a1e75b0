"""What a job changes on the screen: one update per component, in the order the layout binds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

Update = dict[str, Any]
LOCKED: Update = gr.update(interactive=False)


@dataclass(frozen=True)
class Updates:
    """One update for every component a job touches; None leaves a component as it is."""

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

    def as_list(self) -> list[Any]:
        """Return the updates in the order of the fields."""
        values = (getattr(self, f.name) for f in fields(self))
        return [gr.skip() if value is None else value for value in values]


def starting(status: str) -> Updates:
    """Return the updates right after the click: the old result makes room."""
    return Updates(
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


def working(status: str) -> Updates:
    """Return the updates while a job runs."""
    return Updates(
        status=gr.update(value=status, visible=True),
        generate=gr.update(interactive=False),
        preview=gr.update(interactive=False),
        cancel=gr.update(interactive=True),
        clock=gr.Timer(active=False),
    )


def idle(status: str) -> Updates:
    """Return the updates after a job that gave no result."""
    return Updates(
        status=gr.update(value=status, visible=True),
        generate=gr.update(interactive=True),
        preview=gr.update(interactive=True),
        cancel=gr.update(interactive=False),
        clock=gr.Timer(active=False),
    )


def shown(html: str) -> Update:
    """Return the update of an HTML part that is there while it has something to say."""
    return gr.update(value=html, visible=bool(html))
