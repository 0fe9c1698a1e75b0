"""The avatar store: clips that were prepared to speak, by name, in the user's data folder.

What is prepared lies in a folder named by the SHA-256 of the clip's bytes; a name is a small page
that points there, written last. Nobody ever sees half an avatar: a process that is killed leaves
an unnamed folder, which the next one uses or sweeps away. Folders are changed under a lock of
their clip, so several processes may work at once.

::

    avatars/names/<digest of the name>.json     {"name", "key", "created"}
    avatars/clips/<key>/<part>/                 sealed folders, see `prepared`
    avatars/building/<key>-<random>/            a part that is being made
    avatars/locks/<key>.lock
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
import unicodedata
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lipsync.avatar.parts import CLIP, PORTRAIT, THUMBNAIL, clip_of, engines_served, is_stale
from lipsync.avatar.sealed import (
    MANIFEST,
    DamagedError,
    Sealed,
    check_contents,
    open_sealed,
    read_sealed,
    write_sealed,
)
from lipsync.errors import InputError, OutputError
from lipsync.places import data_folder
from lipsync.types import Clip
from lipsync.weights.ledger import hash_file

MAX_LETTERS = 60  # of a name

_Stamp = tuple[str, int, int, int]  # path, bytes, time of the last change in ns, number


@dataclass(frozen=True)
class Avatar:
    """A clip that was prepared to speak."""

    name: str
    key: str  # SHA-256 of the clip's bytes, 64 hex digits
    created: float  # Unix time, s
    clip: Clip  # its path is `video`
    video: Path  # the store's own copy
    thumbnail: Path  # PNG, 256 x 256 px, of the face
    engines: tuple[str, ...]  # those that find everything they need with their usual settings
    bytes: int  # on the disk


@dataclass(frozen=True)
class Named:
    """A page of the store's list of names."""

    name: str
    key: str
    created: float  # Unix time, s
    page: Path


def check_name(name: str) -> str:
    """Return `name` without spaces around it, in Unicode's composed form.

    Raises InputError unless it has 1 to 60 letters (of any script), digits, spaces, - and _, and
    begins and ends with a letter or a digit. Names that differ in case only are the same name.
    """
    tidy = unicodedata.normalize("NFC", name).strip()
    is_sound = bool(tidy) and len(tidy) <= MAX_LETTERS and tidy[0].isalnum() and tidy[-1].isalnum()
    if not is_sound or not all(letter.isalnum() or letter in " -_" for letter in tidy):
        raise InputError(
            f"{name!r} cannot be an avatar's name; use up to {MAX_LETTERS} letters, digits, "
            "spaces, - and _, with a letter or digit first and last."
        )
    return tidy


class AvatarStore:
    """Avatars on this machine; safe to use from several threads and processes at once."""

    def __init__(self, home: Path | None = None) -> None:
        """Keep avatars in ``avatars`` under `home`, which is made when it is first written to.

        None is the user's data folder, see `places.data_folder`.
        """
        self.home = data_folder() if home is None else home.absolute()  # what `Request.home` takes
        self.folder = self.home / "avatars"
        self._hashed: dict[_Stamp, str] = {}  # what was read -> SHA-256
        self._checked: set[_Stamp] = set()  # what was found sound

    def list(self) -> tuple[Avatar, ...]:
        """Return all whole avatars, the newest first. Sizes are compared, files are not read."""
        avatars = []
        for named in self.names():
            try:
                avatars.append(self._describe(named))
            except DamagedError:
                continue  # `troubles` tells
        return tuple(sorted(avatars, key=lambda avatar: -avatar.created))

    def troubles(self) -> tuple[str, ...]:
        """Return a sentence on every avatar that `list` leaves out because it is damaged."""
        said = [
            f"{page} is damaged, so an avatar has lost its name; create it again from its clip."
            for page in self._lost_pages()
        ]
        for named in self.names():
            try:
                self._describe(named)
            except DamagedError as fault:
                said.append(
                    f"The avatar {named.name} is damaged ({fault}); it is made anew when you "
                    "create it again from the same clip, or remove it."
                )
        return tuple(said)

    def get(self, name: str) -> Avatar:
        """Return the avatar called `name`, whatever the case of its letters.

        Raises InputError where there is none, and where its clip is damaged. Other damage is mended
        by the job that meets it.
        """
        named = self.find_name(name)
        try:
            return self._describe(named, is_lenient=True)
        except DamagedError as fault:
            raise InputError(
                f"The avatar {named.name} is damaged ({fault}); create it again from its clip, or "
                "remove it."
            ) from fault

    def remove(self, name: str) -> int:
        """Delete the avatar called `name`; return the bytes freed.

        What another avatar has been made from as well stays. Raises InputError where there is none
        of that name or it is being worked on, OutputError where it cannot be deleted.
        """
        named = self.find_name(name)
        try:
            with self.lock(named.key).acquire(timeout=0):
                named.page.unlink(missing_ok=True)
                return self.drop_unnamed(named.key)
        except Timeout as error:
            raise InputError(
                f"The avatar {named.name} is being prepared by another process; wait or stop it "
                "first."
            ) from error
        except OSError as error:
            raise OutputError(
                f"The avatar {named.name} cannot be deleted from {self.folder} "
                f"({error.strerror}); check its permissions."
            ) from error

    def names(self) -> tuple[Named, ...]:
        """Return every name there is, damaged avatars' too; a page that cannot be read is none."""
        found = []
        for page in sorted(self._pages.glob("*.json")):
            try:
                told = read_sealed(page)
            except DamagedError:
                continue
            found.append(Named(str(told["name"]), str(told["key"]), float(told["created"]), page))
        return tuple(found)

    def find_name(self, name: str) -> Named:
        """Return the page of `name`. Raises InputError where there is none."""
        page = self._page_of(check_name(name))
        for named in self.names():
            if named.page == page:
                return named
        known = ", ".join(sorted(named.name for named in self.names()))
        if known:
            raise InputError(f"There is no avatar called {name!r}; choose one of: {known}.")
        raise InputError(f"There is no avatar called {name!r}; create one from a clip first.")

    def check_free(self, name: str, key: str | None = None) -> str:
        """Return the tidy `name` unless an avatar of another clip than `key` has it: InputError."""
        tidy = check_name(name)
        for named in self.names():
            if named.page == self._page_of(tidy) and named.key != key:
                raise InputError(
                    f"There is an avatar called {named.name} already, made from another clip; "
                    "choose another name, or remove that one first."
                )
        return tidy

    def bind(self, name: str, key: str) -> None:
        """Give the clip `key` a name; the lock of the clip must be held.

        Raises InputError where another clip has got it meanwhile.
        """
        self._pages.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self.folder / "locks" / "names.lock"):
            tidy = self.check_free(name, key)
            page = self._page_of(tidy)
            known = {named.page: named for named in self.names()}
            if page in known:
                return
            half = page.with_suffix(f".{secrets.token_hex(4)}.half")
            write_sealed(half, {"name": tidy, "key": key, "created": time.time()})
            os.replace(half, page)

    def find(self, video: Path) -> Generator[int, None, str | None]:
        """Yield bytes read; return the key of the avatar made from a clip with these very bytes.

        The clip is read only where its size is that of an avatar's, and only once as long as size
        and time stay the same. None: there is no such avatar, or the file cannot be read.
        """
        keys = {named.key for named in self.names()}
        try:
            size = video.stat().st_size
            if not any(self._clip_size(key) == size for key in keys):
                return None
            key = yield from self.hash(video)
        except (OSError, ValueError):  # the latter for a zero byte in the name
            return None  # whoever reads it next says what is wrong
        return key if key in keys else None

    def hash(self, video: Path) -> Generator[int, None, str]:
        """Yield bytes read so far; return the SHA-256 of a file, kept while it does not change."""
        stamp = _stamp(video)
        if stamp not in self._hashed:
            self._hashed[stamp] = yield from hash_file(video)
        return self._hashed[stamp]

    def check(self, held: Sealed) -> Generator[int, None, None]:
        """Compare a part's checksums, once as long as size and time of its files stay the same.

        Yields bytes read so far of each file. Raises DamagedError as `check_contents` does.
        """
        stamps = {_stamp(held.folder / name) for name in (MANIFEST, *held.files)}
        if not stamps <= self._checked:
            yield from check_contents(held)
            self._checked |= stamps

    def drop_useless(self, key: str) -> None:
        """Delete parts that are damaged or made by earlier editions, but never the clip's copy; its
        lock must be held."""
        for folder in _entries(self.folder / "clips" / key):
            try:
                is_useless = is_stale(open_sealed(folder))
            except DamagedError:
                is_useless = folder.name != CLIP
            if is_useless:
                self._discard(folder)

    def lock(self, key: str) -> FileLock:
        """Return the lock under which the folder of the clip `key` may be changed."""
        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # a generator may be started by one thread and closed by another
        return FileLock(folder / f"{key}.lock", thread_local=False)

    def part(self, key: str, name: str) -> Path:
        """Return where the part called `name` of the clip `key` lies, if it is there."""
        return self.folder / "clips" / key / name

    def parts(self, key: str) -> Iterator[Sealed]:
        """Yield the parts of the clip `key`. Raises DamagedError at one whose seal is broken."""
        for part in _entries(self.folder / "clips" / key):
            yield open_sealed(part)

    @contextmanager
    def building(self, key: str, name: str) -> Iterator[Path]:
        """Give a new folder; at the end of the block it becomes the part `name` of `key`.

        A part that is there already is replaced. If the body raises, or the generator it stands in
        is closed, nothing is left.
        """
        folder = self.folder / "building" / f"{key}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True, mode=0o700)
        final = self.part(key, name)
        try:
            yield folder
            final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._discard(final)
            folder.rename(final)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def drop_unnamed(self, key: str) -> int:
        """Delete the clip `key` if no name points to it; return the bytes freed.

        Its lock must be held.
        """
        folder = self.folder / "clips" / key
        if any(named.key == key for named in self.names()) or not folder.exists():
            return 0
        freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        self._discard(folder)
        return freed

    def sweep(self) -> None:
        """Delete what killed processes have left; what somebody works on now stays."""
        for left in self._leftovers():
            key = left.name.partition("-")[0]
            try:
                with self.lock(key).acquire(timeout=0):
                    if left.parent.name == "clips":
                        self.drop_unnamed(key)
                    else:
                        shutil.rmtree(left, ignore_errors=True)
            except Timeout:
                continue

    def _lost_pages(self) -> Iterator[Path]:
        known = {named.page for named in self.names()}
        return (page for page in self._pages.glob("*.json") if page not in known)

    def _leftovers(self) -> tuple[Path, ...]:
        named = {one.key for one in self.names()}
        clips, building = self.folder / "clips", self.folder / "building"
        unnamed = [path for path in _entries(clips) if path.name not in named]
        return (*unnamed, *_entries(building))

    def _discard(self, folder: Path) -> None:
        """Delete a folder that others may look at: it is gone at once, its files then."""
        if folder.exists():
            key = folder.name if folder.parent.name == "clips" else folder.parent.name
            doomed = self.folder / "building" / f"{key}-{secrets.token_hex(4)}"
            doomed.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(doomed)
            shutil.rmtree(doomed)

    @property
    def _pages(self) -> Path:
        return self.folder / "names"

    def _page_of(self, tidy: str) -> Path:
        # a digest fits every file system, whatever the script, case and length of the name
        digest = hashlib.sha256(tidy.casefold().encode()).hexdigest()
        return self._pages / f"{digest[:32]}.json"

    def _clip_size(self, key: str) -> int | None:
        """Return the bytes of an avatar's clip, as its manifest tells; None = it is damaged."""
        try:
            return open_sealed(self.part(key, CLIP)).size
        except (DamagedError, FileNotFoundError):
            return None

    def _describe(self, named: Named, is_lenient: bool = False) -> Avatar:
        """Return the avatar. Raises DamagedError; if `is_lenient`, only for a damaged clip."""
        try:
            held = open_sealed(self.part(named.key, CLIP))
        except FileNotFoundError as error:
            fault = "its clip is missing"
            raise DamagedError(fault) from error
        clip = clip_of(held)
        parts: tuple[Sealed, ...] = (held,)
        try:
            parts = tuple(self.parts(named.key))
            if not self.part(named.key, PORTRAIT).is_dir():
                fault = "its picture is missing"
                raise DamagedError(fault)
        except DamagedError:
            if not is_lenient:
                raise
        return Avatar(
            name=named.name,
            key=named.key,
            created=named.created,
            clip=clip,
            video=clip.path,
            thumbnail=self.part(named.key, PORTRAIT) / THUMBNAIL,
            engines=engines_served(clip, parts),
            bytes=sum(part.size for part in parts),
        )


def _stamp(path: Path) -> _Stamp:
    facts = path.stat()
    return str(path.absolute()), facts.st_size, facts.st_mtime_ns, facts.st_ino


def _entries(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.iterdir())) if folder.is_dir() else ()
