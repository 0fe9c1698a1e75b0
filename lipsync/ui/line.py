"""Who is waiting for the device, in order: read from Gradio's own queue, which decides it."""

from __future__ import annotations

import gradio as gr

DEVICE = "device"  # the concurrency group of everything that works on the one device


def sessions_before(screen: gr.Blocks, session: str) -> list[str] | None:
    """Return the sessions whose turn comes before `session`, the running one first.

    None where `session` is not waiting. Clients of the API stand in the same line.
    """
    # gradio 6.31 tells the browser a place only in its own look, hence the inner attributes
    queue = screen._queue
    line = queue.event_queue_per_concurrency_id.get(DEVICE)
    waiting = [event.session_hash for event in line.queue] if line else []
    if session not in waiting:
        return None
    running = [
        event.session_hash
        for events in queue.active_jobs
        for event in events or []
        if event.concurrency_id == DEVICE
    ]
    return [*running, *waiting[: waiting.index(session)]]
