"""The model store: where checkpoints lie, and how they get there whole.

A checkpoint is a folder of its own, named by its key. The user's own folder (LIPSYNC_MODELS) is
looked into first and never written to; what it holds is the user's business and is taken as it
is. Everything else lies in the cache, was fetched by :meth:`ModelStore.pull`, and is compared with
its published checksum. Nothing half-written ever has a final name.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from lipsync.errors import FetchError, InputError, OutputError
from lipsync.places import cache_folder
from lipsync.steps import exhaust, map_steps
from lipsync.weights.bring import PullStep, bring
from lipsync.weights.fetch import Patience
from lipsync.weights.ledger import Ledger
from lipsync.weights.table import CHECKPOINTS, Checkpoint, Download, WeightFile

OWN_FOLDER_NAME = "LIPSYNC_MODELS"

_LOOK_AGAIN = 0.2  # s between two looks whether another process has finished


@dataclass(frozen=True)
class Located:
    """Where a checkpoint lies, whole."""

    checkpoint: Checkpoint
    folder: Path
    is_own: bool  # in the user's own folder

    @property
    def files(self) -> tuple[Path, ...]:
        """The paths of its files, in the table's order."""
        return tuple(self.folder / file.name for file in self.checkpoint.files)

    @property
    def path(self) -> Path:
        """The one file of the checkpoint, or the folder of several."""
        return self.files[0] if len(self.files) == 1 else self.folder


@dataclass(frozen=True)
class State:
    """What of a checkpoint is on this machine, at a glance (nothing is read)."""

    checkpoint: Checkpoint
    kind: Literal["own", "here", "damaged", "partial", "absent"]
    folder: Path
    arrived: int  # bytes on the disk


class ModelStore:
    """Checkpoints on this machine.

    `folder` is the cache (None: ``models`` in :func:`cache_folder`), `own_folder` the user's own
    (None: the one LIPSYNC_MODELS names, if any), `endpoint` the hub's address (None: HF_ENDPOINT,
    as huggingface_hub reads it), `is_offline` whether to stay off the network (None:
    HF_HUB_OFFLINE). Safe to use from several threads and processes at once.
    """

    def __init__(
        self,
        folder: Path | None = None,
        own_folder: Path | None = None,
        *,
        checkpoints: Iterable[Checkpoint] = CHECKPOINTS,
        endpoint: str | None = None,
        is_offline: bool | None = None,
        patience: Patience | None = None,
    ) -> None:
        named = os.environ.get(OWN_FOLDER_NAME)
        if own_folder is None and named:
            own_folder = Path(named).expanduser()
        self.folder = cache_folder() / "models" if folder is None else folder
        self.own_folder = own_folder
        self.checkpoints = tuple(checkpoints)
        self._endpoint = endpoint
        self._is_offline = is_offline
        self._patience = patience or Patience()
        self._ledger = Ledger(self.folder)

    @property
    def is_offline(self) -> bool:
        """Whether the network must not be used."""
        if self._is_offline is None:
            from huggingface_hub import constants

            return bool(constants.is_offline_mode())
        return self._is_offline

    @property
    def endpoint(self) -> str:
        """The address of the hub or of its mirror."""
        if self._endpoint is None:
            from huggingface_hub import constants

            return str(constants.ENDPOINT)
        return self._endpoint

    def checkpoint(self, key: str) -> Checkpoint:
        """Return the table's row for `key`. Raises InputError for an unknown one."""
        for checkpoint in self.checkpoints:
            if checkpoint.key == key:
                return checkpoint
        known = ", ".join(checkpoint.key for checkpoint in self.checkpoints)
        raise InputError(f"There is no model called {key!r}; choose one of: {known}.")

    def state(self, key: str) -> State:
        """Return what is here, by names and sizes only. Raises InputError for an unknown key."""
        checkpoint = self.checkpoint(key)
        own = self._own_folder_of(checkpoint)
        if own is not None:
            arrived = sum((own / file.name).stat().st_size for file in checkpoint.files)
            return State(checkpoint, "own", own, arrived)
        folder = self.folder / key
        sizes = [_size_of(folder / file.name) for file in checkpoint.files]
        arrived = sum(size or 0 for size in sizes)
        kind: Literal["here", "damaged", "partial", "absent"]
        wanted = [file.size for file in checkpoint.files]
        if any(None not in pair and pair[0] != pair[1] for pair in zip(sizes, wanted, strict=True)):
            kind = "damaged"
        elif None not in sizes:
            kind = "here"
        else:
            parts = list(folder.glob(".*.part")) if folder.is_dir() else []
            arrived += sum(_size_of(part) or 0 for part in parts)
            kind = "partial" if arrived else "absent"
        return State(checkpoint, kind, folder, arrived)

    def locate(self, key: str) -> Located:
        """Return where a whole checkpoint lies.

        Files of the cache are compared with their checksums, which takes seconds per gigabyte the
        first time and no time afterwards. Raises InputError for an unknown key, a checkpoint that
        is not here and a damaged file, saying what to do.
        """
        checkpoint = self.checkpoint(key)
        own = self._own_folder_of(checkpoint)
        if own is not None:
            return Located(checkpoint, own, True)
        self._require_all(checkpoint)
        for file in checkpoint.files:
            exhaust(self._check(checkpoint, file))
        return Located(checkpoint, self.folder / key, False)

    def verify(self, key: str) -> Generator[PullStep, None, Located]:
        """Read every file of a checkpoint again and compare; yield steps, return where it lies.

        Raises InputError as :meth:`locate` does. The user's own files have no published checksum:
        they are read to their end.
        """
        checkpoint = self.checkpoint(key)
        own = self._own_folder_of(checkpoint)
        if own is None:
            self._require_all(checkpoint)
            for file in checkpoint.files:
                yield from self._check(checkpoint, file, is_fresh=True)
            return Located(checkpoint, self.folder / key, False)
        for file in checkpoint.files:
            yield from self._hash(own / file.name, is_fresh=True)
        return Located(checkpoint, own, True)

    def pull(self, key: str) -> Generator[PullStep, None, Located]:
        """Fetch what is missing of a checkpoint; yield steps, return where it lies.

        Closing the generator cancels; what has arrived is kept and the next call goes on from
        there. A damaged file is fetched anew. Raises InputError for an unknown key, OutputError
        if the disk is full or may not be written to, FetchError if the server does not deliver.
        """
        checkpoint = self.checkpoint(key)
        if self._own_folder_of(checkpoint) is None:
            for download in checkpoint.downloads:
                try:
                    yield from self._pull_one(checkpoint, download)
                except OSError as error:
                    raise OutputError(
                        f"{self.folder / key} cannot be written to ({error.strerror}); free some "
                        "space, or choose another place in XDG_CACHE_HOME."
                    ) from error
        located = self.locate(key)
        yield PullStep("done", checkpoint.files[-1].name)
        return located

    def remove(self, key: str) -> int:
        """Delete a checkpoint and its partial files from the cache; return the bytes freed.

        Raises InputError for an unknown key, the user's own files (they are never touched) and
        while another process fetches it, OutputError if the files cannot be deleted.
        """
        checkpoint = self.checkpoint(key)
        folder = self.folder / key
        own = self._own_folder_of(checkpoint)
        if own is not None and not folder.exists():
            raise InputError(f"{own} is your own folder; delete its files yourself.")
        if not folder.is_dir():
            return 0
        freed = sum(_size_of(path) or 0 for path in folder.iterdir())
        files = {*checkpoint.files, *(download.file for download in checkpoint.downloads)}
        try:
            with ExitStack() as held:
                for download in checkpoint.downloads:
                    held.enter_context(self._lock(checkpoint, download).acquire(timeout=0))
                for path in folder.iterdir():
                    if path.suffix != ".lock":
                        path.unlink()
            shutil.rmtree(folder)
            names = [_book_name(checkpoint, file) for file in files]
            self._ledger.forget(names, [folder / file.name for file in files])
        except Timeout as error:
            raise InputError(
                f"{checkpoint.title} is being fetched by another process; wait or stop it first."
            ) from error
        except OSError as error:
            raise OutputError(
                f"{folder} cannot be deleted ({error.strerror}); check its permissions."
            ) from error
        return freed

    def _own_folder_of(self, checkpoint: Checkpoint) -> Path | None:
        if self.own_folder is None:
            return None
        folder = self.own_folder / checkpoint.key
        return folder if all((folder / file.name).is_file() for file in checkpoint.files) else None

    def _require_all(self, checkpoint: Checkpoint) -> None:
        folder = self.folder / checkpoint.key
        lacking = [file.name for file in checkpoint.files if not (folder / file.name).is_file()]
        if lacking:
            place = (self.own_folder or self.folder) / checkpoint.key
            raise InputError(
                f"{checkpoint.title} is not on this machine; fetch it with "
                f"`python -m lipsync models pull {checkpoint.key}`, or put {', '.join(lacking)} "
                f"into {place}."
            )

    def _hash(self, path: Path, is_fresh: bool = False) -> Generator[PullStep, None, str]:
        total = path.stat().st_size
        return map_steps(
            lambda done: PullStep("check", path.name, done, total),
            self._ledger.digest(path, is_fresh),
        )

    def _check(
        self, checkpoint: Checkpoint, file: WeightFile, is_fresh: bool = False
    ) -> Generator[PullStep, None, None]:
        """Raise InputError if a file of the cache is not what it should be."""
        found = yield from self._find_damage(checkpoint, file, is_fresh)
        if found is not None:
            path = self.folder / checkpoint.key / file.name
            raise InputError(
                f"{path} is damaged ({found}); fetch it anew with "
                f"`python -m lipsync models pull {checkpoint.key}`."
            )

    def _find_damage(
        self, checkpoint: Checkpoint, file: WeightFile, is_fresh: bool = False
    ) -> Generator[PullStep, None, str | None]:
        """Compare a file of the cache; return what is wrong with it, or None.

        A file that nobody published a checksum of is recorded as it is seen first.
        """
        path = self.folder / checkpoint.key / file.name
        size = path.stat().st_size
        if file.size is not None and size != file.size:
            return f"{size} bytes, {file.size} were published"
        found = yield from self._hash(path, is_fresh)
        wanted = self._expected(checkpoint, file)
        if wanted is None:
            self._ledger.expect(_book_name(checkpoint, file), found)
        elif found != wanted:
            return f"checksum {found[:8]}…, {wanted[:8]}… is needed"
        return None

    def _expected(self, checkpoint: Checkpoint, file: WeightFile) -> str | None:
        return file.sha256 or self._ledger.expected(_book_name(checkpoint, file))

    def _lock(self, checkpoint: Checkpoint, download: Download) -> FileLock:
        path = self.folder / checkpoint.key / f".{download.file.name}.lock"
        # the steps of one pull may be run by one thread and closed by another
        return FileLock(path, thread_local=False)

    def _pull_one(
        self, checkpoint: Checkpoint, download: Download
    ) -> Generator[PullStep, None, None]:
        """Bring one download home, alone: another process that does the same is waited for."""
        (self.folder / checkpoint.key).mkdir(parents=True, exist_ok=True)
        lock = self._lock(checkpoint, download)
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                yield PullStep("wait", download.file.name)
                time.sleep(_LOOK_AGAIN)
        try:
            if not (yield from self._is_here(checkpoint, download)):
                yield from self._bring(checkpoint, download)
        finally:
            lock.release()

    def _is_here(
        self, checkpoint: Checkpoint, download: Download
    ) -> Generator[PullStep, None, bool]:
        folder = self.folder / checkpoint.key
        for file in download.kept:
            if not (folder / file.name).is_file():
                return False
            if (yield from self._find_damage(checkpoint, file)) is not None:
                return False  # which a new download mends
        return True

    def _bring(self, checkpoint: Checkpoint, download: Download) -> Generator[PullStep, None, None]:
        if self.is_offline:
            raise FetchError(
                f"{checkpoint.title} is not on this machine, and HF_HUB_OFFLINE forbids to fetch "
                "it; unset that variable, or put the files into the folder LIPSYNC_MODELS names."
            )
        folder = self.folder / checkpoint.key
        wanted = self._expected(checkpoint, download.file)
        sums = yield from bring(download, folder, wanted, self._endpoint, self._patience)
        for file in (download.file, *download.members):
            if self._expected(checkpoint, file) is None:
                self._ledger.expect(_book_name(checkpoint, file), sums[file.name])
        for file in download.kept:
            self._ledger.record(folder / file.name, sums[file.name])


def _book_name(checkpoint: Checkpoint, file: WeightFile) -> str:
    return f"{checkpoint.key}/{file.name}"


def _size_of(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
