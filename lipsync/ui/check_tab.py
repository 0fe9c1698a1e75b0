"""The tab that scores clips: its components, and which event goes to which handler."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from lipsync.ui.check import PLAYER_ID, Checker
from lipsync.ui.check_repair import CheckRepairs
from lipsync.ui.events import AT_ONCE, ON_DEVICE
from lipsync.ui.player import make_player
from lipsync.ui.score_card import make_score_view
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
    repairing: gr.State  # Row | None, the one whose copy was asked for
    repair: gr.HTML  # how that stands
    stop_repair: gr.Button


def lay_out_check() -> CheckTab:
    """Put the components into the surrounding tab or page."""
    # one label each: of several in one piece only the first would be put into words
    for key in ("check.lead", "score.proxy"):
        gr.HTML(f'<p class="hint">{label(key)}</p>')
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
                repair = gr.HTML(visible=False, elem_id="check-repair")
                stop_repair = gr.Button(
                    label("check.cancel"), visible=False, size="md", elem_id="check-stop-repair"
                )
                card = make_score_view("check-card")
    return CheckTab(
        clips=clips,
        check=check,
        cancel=cancel,
        status=status,
        table=table,
        rows=gr.State([]),
        opened=opened,
        heading=heading,
        player=player,
        card=card,
        repairing=gr.State(None),
        repair=repair,
        stop_repair=stop_repair,
    )


def connect_check(screen: gr.Blocks, tab: CheckTab, checker: Checker) -> None:
    """Send the tab's events to `checker`; `screen` is the page, whose closing stops a check."""
    outputs = [tab.status, tab.table, tab.rows, tab.check, tab.cancel, tab.opened]
    outputs += [tab.repair, tab.stop_repair]
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
        [tab.opened, tab.heading, tab.player, tab.card, tab.repair],
        **AT_ONCE,
    ).then(None, js=_SHOW_ROW, **AT_ONCE)
    screen.unload(checker.stop)


def connect_check_repair(screen: gr.Blocks, tab: CheckTab, repairs: CheckRepairs) -> None:
    """Send *Fix offset* of an opened row to `repairs`; closing the page stops it."""
    stands = [tab.repair, tab.stop_repair]
    heard = tab.card.click(
        repairs.announce, [tab.table, tab.rows], [tab.repairing, *stands], **AT_ONCE
    )
    running = heard.success(
        repairs.repair,
        [tab.repairing, tab.rows],
        [*stands, tab.table, tab.rows, tab.heading, tab.player, tab.card],
        **ON_DEVICE,
    )
    tab.stop_repair.click(repairs.stop, cancels=[running], **AT_ONCE).then(
        repairs.tell_stopped, None, stands, **AT_ONCE
    )
    screen.unload(repairs.stop)
