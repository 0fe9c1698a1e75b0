"""What is known of the chosen clip before a job is asked for, and what is chosen in it.

The panel is one widget with three properties: ``clip`` (facts and poster, shown at once), ``scan``
(faces and stretches, growing while the clip is looked through) and its value, the visitor's own
selection, which nothing here overwrites.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.events import Dependency

from lipsync.media.probe import Limits, probe_clip
from lipsync.scan import Scan
from lipsync.types import Clip
from lipsync.ui import cards
from lipsync.ui.choices import Selection
from lipsync.ui.events import AT_ONCE, QUIET
from lipsync.ui.jobs import session_of
from lipsync.ui.numbers import is_number
from lipsync.ui.previews import file_address, first_picture
from lipsync.ui.resident import Pipeline
from lipsync.ui.trouble import PlainWords
from lipsync.ui.widgets import make_widget
from lipsync.ui.words import Words, words_for

_NO_CLIP = {"id": ""}
_MAX_SECONDS = 1e6  # nothing that is uploaded is longer
_MAX_PX = 1e5
_MOST_SESSIONS = 10_000  # as many as Gradio keeps the state of; a forged one never leaves


def make_clip_view(elem_id: str = "clip-view") -> gr.HTML:
    """Return the panel, empty; its value is what `read_selection` takes."""
    return make_widget("clip", None, elem_id=elem_id, clip=_NO_CLIP, scan=None)


class ClipScanner:
    """Looks through what visitors upload, for each of them the newest clip only."""

    def __init__(self, get_pipeline: Callable[[], Pipeline], limits: Limits | None = None) -> None:
        self._get_pipeline = get_pipeline
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._newest: dict[str, str] = {}  # session -> id of the clip it shows

    def show(self, path: str | None, request: gr.Request) -> dict[str, Any]:
        """Return the panel's update with facts and poster of an upload, or why it cannot be used;
        the scan of the clip shown before ends soon."""
        self._note(session_of(request), path)
        if path is None:
            return gr.update(clip=_NO_CLIP, scan=None)
        with PlainWords(words_for(request)) as trouble:
            clip = probe_clip(Path(path), self._limits)
            return gr.update(clip=_describe_clip(clip, path), scan=None)
        return gr.update(clip={"id": _clip_id(path), "error": trouble.sentence}, scan=None)

    def scan(self, path: str | None, request: gr.Request) -> Iterator[dict[str, Any]]:
        """Yield the panel's updates while the clip is looked through.

        Ends early when the visitor has chosen another clip or left.
        """
        session, name, words = session_of(request), _clip_id(path), words_for(request)
        if path is None or self._newest.get(session) != name:
            return
        with PlainWords(words) as trouble, closing(self._get_pipeline().scan(Path(path))) as scans:
            for scan in scans:
                if self._newest.get(session) != name:
                    return
                yield gr.update(scan=_describe_scan(scan, name, words))
        if trouble.sentence is not None:
            yield gr.update(clip={"id": name, "error": trouble.sentence}, scan=None)

    def leave(self, request: gr.Request) -> None:
        """End the scan of a visitor who closed the page."""
        self._note(session_of(request), None)

    def _note(self, session: str, path: str | None) -> None:
        with self._lock:
            self._newest.pop(session, None)
            if path is not None:
                self._newest[session] = _clip_id(path)  # behind all others
            while len(self._newest) > _MOST_SESSIONS:
                del self._newest[next(iter(self._newest))]


def connect_clip(
    screen: gr.Blocks, field: gr.File, view: gr.HTML, scanner: ClipScanner
) -> Dependency:
    """Let `view` follow the upload in `field`; scans wait for each other, never for a job.

    Returns the scan, so that ``.then(…)`` can follow its end.
    """
    # "multiple": a new clip is shown at once although the scan of the last one has not ended yet
    scanned = field.change(scanner.show, field, view, trigger_mode="multiple", **AT_ONCE).then(
        scanner.scan,
        field,
        view,
        concurrency_limit=1,
        concurrency_id="scan",
        trigger_mode="multiple",
        **QUIET,
    )
    screen.unload(scanner.leave)
    return scanned


def read_selection(value: Any, clip: str | None = None) -> Selection:
    """Return what was chosen in the panel; what is wrong or forged in `value` counts as not chosen.

    Where `clip`, the path of the upload, is given, a selection made in another clip does not count.
    """
    if not isinstance(value, dict) or (clip is not None and value.get("clip") != _clip_id(clip)):
        return Selection()
    start = _seconds(value.get("start"))
    end = _seconds(value.get("end"))
    if end is not None and end <= (start or 0.0):
        start = end = None
    return Selection(start, end, _face(value.get("face")), _seconds(value.get("playhead")) or 0.0)


def write_selection(selection: Selection, clip: str) -> dict[str, Any]:
    """Return the panel's value for a selection in the upload at path `clip`."""
    return {
        "clip": _clip_id(clip),
        "start": selection.start,
        "end": selection.end,
        "face": None if selection.face is None else list(selection.face),
        "playhead": selection.playhead,
    }


def _seconds(value: Any) -> float | None:
    return float(value) if is_number(value) and 0 <= value <= _MAX_SECONDS else None


def _face(value: Any) -> tuple[float, float, float] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return None
    x, y, second = value
    if not (is_number(x) and is_number(y) and abs(x) <= _MAX_PX and abs(y) <= _MAX_PX):
        return None
    seconds = _seconds(second)
    return None if seconds is None else (float(x), float(y), seconds)


def _clip_id(path: str | None) -> str:
    """Return what tells one upload from another in the browser, without its path."""
    return hashlib.sha256(path.encode()).hexdigest()[:16] if path is not None else ""


def _describe_clip(clip: Clip, path: str) -> dict[str, Any]:
    return {
        "id": _clip_id(path),
        "url": file_address(path),
        "poster": cards.picture_url(first_picture(clip)),
        "still": clip.is_still,
        "width": clip.size.width,
        "height": clip.size.height,
        "rate": cards.say_rate(float(clip.fps)),
        "step": 1 / float(clip.fps),
        "duration": clip.duration,
    }


def _describe_scan(scan: Scan, name: str, words: Words) -> dict[str, Any]:
    return {
        "id": name,
        "share": scan.share,
        "spans": [[_short(s.start_seconds), _short(s.end_seconds), s.kind] for s in scan.spans],
        "cuts": [_short(cut) for cut in scan.cuts],
        "faces": [
            {
                "seconds": _short(face.seconds),
                "box": _box(face.box),
                "picture": cards.picture_url(face.thumbnail),
            }
            for face in scan.faces
        ],
        "sightings": [
            [
                _short(sighting.seconds),
                -1 if sighting.face is None else sighting.face,
                *_box(sighting.box),
            ]
            for sighting in scan.sightings
        ],
        "trouble": None if scan.trouble is None else words.sentence(scan.trouble),
    }


def _box(box: np.ndarray) -> list[float]:
    return [round(float(edge), 1) for edge in box]


def _short(seconds: float) -> float:
    return round(seconds, 3)
