"""The tab that scores clips: its components, and which event goes to which handler."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from lipsync.ui.check import PLAYER_ID, Checker
from lipsync.ui.events import AT_ONCE, ON_DEVICE
from lipsync.ui.player import make_player
from lipsync.ui.uploads import make_upload
from lipsync.ui.widgets import make_widget
from lipsync.ui.words import label

_KINDS = ["video", ".mkv", ".avi", ".mov", ".mp4", ".webm", ".mpg"]
_SHOW_ROW = '() => { studio.reveal("#check-opened"); return []; }'


@dataclass(frozen=True)
class CheckTab:
    """The components of the tab."""

    clips: gr.File
    check: gr.Button
    cancel: gr.Button
    status: gr.HTML
    table: gr.HTML
    rows: gr.State  # list[Row], kept by the server
    opened: gr.Column
    heading: gr.HTML
    player: gr.HTML
    card: gr.HTML


def lay_out_check() -> CheckTab:
    """Put the components into the surrounding tab or page."""
    gr.HTML(f'<p class="hint">{label("check.lead")}</p>')
    clips = make_upload(
        multiple=True,
        label=label("check.clips"),
        file_types=_KINDS,
        height=150,
        elem_id="check-clips",
    )
    with gr.Row(elem_id="check-buttons"):
        check = gr.Button(label("check.check"), variant="primary", min_width=120, elem_id="check")
        cancel = gr.Button(
            label("check.cancel"), interactive=False, min_width=120, elem_id="check-cancel"
        )
    status = gr.HTML(elem_id="check-status")
    table = make_widget(
        "check", None, elem_id="check-table", rows=[], thumbnails=[], summary="", csv=""
    )
    with gr.Column(visible=False, elem_id="check-opened") as opened:
        heading = gr.HTML()
        with gr.Row(equal_height=False):
            with gr.Column(min_width=300):
                player = make_player(PLAYER_ID)
            with gr.Column(min_width=300):
                card = gr.HTML(elem_id="check-card")
    rows = gr.State([])
    return CheckTab(clips, check, cancel, status, table, rows, opened, heading, player, card)


def connect_check(screen: gr.Blocks, tab: CheckTab, checker: Checker) -> None:
    """Send the tab's events to `checker`; `screen` is the page, whose closing stops a check."""
    outputs = [tab.status, tab.table, tab.rows, tab.check, tab.cancel, tab.opened]
    tab.clips.change(checker.explain, tab.clips, tab.status, **AT_ONCE)
    heard = tab.check.click(checker.explain, tab.clips, tab.status, **AT_ONCE).then(
        checker.announce, tab.clips, outputs, **AT_ONCE
    )
    running = heard.success(checker.check, tab.clips, outputs, **ON_DEVICE)
    tab.cancel.click(checker.stop, cancels=[running], **AT_ONCE).then(
        checker.tell_stopped, tab.rows, outputs, **AT_ONCE
    )
    tab.table.input(
        checker.open_row,
        [tab.table, tab.rows],
        [tab.opened, tab.heading, tab.player, tab.card],
        **AT_ONCE,
    ).then(None, js=_SHOW_ROW, **AT_ONCE)
    screen.unload(checker.stop)
