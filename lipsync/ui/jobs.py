"""Jobs of the screen: a private folder each, uploads under names of ours, gone when the job ends.

Names chosen by visitors never reach a tool: an upload enters the folder as ``clip.mp4`` or
``voice.wav``, and only the finished file gets a name derived from the visitor's, letter by letter.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
import unicodedata
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

from lipsync.errors import OutputError
from lipsync.ui.folders import is_ours, remove_folder, time_written

_T = TypeVar("_T")
_R = TypeVar("_R")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
_STEM_LENGTH = 40
_MOST_WAITING = 1000  # visitors; the queue lets in far fewer, the others are forged


class Job:
    """One visitor's wish, from the click on; its folder exists only inside `Jobs.open`."""

    def __init__(self, seconds: float | None = None) -> None:
        """`seconds` is how long it is expected to take, None = unknown."""
        self._cancelled = threading.Event()
        self.is_claimed = False
        self.is_delivered = False  # the visitor has the result; only extras are being made
        self.seconds_left = seconds

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask whoever runs this job to stop; returns at once."""
        self._cancelled.set()

    def follow(self, steps: Generator[_T, None, _R]) -> Generator[_T, None, _R | None]:
        """Yield what `steps` yields until it ends or this job is cancelled, then close it.

        The generator's own value is what `steps` returned, None where the job was cancelled.
        """
        with closing(steps):
            while not self.is_cancelled:
                try:
                    step = next(steps)
                except StopIteration as finished:
                    result: _R = finished.value
                    return result
                yield step
        return None


class Jobs:
    """The jobs of one running app, by visitor.

    `root` holds the folders; it is made when the first job opens. What a killed process left in
    it is removed after `keep_seconds`.
    """

    def __init__(self, root: Path | None = None, keep_seconds: float = 6 * 3600) -> None:
        self.root = root if root is not None else _default_root()
        self._keep_seconds = keep_seconds
        self._lock = threading.Lock()
        self._by_visitor: dict[str, list[Job]] = {}
        self._open_folders: set[Path] = set()

    def announce(self, visitor: str, seconds: float | None = None) -> Job:
        """Note that `visitor` (a session name) asked for a job that should take `seconds`, so that
        it can be cancelled while it waits; an earlier one is cancelled if it still waits, or if
        its result is there and only extras are being made."""
        job = Job(seconds)
        with self._lock:
            jobs = self._by_visitor.setdefault(visitor, [])
            for old in [old for old in jobs if old.is_delivered or not old.is_claimed]:
                old.cancel()
                jobs.remove(old)
            jobs.append(job)
            waiting = [
                name
                for name, jobs in self._by_visitor.items()
                if not any(job.is_claimed for job in jobs)
            ]
            for name in waiting[:-_MOST_WAITING]:
                del self._by_visitor[name]
        return job

    def claim(self, visitor: str) -> Job | None:
        """Return the job that `visitor` announced, as begun.

        None where it was cancelled while it waited, or a second click has taken its place.
        """
        with self._lock:
            jobs = self._by_visitor.get(visitor, [])
            job = next((job for job in jobs if not job.is_claimed), None)
            if job is not None:
                job.is_claimed = True
        return job

    def begin(self, visitor: str) -> Job:
        """Return a new job, begun at once, for what nobody announces."""
        job = Job()
        job.is_claimed = True
        with self._lock:
            self._by_visitor.setdefault(visitor, []).append(job)
        return job

    def cancel(self, visitor: str) -> list[Job]:
        """Cancel every job of `visitor`, waiting or running, and return them."""
        with self._lock:
            jobs = self._by_visitor.pop(visitor, [])
        for job in jobs:
            job.cancel()
        return jobs

    def has_any(self, visitor: str) -> bool:
        """Return whether `visitor` has a job, waiting or running."""
        with self._lock:
            return bool(self._by_visitor.get(visitor))

    def seconds_left(self, visitors: Iterable[str]) -> float | None:
        """Return how long the jobs of `visitors` should still take together, None = unknown."""
        total = 0.0
        with self._lock:
            for visitor in visitors:
                left = [job.seconds_left for job in self._by_visitor.get(visitor, [])]
                known = [seconds for seconds in left if seconds is not None]
                if not known or len(known) < len(left):
                    return None
                total += sum(known)
        return total

    @contextmanager
    def open(self, visitor: str, job: Job) -> Iterator[Path]:
        """Lend a new empty folder for `job`; it is removed, and the job forgotten, at the end.

        Raises OutputError where the folder cannot be made.
        """
        try:
            folder = self._make_folder()
            try:
                yield folder
            finally:
                remove_folder(folder)
                with self._lock:
                    self._open_folders.discard(folder)
        finally:
            self._forget(visitor, job)

    def _make_folder(self) -> Path:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not is_ours(self.root):
                raise OutputError(
                    f"The folder {self.root} belongs to another user; remove it or set TMPDIR."
                )
            self._sweep()
            # mkdtemp draws the name, so nobody can guess it, and gives it to this user alone
            folder = Path(tempfile.mkdtemp(prefix="job-", dir=self.root))
        except OSError as error:
            raise OutputError(
                f"No folder for the job can be made in {self.root} ({error.strerror}); "
                "free some space or allow writing there."
            ) from error
        with self._lock:
            self._open_folders.add(folder)
        return folder

    def _sweep(self) -> None:
        oldest = time.time() - self._keep_seconds
        with self._lock:
            busy = set(self._open_folders)
        for folder in self.root.glob("job-*"):
            written = time_written(folder)
            if folder not in busy and written is not None and written < oldest:
                remove_folder(folder)

    def _forget(self, visitor: str, job: Job) -> None:
        with self._lock:
            jobs = self._by_visitor.get(visitor, [])
            if job in jobs:
                jobs.remove(job)
            if not jobs:
                self._by_visitor.pop(visitor, None)


def session_of(request: gr.Request) -> str:
    """Return the name of the page that asks; its jobs are kept by it."""
    return request.session_hash or "nobody"


def bring_in(upload: Path, folder: Path, stem: str) -> Path:
    """Link `upload` into `folder` as `stem` plus a plain suffix, or copy it across file systems.

    The suffix stays only if it is a dot and up to five letters or digits. Raises OutputError where
    the disk is full.
    """
    suffix = upload.suffix.lower()
    inside = folder / (stem + (suffix if _SUFFIX.fullmatch(suffix) else ""))
    try:
        os.link(upload, inside)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise OutputError(
                f"The upload cannot be taken over ({error.strerror}); upload it once more."
            ) from error
        _copy(upload, inside)
    return inside


def hand_out(finished: Path, name: str) -> Path:
    """Move a finished file to where Gradio serves from, under a folder nobody can guess.

    Gradio removes it after the app's `delete_cache` age. Raises OutputError where the disk is full.
    """
    folder = Path(get_upload_folder()) / secrets.token_hex(32)
    try:
        folder.mkdir(parents=True)
        shutil.move(finished, folder / name)
    except OSError as error:
        raise OutputError(
            f"The result cannot be handed out ({error.strerror}); free some disk space."
        ) from error
    return folder / name


def name_result(clip_name: str) -> str:
    """Return a file name for the result that is harmless everywhere, ``holiday-synced.mp4``.

    Only ASCII letters, digits and dashes of `clip_name` stay, at most 40.
    """
    folded = unicodedata.normalize("NFKD", Path(clip_name).stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9]+", "-", folded).strip("-")[:_STEM_LENGTH].strip("-")
    return f"{plain or 'clip'}-synced.mp4"


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise OutputError(
            f"The upload cannot be copied ({error.strerror}); free some disk space."
        ) from error


def _default_root() -> Path:
    owner = os.getuid() if hasattr(os, "getuid") else "app"
    return Path(tempfile.gettempdir()) / f"lipsync-studio-{owner}"
