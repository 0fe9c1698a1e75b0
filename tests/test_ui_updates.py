"""What handlers change on the screen, and how often."""

from __future__ import annotations

import time

import gradio as gr
import pytest

from lipsync.ui.updates import JobUpdates, Throttle, idle


def test_a_component_nobody_names_stays_as_it_is() -> None:
    listed = idle("Cancelled.").as_list()
    named = dict(zip(JobUpdates.__dataclass_fields__, listed, strict=True))
    assert named["status"]["value"] == "Cancelled."
    assert named["player"] == gr.skip()


def test_progress_is_due_at_once_then_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    throttle = Throttle(seconds=0.5)
    assert throttle.is_due()
    now[0] += 0.4
    assert not throttle.is_due()
    assert throttle.is_due(at_once=True)
    now[0] += 0.4
    assert not throttle.is_due()
    now[0] += 0.1
    assert throttle.is_due()
