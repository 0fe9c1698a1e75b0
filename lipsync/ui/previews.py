"""Small views of files: a voice's player and facts, a clip's pictures, and where files are."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np

from lipsync.media.colour import rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import Limits, probe_voice
from lipsync.types import Clip
from lipsync.ui import cards
from lipsync.ui.trouble import PlainWords
from lipsync.ui.words import Words

_POSTER_SIDE = 640  # px, twice what is shown, for sharp screens


def preview_voice(words: Words, path: str | None, limits: Limits) -> str:
    """Return a player for a voice and its facts; nothing without a file.

    A file that cannot be used gives its sentence instead.
    """
    if path is None:
        return ""
    with PlainWords(words) as trouble:
        voice = probe_voice(Path(path), limits)
    if trouble.sentence is not None:
        return cards.error_card(trouble.sentence)
    channels = {1: words("run.mono"), 2: words("run.stereo")}.get(
        voice.channels, words("run.channels", count=voice.channels)
    )
    length = cards.say_seconds(words, voice.duration)
    return (
        f'<div class="preview"><audio src="{file_address(path)}" controls preload="metadata" '
        f'aria-label="{escape(words("run.voice-label"))}"></audio>'
        f'<p class="hint">{escape(f"{length} · {voice.rate / 1000:g} kHz · {channels}")}</p></div>'
    )


def middle_picture(clip: Clip, side: int = _POSTER_SIDE) -> np.ndarray:
    """Return the picture in the middle of a clip, many of which begin in black, as (h, w, 3)
    uint8 RGB, at most `side` px."""
    return _picture_at(clip, clip.num_frames // 2, side)


def first_picture(clip: Clip) -> np.ndarray:
    """Return a clip's first picture as (h, w, 3) uint8 RGB, at most 640 px."""
    return _picture_at(clip, 0, _POSTER_SIDE)


def file_address(path: Path | str) -> str:
    """Return where the browser finds a file, relative, so that it also holds behind a proxy."""
    return "gradio_api/file=" + quote(str(path))  # quoting leaves nothing that ends an attribute


def _picture_at(clip: Clip, number: int, side: int) -> np.ndarray:
    picture = rgb_image(next(iter(read_frames(clip, [number]))))
    shrink = side / max(picture.shape[:2])
    if shrink >= 1:
        return picture
    return cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
