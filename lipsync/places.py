"""Where files of the program lie on this machine, by the customs of its system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME_NAME = "LIPSYNC_HOME"  # the variable that names the data folder

_FOLDER = "lipsync-studio"


def cache_folder() -> Path:
    """Return the folder for what can be made or fetched again; it need not exist.

    It is ``lipsync-studio`` where the system keeps such things: ``~/.cache`` or XDG_CACHE_HOME, on
    Windows LOCALAPPDATA.
    """
    return _system_folder("XDG_CACHE_HOME", "~/.cache")


def data_folder() -> Path:
    """Return the folder for what the user has made; it need not exist.

    It is the one that LIPSYNC_HOME names, else ``lipsync-studio`` where the system keeps such
    things: ``~/.local/share`` or XDG_DATA_HOME, on a Mac ``~/Library/Application Support``, on
    Windows LOCALAPPDATA.
    """
    named = os.environ.get(HOME_NAME)
    if named:
        return Path(named).expanduser().absolute()
    is_mac = sys.platform == "darwin"
    usual = "~/Library/Application Support" if is_mac else "~/.local/share"
    return _system_folder("XDG_DATA_HOME", usual)


def _system_folder(variable: str, usual: str) -> Path:
    place = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else variable, "")
    if not os.path.isabs(place):  # also what the XDG standard asks for
        place = os.path.expanduser(usual)
    return Path(place) / _FOLDER
