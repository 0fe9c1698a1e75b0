"""A few components on a page of their own, for the browser tests of one widget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from lipsync.ui.launch import launch_options


@contextmanager
def serve_blocks(blocks: gr.Blocks) -> Iterator[str]:
    """Serve `blocks` with the studio's theme, scripts and words; yield the page's address."""
    _, url, _ = blocks.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **launch_options()
    )
    try:
        yield url
    finally:
        blocks.close()
