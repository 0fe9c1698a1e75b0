"""Finished jobs, small and made up, for tests of the history."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lipsync.record import make_record
from lipsync.types import Request, Result, Size, SyncScore
from lipsync.ui.choices import Choices
from lipsync.ui.history import Entry, History

REQUEST = Request(Path("clip.mp4"), Path("voice.wav"), Path("out.mp4"))
SCORE = SyncScore("correlate", "Worth a lot.", 0.8149, 0, Fraction(25), "in sync")
RESULT = Result(
    output=REQUEST.output,
    num_frames=30,
    fps=Fraction(25),
    size=Size(90, 160),
    duration=1.2,
    score=SCORE,
    score_reason=None,
    skipped=(),
    timings={},
)
WHOLE = make_record(REQUEST, RESULT)
UNSCORED = make_record(replace(REQUEST, part=(0.0, 3.0)), replace(RESULT, score=None))


def add_job(history: History, visitor: str, folder: Path, result: bytes, **changes: Any) -> Entry:
    """Make the files of a job in `folder` and put them into the history of `visitor`."""
    folder.mkdir(exist_ok=True, parents=True)
    for name in ("clip.mp4", "voice.wav"):
        (folder / name).write_bytes(name.encode())
    (folder / "out.mp4").write_bytes(result)
    given: dict[str, Any] = {
        "result": folder / "out.mp4",
        "clip": folder / "clip.mp4",
        "voice": folder / "voice.wav",
        "thumbnail": np.full((90, 160, 3), (90, 120, 140), np.uint8),
        "record": WHOLE,
        "choices": Choices(preset="draft"),
        "preset": "Draft",
        "clip_name": "holiday.mp4",
    }
    return history.add(visitor, **(given | changes))
