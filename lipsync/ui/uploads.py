"""Upload fields that hand over plain paths, whatever the files are called or claim to be."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ListFiles

CLIP_KINDS = ["video", "image", ".mkv", ".avi", ".mov", ".mp4", ".webm", ".mpg", ".gif"]


def make_upload(*, multiple: bool = False, **options: Any) -> gr.File:
    """Return a file field; handlers get the path of its file (None: empty), or where `multiple`
    the list of its files' paths, in the order they were added.

    Gradio's own step would leave an empty temporary file behind per event, and judges files by
    their ending, in words of its own; our media layer judges by content. Never update more of the
    field than its value: Gradio would put a fresh field with its own step in its place.
    """
    field = gr.File(file_count="multiple" if multiple else "single", **options)
    # set on the object: deriving a class makes Gradio write a .pyi file next to our source
    field.preprocess = _paths_of if multiple else _path_of  # type: ignore[method-assign]
    return field


def _paths_of(payload: ListFiles | FileData | None) -> list[str]:
    if payload is None:
        return []
    files = payload.root if isinstance(payload, ListFiles) else [payload]
    return [file.path for file in files]


def _path_of(payload: ListFiles | FileData | None) -> str | None:
    return next(iter(_paths_of(payload)), None)
