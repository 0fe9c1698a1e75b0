"""The panel of the chosen clip on a page of its own, with scans that can be held up."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from served_blocks import serve_blocks

from lipsync.pipeline import LipSyncPipeline
from lipsync.scan import Scan
from lipsync.ui.choices import Selection
from lipsync.ui.clip_panel import (
    ClipScanner,
    connect_clip,
    make_clip_view,
    read_selection,
    write_selection,
)
from lipsync.ui.uploads import make_upload


@dataclass
class Held:
    """A pipeline whose scans wait before the last one while `gate` is closed."""

    pipeline: LipSyncPipeline
    gate: threading.Event = field(default_factory=threading.Event)

    def scan(self, video: Path) -> Generator[Scan, None, None]:
        for scan in self.pipeline.scan(video):
            if scan.share == 1.0:
                assert self.gate.wait(60)
            yield scan


@dataclass(frozen=True)
class Served:
    url: str
    held: Held


@contextmanager
def serve_clip(uploads: Path) -> Iterator[Served]:
    """Serve an upload, the panel of what was uploaded, a button that has a handler read the panel
    into a text box, and one that puts back an earlier selection."""
    held = Held(LipSyncPipeline())
    with pytest.MonkeyPatch.context() as patch:
        # components note the folder when they are made, and hand out nothing from elsewhere
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        with gr.Blocks(analytics_enabled=False) as screen:
            upload = make_upload(elem_id="clip")
            view = make_clip_view()
            read = gr.Button("read", elem_id="read")
            said = gr.Textbox(elem_id="said")
            connect_clip(screen, upload, view, ClipScanner(lambda: held))
            read.click(_say, [upload, view], said, queue=False)
            again = gr.Button("again", elem_id="again")
            again.click(_write_earlier, upload, view, queue=False)
        with serve_blocks(screen) as url:
            yield Served(url, held)
    held.pipeline.close()


def _write_earlier(path: str) -> dict[str, Any]:
    return gr.update(value=write_selection(Selection(0.5, 2.5, (475.0, 140.0, 1.0), 1.5), path))


def _say(path: str, value: Any) -> str:
    chosen = read_selection(value, path)
    return json.dumps([chosen.start, chosen.end, chosen.face, round(chosen.playhead, 2)])
