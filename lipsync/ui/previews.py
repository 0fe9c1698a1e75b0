"""What a visitor sees and hears of an upload and of the result: the browser's own players."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from urllib.parse import quote

_STILLS = {".png", ".jpg", ".jpeg", ".webp", ".gif"}


def preview_clip(path: str | None) -> str:
    """Return a player for a clip, or the picture for a photo; nothing without a file."""
    if path is None:
        return ""
    address = _address(path)
    if Path(path).suffix.lower() in _STILLS:
        return f'<div class="preview"><img src="{address}" alt="The chosen photo"></div>'
    return (
        f'<div class="preview"><video src="{address}" controls muted playsinline '
        'preload="metadata" aria-label="The chosen clip"></video></div>'
    )


def preview_voice(path: str | None) -> str:
    """Return a player for a voice; nothing without a file. Sound of a video plays as well."""
    if path is None:
        return ""
    kind = mimetypes.guess_type(path)[0] or ""
    tag = "video" if kind.startswith("video/") else "audio"
    return (
        f'<div class="preview voice"><{tag} src="{_address(path)}" controls playsinline '
        f'preload="metadata" aria-label="The chosen voice"></{tag}></div>'
    )


def play_result(path: str) -> str:
    """Return the player of a finished job."""
    return (
        f'<div class="stage-video"><video src="{_address(path)}" controls playsinline '
        'preload="auto" aria-label="The result"></video></div>'
    )


def _address(path: str) -> str:
    # relative, so that it also holds behind a proxy; quoting leaves nothing that ends the attribute
    return "gradio_api/file=" + quote(path)
