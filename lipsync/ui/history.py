"""What visitors made before: finished jobs, kept for some hours where the server hands files out.

A job lies in ``<root>/<hash of the visitor's token>/<random id>/``. Its ``entry.json`` is put in
place last and taken away first: a folder without one is half-written or half-removed, is never
shown, and is swept.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from gradio.utils import get_upload_folder

from lipsync.errors import InputError, OutputError
from lipsync.ui.cards import encode_jpeg
from lipsync.ui.choices import Choices
from lipsync.ui.folders import (
    is_ours,
    list_own_folders,
    make_own_folder,
    remove_folder,
    time_written,
)
from lipsync.ui.jobs import bring_in, name_result
from lipsync.ui.lending import Lending, lend_file
from lipsync.ui.visitors import hash_visitor

log = logging.getLogger(__name__)

KEEP_SECONDS = 6 * 3600
KEEP_ENTRIES = 30  # per visitor
KEEP_BYTES = 10 * 2**30  # of everybody together

_ENTRY, _RECORD, _THUMBNAIL, _BEFORE = "entry.json", "record.json", "thumbnail.jpg", "before.mp4"
_LENT = "lent"  # a folder beside the visitors' own
_ID = re.compile(r"[0-9a-f]{32}")
_HALF_WRITTEN_SECONDS = 900  # after which a folder without an entry is a leftover


@dataclass(frozen=True)
class Entry:
    """One finished job and its files."""

    id: str
    folder: Path
    created: float  # Unix time, s
    preset: str  # title
    choices: Choices
    clip_name: str  # as the visitor called it, for people
    voice_name: str
    result: Path
    before: Path | None  # the source prepared to play in step with the result
    clip: Path
    voice: Path
    thumbnail: Path  # JPEG
    record: Path  # JSON

    def read_record(self) -> dict[str, Any]:
        """Return the job's record; raises InputError where the job is no longer there."""
        try:
            record: dict[str, Any] = json.loads(self.record.read_text("utf-8"))
        except FileNotFoundError as error:
            raise _gone() from error
        return record


@dataclass(frozen=True)
class Lent:
    """Links to the files of an entry, which may vanish without harm to it."""

    clip: Path
    voice: Path
    result: Path
    record: Path


class History:
    """The finished jobs of all visitors; every call names whose. Threads may share it.

    `root` is made at the first job (None: a folder of ours among Gradio's uploads, which its
    server hands out by full address only). Jobs go after `keep_seconds`, and the oldest go first
    where a visitor has more than `keep_entries` or all visitors together more than `keep_bytes`.
    """

    def __init__(
        self,
        root: Path | None = None,
        keep_seconds: float = KEEP_SECONDS,
        keep_entries: int = KEEP_ENTRIES,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        self.root = root if root is not None else Path(get_upload_folder()) / "history"
        self.keep_seconds = keep_seconds
        self.keep_entries = keep_entries
        self._keep_bytes = keep_bytes
        self._lending = Lending(self.root / _LENT, keep_seconds)
        self._lock = threading.Lock()
        self._being_written: set[Path] = set()

    def add(
        self,
        visitor: str,
        *,
        result: Path,
        clip: Path,
        voice: Path,
        thumbnail: np.ndarray,
        record: Mapping[str, Any],
        choices: Choices,
        preset: str,
        clip_name: str,
        voice_name: str = "voice",
    ) -> Entry:
        """Take over the files of a finished job: `result` is moved, `clip` and `voice` linked.

        `thumbnail` is (h, w, 3) uint8 RGB, `record` JSON-ready, `preset` a title. The result is
        named after `clip_name`, harmlessly. Raises OutputError where the disk is full or the root
        is not ours; then nothing is left in the history.
        """
        final_name = name_result(clip_name)
        facts = {
            "preset": preset,
            "choices": asdict(choices),
            "clip_name": clip_name,
            "voice_name": voice_name,
            "result": final_name,
        }
        with self._open_folder(visitor) as folder:
            facts["clip"] = bring_in(clip, folder, "clip").name
            facts["voice"] = bring_in(voice, folder, "voice").name
            (folder / _THUMBNAIL).write_bytes(encode_jpeg(thumbnail))
            _write(json.dumps(record, ensure_ascii=False, indent=2), folder / _RECORD)
            waiting = folder / f"{_ENTRY}.part"
            waiting.write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
            # nothing that fails on a full disk comes after the result has left its place
            shutil.move(result, folder / final_name)
            now = time.time_ns()  # finer than the file system's own clock, which orders the list
            os.utime(waiting, ns=(now, now))
            waiting.replace(folder / _ENTRY)
        entry = self.get(visitor, folder.name)
        self.sweep()
        return entry

    def attach_before(self, entry: Entry, before: Path) -> Entry:
        """Move in the source prepared to play in step, and return the entry that has it.

        Raises InputError where the job is gone, OutputError where the disk is full.
        """
        waiting = entry.folder / f"{_BEFORE}.{secrets.token_hex(8)}.part"
        with _told(), _still_there(entry):
            try:
                shutil.move(before, waiting)
                waiting.replace(entry.folder / _BEFORE)
            finally:
                waiting.unlink(missing_ok=True)
        return replace(entry, before=entry.folder / _BEFORE)

    def update_record(self, entry: Entry, record: Mapping[str, Any]) -> None:
        """Replace the job's record; raises InputError where the job is gone, OutputError where
        the disk is full."""
        with _told(), _still_there(entry):
            _write(json.dumps(record, ensure_ascii=False, indent=2), entry.record)

    def entries(self, visitor: str) -> list[Entry]:
        """Return what `visitor` made, newest first; sweeps before it looks."""
        self.sweep()
        found = [_read_entry(folder) for folder in list_own_folders(self._home(visitor))]
        kept = [entry for entry in found if entry is not None]
        return sorted(kept, key=lambda entry: entry.created, reverse=True)

    def get(self, visitor: str, entry_id: str) -> Entry:
        """Return one job; raises InputError where `visitor` has none of that id, whoever else
        may have it."""
        home = self._home(visitor)
        # a folder that is not ours is not looked into, and an id is never part of a longer path
        entry = None
        if _ID.fullmatch(entry_id) and is_ours(home) and is_ours(home / entry_id):
            entry = _read_entry(home / entry_id)
        if entry is None:
            raise _gone()
        return entry

    def remove(self, visitor: str, entry_id: str) -> None:
        """Delete one job with its files; raises InputError where `visitor` has none of that id.

        What was lent of the result goes too. A clip and a voice that were lent stay for now: they
        may be in use as inputs, and are uploads like others.
        """
        remove_folder(self.get(visitor, entry_id).folder, _ENTRY)
        for lent in self._lending.find(entry_id):
            remove_folder(lent / "result")
            remove_folder(lent / "record")

    def lend(self, entry: Entry) -> Lent:
        """Return links to the files of `entry` for components to hold, named for people.

        The links last `keep_seconds`. Raises InputError where the job is gone, OutputError where
        the links cannot be made.
        """
        with _told(), _still_there(entry):
            folder = self._lending.open(entry.id)
            return Lent(
                clip=lend_file(entry.clip, folder / "clip", entry.clip_name),
                voice=lend_file(entry.voice, folder / "voice", entry.voice_name),
                result=lend_file(entry.result, folder / "result", entry.result.name),
                record=lend_file(entry.record, folder / "record", entry.result.name),
            )

    def sweep(self) -> None:
        """Remove what is too old, half-written or over a limit; what is being written stays."""
        oldest = time.time() - self.keep_seconds
        with self._lock:
            kept: list[tuple[float, Path]] = []
            homes = [home for home in list_own_folders(self.root) if home.name != _LENT]
            for home in homes:
                finished = self._sweep_leftovers(home)
                for place, (created, folder) in enumerate(sorted(finished, reverse=True)):
                    if created < oldest or place >= self.keep_entries:
                        remove_folder(folder, _ENTRY)
                    else:
                        kept.append((created, folder))
                if not any(home.iterdir()):
                    home.rmdir()
            self._lending.sweep()
            used = 0
            for place, (_, folder) in enumerate(sorted(kept, reverse=True)):
                used += _weigh(folder)
                # the newest job stays whatever it weighs: its visitor is looking at it
                if used > self._keep_bytes and place > 0:
                    remove_folder(folder, _ENTRY)

    def _sweep_leftovers(self, home: Path) -> list[tuple[float, Path]]:
        """Remove what is half-written under `home`; return the rest with its Unix times."""
        finished, too_old = [], time.time() - _HALF_WRITTEN_SECONDS
        for folder in list_own_folders(home):
            made, touched = time_written(folder / _ENTRY), time_written(folder)
            if made is not None:
                finished.append((made, folder))
            elif touched is not None and touched < too_old and folder not in self._being_written:
                remove_folder(folder, _ENTRY)
        return finished

    def _home(self, visitor: str) -> Path:
        return self.root / hash_visitor(visitor)

    @contextmanager
    def _open_folder(self, visitor: str) -> Iterator[Path]:
        home = self._home(visitor)
        folder = home / secrets.token_hex(16)
        with _told():
            with self._lock:  # a sweep between these lines would take the empty home away
                self.root.parent.mkdir(parents=True, exist_ok=True)
                for place in (self.root, home):
                    make_own_folder(place)
                folder.mkdir(mode=0o700)
                self._being_written.add(folder)
            try:
                with ExitStack() as undo:
                    undo.callback(remove_folder, folder, _ENTRY)
                    yield folder
                    undo.pop_all()  # it is whole, and stays
            finally:
                with self._lock:
                    self._being_written.discard(folder)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The history cannot keep this job ({error.strerror}); free some disk space."
        ) from error


@contextmanager
def _still_there(entry: Entry) -> Iterator[None]:
    try:
        yield
    except (OSError, OutputError) as error:
        if (entry.folder / _ENTRY).exists():
            raise
        raise _gone() from error  # deleted meanwhile, by its visitor or by age


def _gone() -> InputError:
    return InputError(
        "This job is no longer in your history; jobs are deleted after a while, so make it again."
    )


def _read_entry(folder: Path) -> Entry | None:
    """Return the entry in `folder`; None where it is half-written, half-removed or unreadable."""
    created = time_written(folder / _ENTRY)
    if created is None:
        return None
    try:
        facts = json.loads((folder / _ENTRY).read_text("utf-8"))
        entry = Entry(
            id=folder.name,
            folder=folder,
            created=created,
            preset=facts["preset"],
            choices=Choices(**facts["choices"]),
            clip_name=facts["clip_name"],
            voice_name=facts["voice_name"],
            result=folder / facts["result"],
            before=folder / _BEFORE if (folder / _BEFORE).exists() else None,
            clip=folder / facts["clip"],
            voice=folder / facts["voice"],
            thumbnail=folder / _THUMBNAIL,
            record=folder / _RECORD,
        )
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        # written by another version of the app, whose settings were others; it goes with its age
        log.warning("%s is left out of the history (%r)", folder, error)
        return None
    return entry if entry.result.exists() else None


def _weigh(folder: Path) -> int:
    try:
        return sum(item.lstat().st_size for item in folder.iterdir())
    except FileNotFoundError:
        return 0  # removed, or a file changed its name, in this moment; the next sweep weighs it


def _write(text: str, path: Path) -> None:
    waiting = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        waiting.write_text(text, "utf-8")
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)
