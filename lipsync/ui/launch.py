"""What the server is started with: looks, words, limits, and nothing that calls anybody."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lipsync.errors import OutputError
from lipsync.example import example_photo, example_voice
from lipsync.ui.hosting import Deployment, launch_extras, read_deployment
from lipsync.ui.theme import STYLE_SHEET, make_theme
from lipsync.ui.widgets import make_head, style_sheets
from lipsync.ui.words import make_i18n


def launch_options(deployment: Deployment | None = None) -> dict[str, Any]:
    """Return the keyword arguments for ``build_ui(…).launch(…)`` that belong to this screen.

    `deployment` says who may come (None: what the environment says).
    """
    return {
        **launch_extras(deployment or read_deployment()),
        "theme": make_theme(),
        "css_paths": [STYLE_SHEET, *style_sheets()],
        "head": make_head(),
        "i18n": make_i18n(),
        "allowed_paths": [str(example_photo()), str(example_voice())],
        "share": False,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "ssr_mode": False,
        "pwa": False,
    }


def serve(screen: gr.Blocks, deployment: Deployment, host: str, port: int) -> None:
    """Serve `screen` until interrupted; raises OutputError where another program has the port."""
    try:
        screen.launch(server_name=host, server_port=port, **launch_options(deployment))
    except OSError as error:
        address = ":".join((host, str(port)))
        raise OutputError(
            f"{address} cannot be served, another program may be using it; "
            "choose another with `--port`."
        ) from error
