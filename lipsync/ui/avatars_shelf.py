"""Whose avatars lie where: on a person's own machine in the store that the command line uses too,
in an app among strangers in a store for each visitor, for some hours.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from gradio.utils import get_upload_folder

from lipsync.avatar.store import Avatar, AvatarStore
from lipsync.errors import InputError, LipsyncError, OutputError
from lipsync.ui.folders import list_own_folders, make_own_folder, remove_folder, time_written
from lipsync.ui.history import KEEP_BYTES, KEEP_SECONDS
from lipsync.ui.lending import Lending, lend_file
from lipsync.ui.visitors import hash_visitor

log = logging.getLogger(__name__)

KEEP_AVATARS = 10  # per visitor of an app among strangers

_LENT = "lent"  # a folder beside the visitors' own
_OWNER = "avatar"  # of every loan


class Shelf:
    """The avatars of all visitors; every call names whose. Threads may share it.

    `own` is the store that the pipeline and all visitors of a person's own machine have in common;
    where it is None, each visitor has one below `root` and meets no other's. Those avatars go after
    `keep_seconds`, and the oldest first where all visitors together have more than `keep_bytes`.
    """

    def __init__(
        self,
        own: AvatarStore | None = None,
        root: Path | None = None,
        keep_seconds: float = KEEP_SECONDS,
        keep_avatars: int = KEEP_AVATARS,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        """`root` is made at the first need (None: a folder of ours among Gradio's uploads); links
        to clips are lent from there in any case, as the server hands out nothing else."""
        self.own = own
        self.root = root if root is not None else Path(get_upload_folder()) / "avatars"
        self.keep_seconds = keep_seconds
        self.keep_avatars = keep_avatars
        self._keep_bytes = keep_bytes
        self._lending = Lending(self.root / _LENT, keep_seconds)
        self._lock = threading.Lock()

    def store(self, visitor: str) -> AvatarStore:
        """Return where the avatars of `visitor` are looked for; makes no folder."""
        return self.own if self.own is not None else AvatarStore(self._home(visitor))

    def home_of(self, visitor: str) -> Path | None:
        """Return what `Request.home` takes for a job of `visitor`; None = the pipeline's store."""
        return None if self.own is not None else self._home(visitor)

    def open(self, visitor: str) -> AvatarStore:
        """Return where `visitor` may put one more avatar.

        Raises InputError where a visitor of an app among strangers has too many already,
        OutputError where the folder cannot be made.
        """
        self.sweep()
        store = self.store(visitor)
        if self.own is not None:
            return store
        if len(store.list()) >= self.keep_avatars:
            raise InputError(
                f"There are {self.keep_avatars} avatars already, which is as many as this shared "
                "app keeps; delete one first."
            )
        with self._lock:  # a sweep between these lines would take the empty folder away
            self._make_root()
            try:
                make_own_folder(self._home(visitor))
            except OSError as error:
                raise _no_room(error) from error
        return store

    def list(self, visitor: str) -> tuple[Avatar, ...]:
        """Return the avatars of `visitor`, newest first; sweeps before it looks."""
        self.sweep()
        return self.store(visitor).list()

    def lend(self, avatar: Avatar) -> Path:
        """Return a link to the clip of `avatar` for a component to hold, named after it.

        Raises OutputError where the link cannot be made.
        """
        with self._lock:
            self._make_root()
            try:
                folder = self._lending.open(_OWNER)
                return lend_file(avatar.video, folder / "clip", f"{avatar.name}.mp4")
            except OSError as error:
                raise _no_room(error) from error

    def sweep(self) -> None:
        """Remove links that are too old and, of visitors' own avatars, what is too old or over the
        limit."""
        with self._lock:
            self._lending.sweep()
            if self.own is not None:
                return
            oldest = time.time() - self.keep_seconds
            kept: list[tuple[Avatar, AvatarStore]] = []
            for home in list_own_folders(self.root):
                if home.name != _LENT:
                    kept += _sweep_home(home, oldest)
            used = 0
            kept.sort(key=lambda pair: pair[0].created, reverse=True)
            for place, (avatar, store) in enumerate(kept):
                used += avatar.bytes
                # the newest stays whatever it weighs: its visitor is looking at it
                if used > self._keep_bytes and place > 0:
                    _remove(store, avatar.name)

    def _home(self, visitor: str) -> Path:
        return self.root / hash_visitor(visitor)

    def _make_root(self) -> None:
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            make_own_folder(self.root)
        except OSError as error:
            raise _no_room(error) from error


def _sweep_home(home: Path, oldest: float) -> list[tuple[Avatar, AvatarStore]]:
    """Remove what is older than `oldest`, Unix s, from a visitor's store; return what stays."""
    store = AvatarStore(home)
    for named in store.names():  # those that are damaged too
        if named.created < oldest:
            _remove(store, named.name)
    store.sweep()
    if not store.names() and all(touched < oldest for touched in _times_written(home)):
        remove_folder(home)
    return [(avatar, store) for avatar in store.list()]


def _remove(store: AvatarStore, name: str) -> None:
    try:
        store.remove(name)
    except LipsyncError as error:  # it is in somebody's hands
        log.warning("%s; the next sweep tries again", error)


def _times_written(home: Path) -> Iterator[float]:
    for path in (home, *home.rglob("*")):
        written = time_written(path)
        if written is not None:  # not removed in this very moment
            yield written


def _no_room(error: OSError) -> OutputError:
    return OutputError(f"The avatar cannot be kept ({error.strerror}); free some disk space.")
