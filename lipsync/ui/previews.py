"""What a visitor sees and hears of an upload and of the result: the browser's own players.

An upload is probed at once, so that a file that cannot work says so before anything is spent.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np

from lipsync.errors import LipsyncError
from lipsync.media.colour import rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip, probe_voice
from lipsync.types import Clip
from lipsync.ui import cards

_POSTER_SIDE = 640  # px, twice what is shown, for sharp screens


def preview_clip(path: str | None) -> str:
    """Return a player for a clip, or the picture for a photo, and its facts; nothing without a
    file. A file that cannot be used gives its sentence instead."""
    if path is None:
        return ""
    try:
        clip = probe_clip(Path(path))
        poster = cards.picture_url(_first_picture(clip))
    except LipsyncError as error:
        return cards.error_card(str(error))
    facts = f"{clip.size.width} × {clip.size.height}"
    if clip.is_still:
        shown = f'<img src="{poster}" alt="The chosen photo">'
        facts += " · photo"
    else:
        # the poster stays where the browser cannot play the file; our result always plays
        shown = (
            f'<video src="{_address(path)}" poster="{poster}" controls playsinline '
            'preload="none" aria-label="The chosen clip"></video>'
        )
        facts += f" · {cards.say_rate(float(clip.fps))} · {cards.say_seconds(clip.duration)}"
    return f'<div class="preview">{shown}<p class="hint">{facts}</p></div>'


def preview_voice(path: str | None) -> str:
    """Return a player for a voice and its facts; nothing without a file. A file that cannot be
    used gives its sentence instead."""
    if path is None:
        return ""
    try:
        voice = probe_voice(Path(path))
    except LipsyncError as error:
        return cards.error_card(str(error))
    channels = {1: "mono", 2: "stereo"}.get(voice.channels, f"{voice.channels} channels")
    facts = f"{cards.say_seconds(voice.duration)} · {voice.rate / 1000:g} kHz · {channels}"
    return (
        f'<div class="preview"><audio src="{_address(path)}" controls preload="metadata" '
        f'aria-label="The chosen voice"></audio><p class="hint">{escape(facts)}</p></div>'
    )


def play_result(path: str) -> str:
    """Return the player of a finished job."""
    return (
        f'<div class="stage-video"><video src="{_address(path)}" controls playsinline '
        'preload="auto" aria-label="The result"></video></div>'
    )


def _first_picture(clip: Clip) -> np.ndarray:
    picture = rgb_image(next(iter(read_frames(clip, [0]))))
    shrink = _POSTER_SIDE / max(picture.shape[:2])
    if shrink >= 1:
        return picture
    return cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)


def _address(path: str) -> str:
    # relative, so that it also holds behind a proxy; quoting leaves nothing that ends the attribute
    return "gradio_api/file=" + quote(path)
