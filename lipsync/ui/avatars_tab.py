"""The tab with the avatars: its components, and which event goes to which handler."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.events import Dependency

from lipsync.ui.avatars import AvatarHandlers
from lipsync.ui.events import AT_ONCE, ON_DEVICE
from lipsync.ui.sync_tab import Inputs
from lipsync.ui.uploads import CLIP_KINDS, make_upload
from lipsync.ui.widgets import make_widget
from lipsync.ui.words import label

WIDGET = "avatars"  # element id
# after a deletion the other tab is not on the screen, and nothing moves
_SHOW_CHOICE = '() => { studio.reveal("#avatar-choice"); return []; }'


@dataclass(frozen=True)
class AvatarsTab:
    """The components of the tab."""

    name: gr.Textbox
    clip: gr.File
    create: gr.Button
    cancel: gr.Button
    status: gr.HTML
    widget: gr.HTML


def lay_out_avatars() -> AvatarsTab:
    """Put the components into the surrounding tab or page."""
    gr.HTML(f'<p class="hint">{label("avatars.lead")}</p>')
    with gr.Row(equal_height=False, elem_id="avatars-row"):
        with gr.Column(min_width=320, scale=2, elem_id="avatar-form"):
            clip = make_upload(
                label=label("avatars.clip"),
                file_types=CLIP_KINDS,
                height=120,
                elem_id="avatar-clip",
            )
            name = gr.Textbox(
                label=label("avatars.name"),
                info=label("avatars.name-help"),
                max_lines=1,
                elem_id="avatar-name",
            )
            gr.HTML(f'<p class="hint">{label("avatars.prepared-for")}</p>')
            with gr.Row(elem_id="avatar-buttons"):
                create = gr.Button(
                    label("avatars.create"),
                    variant="primary",
                    min_width=120,
                    elem_id="avatar-create",
                )
                cancel = gr.Button(
                    label("avatars.cancel"),
                    interactive=False,
                    min_width=90,
                    elem_id="avatar-cancel",
                )
            status = gr.HTML(visible=False, elem_id="avatar-status")
        with gr.Column(min_width=320, scale=3):
            widget = make_widget("avatars", None, elem_id=WIDGET, listing=None)
    return AvatarsTab(name, clip, create, cancel, status, widget)


def connect_avatars(
    screen: gr.Blocks,
    ready: Dependency,
    page: gr.Tab,
    tabs: gr.Tabs,
    tab: AvatarsTab,
    inputs: Inputs,
    handlers: AvatarHandlers,
    visitor: gr.BrowserState,
) -> None:
    """Send the tab's events, and those of the list among `inputs`, to `handlers`.

    The first lists follow `ready`, after which `visitor` holds a token; closing `screen` stops what
    is being created.
    """
    lists = [tab.widget, inputs.avatar]
    ready.then(handlers.list_avatars, visitor, lists, **AT_ONCE)
    page.select(handlers.list_avatars, visitor, lists, **AT_ONCE)
    tab.clip.change(handlers.suggest_name, [tab.name, tab.clip], tab.name, **AT_ONCE)
    _connect_creation(screen, tab, inputs, handlers, visitor)
    lent = gr.State("")
    tab.widget.input(
        handlers.act,
        [visitor, tab.widget, inputs.avatar],
        [tabs, *lists, inputs.clip, lent],
        **AT_ONCE,
    ).then(None, js=_SHOW_CHOICE, **AT_ONCE)
    inputs.avatar.input(
        handlers.choose, [visitor, inputs.avatar], [inputs.avatar, inputs.clip, lent], **AT_ONCE
    )
    inputs.clip.change(handlers.forget, [inputs.clip, lent], inputs.avatar, **AT_ONCE)


def _connect_creation(
    screen: gr.Blocks,
    tab: AvatarsTab,
    inputs: Inputs,
    handlers: AvatarHandlers,
    visitor: gr.BrowserState,
) -> None:
    brought = [visitor, tab.name, tab.clip]
    # in the order of `AvatarUpdates`
    every = [tab.status, tab.name, tab.clip, tab.widget, inputs.avatar, tab.create, tab.cancel]
    heard = gr.on([tab.create.click, tab.name.submit], handlers.announce, brought, every, **AT_ONCE)
    running = heard.then(handlers.create, [*brought, *inputs.presets.inputs], every, **ON_DEVICE)
    stopped = gr.State(False)
    tab.cancel.click(handlers.stop, None, stopped, cancels=[running], **AT_ONCE).then(
        handlers.tell_stopped, [visitor, stopped], every, **AT_ONCE
    )
    screen.unload(handlers.leave)
