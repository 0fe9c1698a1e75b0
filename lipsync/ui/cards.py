"""What the screen says about a job, as HTML: pure functions from values to text, all escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from lipsync.types import Progress
from lipsync.ui.words import Words, label

# where each stage starts on the whole bar; shares measured on short clips
STAGES = {"probe": 0.0, "faces": 0.02, "voice": 0.27, "generate": 0.32, "score": 0.87, "done": 1.0}

_PREVIEW_QUALITY = 80  # of a JPEG that is replaced several times a second


def idle_card() -> str:
    """Return what stands in place of a result before the first job, for every language."""
    return f'<div class="card stage"><p class="idle">{label("run.idle")}</p></div>'


def asked_card(words: Words) -> str:
    """Return what is shown between the click and the server's first word on it."""
    return _progress_html(words, words("run.asked"), 0.0, "", None)


def waiting_card(words: Words, num_before: int, seconds: float | None) -> str:
    """Return the place in the queue and, where it can be told, the wait in seconds."""
    facts = []
    if num_before:
        facts.append(words("run.waiting-place", count=num_before))
    if seconds is not None:
        facts.append(words("run.waiting-time", time=say_wait(words, seconds)))
    return _progress_html(words, words("run.waiting"), 0.0, " · ".join(facts), None)


def progress_card(words: Words, progress: Progress) -> str:
    """Return stage, bar, time left and preview frame of a running job."""
    left = ""
    if progress.seconds_left is not None:
        left = words("run.left", time=say_wait(words, progress.seconds_left))
    stage = words(f"run.stage-{progress.stage}")
    return _progress_html(words, stage, overall_share(progress), left, progress.preview)


def overall_share(progress: Progress, stages: Mapping[str, float] = STAGES) -> float:
    """Return how much of the whole work is done, in [0, 1]; it never falls from stage to stage.

    `stages` are those of the work, in order, with the share at which each of them begins.
    """
    names = list(stages)
    place = names.index(progress.stage)
    start = stages[progress.stage]
    stop = stages[names[place + 1]] if place + 1 < len(names) else 1.0
    within = progress.share
    return start + (stop - start) * within


def progress_bar(words: Words, stage: str, share: float, left: str) -> str:
    """Return a bar of which `share`, in [0, 1], is done, below what is being done and how long it
    will still take, both in words."""
    percent = round(100 * share)
    return (
        f'<div class="line"><span class="stage" role="status"><bdi>{escape(stage)}</bdi></span>'
        f'<span class="left">{escape(left)}</span></div>'
        f'<div class="bar" role="progressbar" aria-label="{escape(words("run.bar"))}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        f'aria-valuetext="{escape(stage)}, {percent} %">'
        f'<i style="width:{percent}%"></i></div>'
    )


def low_card(words: Words, line: str, share: float, left: str) -> str:
    """Return a card that holds a `progress_bar` and nothing else."""
    return f'<div class="card low">{progress_bar(words, line, share, left)}</div>'


def sentence_card(sentence: str) -> str:
    """Return one plain sentence in place of a result, such as after a cancelled job."""
    return f'<div class="card stage" role="status"><p>{escape(sentence)}</p></div>'


def error_card(sentence: str) -> str:
    """Return one sentence of trouble, seen and read aloud."""
    return f'<div class="card trouble" role="alert"><p>{escape(sentence)}</p></div>'


def quiet_line(sentence: str) -> str:
    """Return a quiet line under a result: what is still being made for it."""
    return f'<p class="hint" role="status">{escape(sentence)}</p>'


def facts_card(words: Words, record: Mapping[str, Any]) -> str:
    """Return what a finished job is, what it left as it was, and its notes, from its record."""
    parts = []
    if record["skipped"]:
        rows = "".join(
            f"<li><b>{escape(_say_span(words, span))}</b> "
            f"{escape(words.sentence(span['reason']))}</li>"
            for span in record["skipped"]
        )
        parts.append(f'<div class="skipped"><h3>{words("run.skipped")}</h3><ul>{rows}</ul></div>')
    notes = [words.sentence(note) for note in record["notes"]]
    if notes:
        parts.append(f'<ul class="notes">{"".join(f"<li>{escape(n)}</li>" for n in notes)}</ul>')
    facts = words(
        "run.facts",
        width=record["size"]["width"],
        height=record["size"]["height"],
        rate=say_rate(record["fps"]),
        length=say_seconds(words, record["duration_seconds"]),
        time=say_seconds(words, sum(record["timings_seconds"].values())),
    )
    parts.append(f'<p class="facts">{escape(facts)}</p>')
    return f'<div class="card facts-card">{"".join(parts)}</div>'


def say_seconds(words: Words, seconds: float) -> str:
    """Return a length of time as people say it: ``4.2 s``, ``75 s`` becomes ``1 min 15 s``."""
    if seconds < 10:
        return words("run.seconds", count=f"{seconds:.1f}")
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return words("run.seconds", count=whole)
    if minutes < 60:
        return words("run.minutes", minutes=minutes, seconds=rest)
    return words("run.hours", hours=minutes // 60, minutes=minutes % 60)


def say_wait(words: Words, seconds: float) -> str:
    """Return a wait no more exactly than anybody knows it: ``1 s``, ``12 s``, ``35 s``, minutes."""
    whole = round_wait(seconds)
    return words("run.seconds", count=whole) if whole < 60 else say_seconds(words, whole)


def round_wait(seconds: float) -> int:
    """Return a time to come in steps of 1 s, from 15 s on of 5 s; at least 1."""
    step = 1 if seconds < 15 else 5
    return max(1, step * round(seconds / step))


def say_clock(seconds: float) -> str:
    """Return a moment in a clip: ``0:03.2``."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def say_rate(fps: float) -> str:
    """Return frames per second without needless digits: ``25``, ``29.97``."""
    return f"{fps:.2f}".rstrip("0").rstrip(".")


def picture_url(picture: np.ndarray) -> str:
    """Return a (h, w, 3) uint8 RGB picture as a JPEG in a ``data:`` address, so no file is left."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(picture)).decode("ascii")


def encode_jpeg(picture: np.ndarray) -> bytes:
    """Return a (h, w, 3) uint8 RGB picture as a JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=_PREVIEW_QUALITY)
    return buffer.getvalue()


def _say_span(words: Words, span: Mapping[str, Any]) -> str:
    start, end = say_clock(span["start_seconds"]), say_clock(span["end_seconds"])
    return words("run.span", start=start, end=end)


def _progress_html(
    words: Words, stage: str, share: float, left: str, preview: np.ndarray | None
) -> str:
    image = ""
    if preview is not None:
        image = f'<img src="{picture_url(preview)}" alt="{escape(words("run.working-frame"))}">'
    return f'<div class="card progress">{image}{progress_bar(words, stage, share, left)}</div>'
