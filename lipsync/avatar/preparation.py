"""Making an avatar, and what one still lacks, step by step and one process at a time.

A part that is here and sound is used; one that is damaged is made anew, and a sentence tells so.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import Timeout

from lipsync.avatar.parts import (
    CLIP,
    PORTRAIT,
    THUMBNAIL,
    VIDEO,
    Need,
    clip_facts,
    clip_of,
)
from lipsync.avatar.prepared import (
    Aligned,
    Prepared,
    align_people,
    load_aligned,
    load_crops,
    load_faces,
    save_aligned,
    save_faces,
)
from lipsync.avatar.sealed import (
    DamagedError,
    Sealed,
    name_folder,
    open_sealed,
    seal_folder,
)
from lipsync.avatar.store import Avatar, AvatarStore, check_name
from lipsync.errors import InputError, OutputError
from lipsync.face.align import TEMPLATES, crop_face
from lipsync.face.detect import Detector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.scenes import leave_out_profiles
from lipsync.face.thumbnails import face_thumbnail
from lipsync.face.track import Tracks, choose_face
from lipsync.media.frames import read_frames
from lipsync.steps import map_steps
from lipsync.types import Clip, FaceChoice, FaceTrack

OpenDetector = Callable[[], AbstractContextManager[Detector]]

_LOOK_AGAIN = 0.2  # s between two looks whether another process has finished
_BLOCK = 4 << 20  # bytes
_PORTRAIT_SIDE = 256  # px
_ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".gif")


@dataclass(frozen=True)
class Step:
    """How far the making of an avatar is."""

    stage: Literal["wait", "check", "copy", "faces", "align", "crops"]
    done: int
    total: int


Steps = Generator[Step, None, Sealed]


def create(
    store: AvatarStore, name: str, clip: Clip, need: Need, lend: OpenDetector
) -> Generator[Step, None, Avatar]:
    """Prepare `clip` as the avatar `name`; yield steps, return the avatar.

    `clip` is seen at the rate of `need`; `lend` lends a detector. Closing the generator stops it
    and leaves nothing. Raises InputError where the name will not do or no face is found,
    OutputError where the store cannot be written.
    """
    check_name(name)  # before anything is read
    size = clip.path.stat().st_size
    with _storing(store):
        key = yield from map_steps(lambda done: Step("check", done, size), store.hash(clip.path))
        name = store.check_free(name, key)
        store.sweep()
        with (yield from _hold(store, key)):
            try:
                held = yield from _keep_clip(store, key, clip)
                seen = replace(clip, path=clip_of(held).path)
                yield from _keep_parts(store, key, seen, need, lend, [])
                store.drop_useless(key)
                store.bind(name, key)
            finally:
                store.drop_unnamed(key)
    return store.get(name)


def complete(
    store: AvatarStore, key: str, clip: Clip, need: Need, lend: OpenDetector
) -> Generator[Step, None, tuple[Prepared, tuple[str, ...]]]:
    """Return what a job needs of the avatar of `clip`, made now where it is lacking; and notes.

    Yields steps. Raises InputError where the avatar has been removed meanwhile, OutputError where
    the store cannot be written.
    """
    faults: list[str] = []
    with _storing(store), (yield from _hold(store, key)):
        if not any(named.key == key for named in store.names()):
            raise InputError(
                "The avatar of this clip was removed just now; start again, and its face is looked "
                "for as in any other clip."
            )
        prepared = yield from _keep_parts(store, key, clip, need, lend, faults)
        store.drop_useless(key)
    return prepared, tuple(
        f"What was prepared of this clip was damaged ({fault}) and was made anew."
        for fault in faults
    )


@contextmanager
def _storing(store: AvatarStore) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The avatar cannot be kept in {store.folder} ({error.strerror}); free some space "
            "there, or choose another place in LIPSYNC_HOME."
        ) from error


def _hold(store: AvatarStore, key: str) -> Generator[Step, None, AbstractContextManager[object]]:
    """Wait until nobody else works on a clip's avatar; return its lock, held until it is left."""
    lock = store.lock(key)
    while True:
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            yield Step("wait", 0, 0)
            time.sleep(_LOOK_AGAIN)


def _keep(
    store: AvatarStore,
    key: str,
    name: str,
    of: Mapping[str, Any],
    make: Callable[[Path], Generator[Step, None, Mapping[str, Any]]],
    faults: list[str],
) -> Steps:
    """Return a sound part, made now if there is none; what was wrong goes into `faults`."""
    try:
        held = open_sealed(store.part(key, name))
        yield from map_steps(lambda done: Step("check", done, held.size), store.check(held))
        return held
    except FileNotFoundError:
        pass
    except DamagedError as fault:
        faults.append(str(fault))
    with store.building(key, name) as folder:
        found = yield from make(folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
        yield from map_steps(lambda done: Step("check", done, size), seal_folder(folder, of, found))
    return open_sealed(store.part(key, name))


def _keep_clip(store: AvatarStore, key: str, clip: Clip) -> Steps:
    """Keep a copy of the clip's file, and what probing it told."""

    def copy(folder: Path) -> Generator[Step, None, Mapping[str, Any]]:
        size = clip.path.stat().st_size
        name = VIDEO + _ending(clip)
        digest = hashlib.sha256()
        done = 0
        with clip.path.open("rb") as source, (folder / name).open("wb") as copied:
            while block := source.read(_BLOCK):
                copied.write(block)
                digest.update(block)
                done += len(block)
                yield Step("copy", min(done, size), size)
        if digest.hexdigest() != key:
            raise InputError(f"{clip.path.name} changed while it was read; try again.")
        return {"file": name, "clip": clip_facts(clip)}

    return _keep(store, key, CLIP, {}, copy, [])


def _ending(clip: Clip) -> str:
    """Return the ending of the copy's name: the clip's own if it is an ordinary one."""
    if clip.is_still:
        return f".{clip.codec}" if clip.codec in ("png", "jpeg", "webp") else ".heic"
    ending = clip.path.suffix.lower()
    return ending if ending in _ENDINGS else ".mp4"


def _keep_parts(
    store: AvatarStore, key: str, clip: Clip, need: Need, lend: OpenDetector, faults: list[str]
) -> Generator[Step, None, Prepared]:
    """Keep what `need` asks for, and return it."""

    def look(folder: Path) -> Generator[Step, None, Mapping[str, Any]]:
        gallery, total = Gallery(need.references), clip.num_frames
        with lend() as detector:
            following = follow_faces(clip, range(total), detector, gallery)
            tracks = yield from map_steps(lambda done: Step("faces", done, total), following)
        choose_face(tracks, FaceChoice(), clip.size, clip.fps)  # nobody, or too small: no avatar
        save_faces(folder, tracks, gallery.album())
        return {}

    faces = yield from _keep_named(store, key, "faces", need.faces, look, faults)
    tracks, album = load_faces(faces, clip.num_frames)
    yield from _keep_portrait(store, key, clip, tracks, faults)
    template = TEMPLATES[need.template]

    def align(folder: Path) -> Generator[Step, None, Mapping[str, Any]]:
        total = len(tracks.landmarks)
        aligning = align_people(tracks, template, need.side)
        aligned = yield from map_steps(lambda done: Step("align", done, total), aligning)
        save_aligned(folder, aligned)
        return {}

    held = yield from _keep_named(store, key, "aligned", need.aligned, align, faults)
    aligned = load_aligned(held)
    if not need.keeps_crops:
        return Prepared(tracks, album, aligned, None)

    def crop(folder: Path) -> Generator[Step, None, Mapping[str, Any]]:
        yield from _save_crops(folder, clip, _usual_face(tracks, clip), aligned)
        return {}

    crops = yield from _keep_named(store, key, "crops", need.crops, crop, faults)
    return Prepared(tracks, album, aligned, load_crops(crops))


def _keep_named(
    store: AvatarStore,
    key: str,
    kind: str,
    of: Mapping[str, Any],
    make: Callable[[Path], Generator[Step, None, Mapping[str, Any]]],
    faults: list[str],
) -> Steps:
    return _keep(store, key, name_folder(kind, of), of, make, faults)


def _keep_portrait(
    store: AvatarStore, key: str, clip: Clip, tracks: Tracks, faults: list[str]
) -> Steps:
    """Keep a small picture of the face from the middle of where it is seen."""

    def draw(folder: Path) -> Generator[Step, None, Mapping[str, Any]]:
        from PIL import Image

        track = _usual_face(tracks, clip)
        rows = np.flatnonzero(track.present)
        row = int(rows[len(rows) // 2])
        (frame,) = read_frames(clip, [row])
        picture = face_thumbnail(frame, track.boxes[row], _PORTRAIT_SIDE)
        Image.fromarray(picture).save(folder / THUMBNAIL)
        yield Step("align", 0, len(tracks.landmarks))
        return {}

    return _keep(store, key, PORTRAIT, {}, draw, faults)


def _usual_face(tracks: Tracks, clip: Clip) -> FaceTrack:
    """Return the face that a job takes by itself, where it can speak."""
    track = choose_face(tracks, FaceChoice(), clip.size, clip.fps)
    turned_away, _ = leave_out_profiles(track)
    return turned_away if turned_away.present.any() else track


def _save_crops(
    folder: Path, clip: Clip, track: FaceTrack, aligned: Aligned
) -> Generator[Step, None, None]:
    """Write the crops of every row of `track`, in which they are aligned."""
    rows = np.flatnonzero(track.present)
    places = track.landmarks.places[rows]
    is_aligned = aligned.runs[places] >= 0
    rows, places = rows[is_aligned], places[is_aligned]
    side = int(aligned.sides.max(initial=1))
    numbers = np.full(len(aligned.runs), -1, np.int32)
    numbers[places] = np.arange(len(places))
    np.save(folder / "numbers.npy", numbers)
    shape = (len(rows), side, side, 3)
    pictures = np.lib.format.open_memmap(folder / "pictures.npy", "w+", np.uint8, shape)
    for count, frame in enumerate(read_frames(clip, rows.tolist())):
        pictures[count] = crop_face(frame, aligned.matrices[places[count]], side)
        yield Step("crops", count + 1, len(rows))
    pictures.flush()
