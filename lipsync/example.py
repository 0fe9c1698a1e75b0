"""The example that works before anybody has uploaded anything.

The photo is read from the installed scikit-image package, so the repository carries no picture
of a person; where the voice comes from is written in assets/README.md.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lipsync.assets import asset_path


def example_photo() -> Path:
    """Return the path of a portrait, 512 x 512 px PNG, NASA, public domain.

    Raises FileNotFoundError where scikit-image is not installed whole.
    """
    # find_spec, because importing scikit-image takes longer than reading a path should
    found = importlib.util.find_spec("skimage")
    for folder in (found.submodule_search_locations or []) if found else []:
        photo = Path(folder) / "data" / "astronaut.png"
        if photo.is_file():
            return photo
    raise FileNotFoundError("the example photo is missing: reinstall scikit-image")


def example_voice() -> Path:
    """Return the path of a spoken sentence, 5 s, AAC mono 24 kHz, CC0.

    Raises FileNotFoundError where the repository's assets folder is incomplete.
    """
    return asset_path("example_voice.m4a")
