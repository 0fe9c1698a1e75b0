"""Folders in places that others can write to: told from foreign ones, aged, removed."""

from __future__ import annotations

import logging
import os
import shutil
import stat
from pathlib import Path

from lipsync.errors import OutputError

log = logging.getLogger(__name__)


def is_ours(folder: Path) -> bool:
    """Return whether `folder` is a folder of this user; a link is none, wherever it leads.

    /tmp is everybody's: somebody else may have made a folder, or a link, to read what we write.
    """
    try:
        facts = folder.lstat()
    except FileNotFoundError:
        return False
    owned = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    return stat.S_ISDIR(facts.st_mode) and owned


def make_own_folder(folder: Path) -> None:
    """Make `folder`, in a parent that is there, for this user alone, where it is not there yet.

    Raises OutputError where somebody else has made it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    if not is_ours(folder):
        raise OutputError(
            f"The folder {folder} belongs to another user; remove it or set GRADIO_TEMP_DIR to a "
            "folder of your own."
        )


def list_own_folders(parent: Path) -> list[Path]:
    """Return the folders of this user in `parent`, none where that is foreign or not there."""
    if not is_ours(parent):
        return []
    try:
        return [folder for folder in parent.iterdir() if is_ours(folder)]
    except FileNotFoundError:
        return []  # removed in this very moment


def time_written(path: Path) -> float | None:
    """Return when `path` was last written to, Unix time in s; None where it is not there."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return None


def remove_folder(folder: Path, first: str | None = None) -> None:
    """Remove `folder` with all in it, the file named `first` before all others.

    One that cannot be removed is told in the log and waits for the next sweep.
    """
    try:
        if first is not None:
            (folder / first).unlink(missing_ok=True)
        shutil.rmtree(folder)
    except FileNotFoundError:
        return  # somebody else removed it in the same moment
    except OSError as error:
        # the job itself went well or told its own trouble
        log.warning("could not remove %s (%s); the next sweep tries again", folder, error)
