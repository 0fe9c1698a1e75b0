"""What the screen says, as HTML: pure functions from values to text, every value escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np

from lipsync.types import Progress, Result, SyncScore

# stage -> (words for people, where it starts on the whole bar); shares measured on short clips
STAGES: dict[str, tuple[str, float]] = {
    "probe": ("Reading the files", 0.0),
    "faces": ("Looking for the face", 0.02),
    "voice": ("Listening to the voice", 0.27),
    "generate": ("Painting the mouth", 0.32),
    "score": ("Checking the sync", 0.87),
    "done": ("Done", 1.0),
}

_PREVIEW_QUALITY = 80  # of a JPEG that is replaced several times a second


def idle_card() -> str:
    """Return what stands in place of a result before the first job."""
    return (
        '<div class="card stage"><p class="lead">Your result appears here.</p>'
        "<ol><li>Choose a clip or a photo with a face.</li>"
        "<li>Choose the voice it should speak.</li>"
        "<li>Press <b>Generate</b>. The example is ready to try.</li></ol></div>"
    )


def waiting_card() -> str:
    """Return what is shown between the click and the first step of a job."""
    return _progress_html("Waiting for its turn", 0.0, "", None)


def progress_card(progress: Progress) -> str:
    """Return stage, bar, time left and preview frame of a running job."""
    left = (
        "" if progress.seconds_left is None else f"about {say_seconds(progress.seconds_left)} left"
    )
    words = STAGES[progress.stage][0]
    return _progress_html(words, overall_share(progress), left, progress.preview)


def overall_share(progress: Progress) -> float:
    """Return how much of the whole job is done, in [0, 1]; it never falls from stage to stage."""
    names = list(STAGES)
    place = names.index(progress.stage)
    start = STAGES[progress.stage][1]
    stop = STAGES[names[place + 1]][1] if place + 1 < len(names) else 1.0
    within = min(1.0, progress.done / progress.total) if progress.total else 0.0
    return start + (stop - start) * within


def cancelled_card() -> str:
    """Return the words after a cancelled job."""
    return '<div class="card stage" role="status"><p>Cancelled. Nothing was kept.</p></div>'


def error_card(sentence: str) -> str:
    """Return one sentence of trouble, seen and read aloud."""
    return f'<div class="card trouble" role="alert"><p>{escape(sentence)}</p></div>'


def result_card(result: Result) -> str:
    """Return score, facts, skipped stretches and notes of a finished job."""
    parts = [_score_html(result.score) if result.score else _no_score_html(result.score_reason)]
    if result.skipped:
        rows = "".join(
            f"<li><b>{say_clock(span.start_seconds)} to {say_clock(span.end_seconds)}</b> "
            f"{escape(span.reason)}</li>"
            for span in result.skipped
        )
        parts.append(f'<div class="skipped"><h4>Left as it was</h4><ul>{rows}</ul></div>')
    if result.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
        parts.append(f'<ul class="notes">{notes}</ul>')
    facts = (
        f"{result.size.width} × {result.size.height} · {say_rate(float(result.fps))} · "
        f"{say_seconds(result.duration)} · made in {say_seconds(sum(result.timings.values()))}"
    )
    parts.append(f'<p class="facts">{facts}</p>')
    return f'<div class="card" role="status">{"".join(parts)}</div>'


def problems_card(problems: Sequence[str]) -> str:
    """Return the preset files that were left out, or nothing."""
    rows = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<div class="card trouble"><ul>{rows}</ul></div>' if problems else ""


def preset_sentence(sentence: str) -> str:
    """Return the sentence under the preset choice."""
    return f'<p class="hint">{escape(sentence)}</p>'


def say_seconds(seconds: float) -> str:
    """Return a length of time as people say it: ``4.2 s``, ``75 s`` becomes ``1 min 15 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{whole} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def say_clock(seconds: float) -> str:
    """Return a moment in a clip: ``0:03.2``."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def say_rate(fps: float) -> str:
    """Return a frame rate without needless digits: ``25 fps``, ``29.97 fps``."""
    return f"{fps:.2f}".rstrip("0").rstrip(".") + " fps"


def picture_url(picture: np.ndarray) -> str:
    """Return a (h, w, 3) uint8 RGB picture as a JPEG in a ``data:`` address, so no file is left."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=_PREVIEW_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _progress_html(words: str, share: float, left: str, preview: np.ndarray | None) -> str:
    percent = round(100 * share)
    image = ""
    if preview is not None:
        image = f'<img src="{picture_url(preview)}" alt="The frame being worked on">'
    return (
        f'<div class="card progress">{image}'
        f'<div class="line" role="status"><span class="stage">{words}</span>'
        f'<span class="left">{left}</span></div>'
        f'<div class="bar" role="progressbar" aria-label="{words}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}">'
        f'<i style="width:{percent}%"></i></div></div>'
    )


def _score_html(score: SyncScore) -> str:
    return (
        '<div class="score"><div class="number"><span data-testid="confidence">'
        f"{score.confidence:.2f}</span><small>sync confidence</small></div>"
        f'<div><p class="lead">{escape(score.verdict[:1].upper() + score.verdict[1:])}</p>'
        f'<p class="facts" data-testid="offset">{_say_offset(score)}</p></div></div>'
        f'<p class="facts">Judged by <b>{escape(score.judge)}</b>. {escape(score.worth)}</p>'
    )


def _say_offset(score: SyncScore) -> str:
    if score.offset_frames == 0:
        return "0 ms: sound and lips start together"
    first = "the sound comes first" if score.offset_frames > 0 else "the lips come first"
    return f"{score.offset_ms:+.0f} ms: {first}"


def _no_score_html(reason: str | None) -> str:
    why = escape(reason) if reason else "no judge was asked."
    return f'<p class="lead">Sync not measured</p><p class="facts">{why}</p>'
