"""The tab with the models: its components, and which event goes to which handler.

The list comes from the server as the widget's ``listing``, once a second while somebody looks or
something is fetched; what a visitor asks for goes back as its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from lipsync.ui.events import AT_ONCE
from lipsync.ui.models import ModelHandlers
from lipsync.ui.widgets import make_widget

WIDGET = "models"  # element id
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class ModelsTab:
    """The components of the tab."""

    widget: gr.HTML


def lay_out_models() -> ModelsTab:
    """Put the components into the surrounding tab or page."""
    return ModelsTab(
        make_widget("models", None, elem_id=WIDGET, listing=None, wanted=None, said="", trouble="")
    )


def connect_models(
    page: gr.Tab,
    other_pages: Sequence[gr.Tab],
    tabs: gr.Tabs,
    tab: ModelsTab,
    cards: gr.HTML,
    handlers: ModelHandlers,
) -> None:
    """Send the tab's events, and those of the preset `cards` that concern models, to `handlers`.

    Call it outside of the tabs: what is made here must work while another one is open.
    """
    is_open = gr.State(False)
    clock = gr.Timer(_LOOK_SECONDS, active=False)
    seen = [tab.widget, cards]
    page.select(handlers.open, None, [*seen, is_open, clock], **AT_ONCE)
    cards.select(handlers.want, None, [tabs, *seen, is_open, clock], **AT_ONCE)
    tab.widget.input(handlers.act, tab.widget, [*seen, clock], **AT_ONCE)
    clock.tick(handlers.look, is_open, [*seen, clock], **AT_ONCE)
    for other in other_pages:
        other.select(handlers.leave, None, [is_open, clock], **AT_ONCE)
