"""Widgets: a component of the screen each, drawn by a script of its own in this folder.

``name.js`` registers ``studio.widgets.name = (element, props, trigger, watch) => …`` and
``name.css`` styles it. The scripts stand in the page's head, so nothing is fetched later.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from lipsync.ui.words import client_words

_FOLDER = Path(__file__).parent


def make_widget(name: str, value: Any = None, **options: Any) -> gr.HTML:
    """Return the component drawn by ``name.js``; `value` (JSON) is what handlers read and set.

    The script draws into ``element`` once, redraws in ``watch("value", …)`` when a handler sets
    it, and tells what the visitor did by setting ``props.value`` and ``trigger("input")``.
    Further `options` that `gr.HTML` does not know arrive in ``props``.
    """
    return gr.HTML(
        value,
        html_template="",  # constant: what the script draws is never wiped by a new value
        js_on_load=f"studio.widgets.{name}(element, props, trigger, watch);",
        apply_default_css=False,
        **options,
    )


def make_head() -> str:
    """Return the ``<script>`` for the page's head: words, common parts, then every widget."""
    # "<" cannot end the script early when it is written as an escape
    words = json.dumps(client_words(), ensure_ascii=False).replace("<", "\\u003c")
    common = _FOLDER / "studio.js"
    scripts = [common, *sorted(path for path in _FOLDER.glob("*.js") if path != common)]
    code = "\n".join(path.read_text("utf-8") for path in scripts)
    return f"<script>\nwindow.studioWords = {words};\n{code}\n</script>"


def style_sheets() -> list[Path]:
    """Return the style sheets of the widgets."""
    return sorted(_FOLDER.glob("*.css"))
