"""Links to files that are kept, for components to hold.

Gradio removes every file that a component has held, when it is old and when the app ends; so no
component may hold the original.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from lipsync.ui.folders import list_own_folders, remove_folder, time_written
from lipsync.ui.jobs import bring_in

_STEM_LENGTH = 60  # letters that stay of a file's name; those of ours are all shorter


class Lending:
    """The links that were lent: a folder for each loan, of which nobody can guess the name."""

    def __init__(self, folder: Path, keep_seconds: float) -> None:
        """`folder` is made at the first loan, beside others that are there by then; loans last
        `keep_seconds`."""
        self.folder = folder
        self._keep_seconds = keep_seconds

    def open(self, owner: str) -> Path:
        """Return the new, empty folder of a loan from `owner`, letters and digits."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        loan = self.folder / f"{owner}-{secrets.token_hex(16)}"
        loan.mkdir(mode=0o700)
        return loan

    def find(self, owner: str) -> list[Path]:
        """Return the folders of all loans from `owner`."""
        return [loan for loan in self._loans() if loan.name.startswith(f"{owner}-")]

    def sweep(self) -> None:
        """Remove the loans that are too old."""
        oldest = time.time() - self._keep_seconds
        for loan in self._loans():
            made = time_written(loan)
            if made is not None and made < oldest:
                remove_folder(loan)

    def _loans(self) -> list[Path]:
        return list_own_folders(self.folder)


def lend_file(kept: Path, folder: Path, name: str) -> Path:
    """Link `kept` into the new `folder` under `name`, of which only what is harmless in a path
    stays, and the folder's name where nothing does.

    Raises OutputError where the disk is full.
    """
    stem = "".join(letter for letter in Path(name).stem if letter.isprintable())
    folder.mkdir(mode=0o700)
    return bring_in(kept, folder, stem[:_STEM_LENGTH].strip(" .") or folder.name)
