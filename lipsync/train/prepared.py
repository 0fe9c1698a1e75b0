"""Prepared videos on the disk: one folder each, named by the content of the file it was made of.

    DATA/3f9a…/faces.npy   (N, 96, 96, 3) uint8 RGB, the runs' frames end to end
    DATA/3f9a…/mel.npy     (M, 80) float32, 80 rows a second from the file's time 0 on
    DATA/3f9a…/facts.json  name, runs, lengths, how it was made

A folder of such a name is whole: it is written under another one and renamed at the end. Arrays
are mapped, so a window reads its own few kilobytes only, and a large set needs no memory.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lipsync.audio.mel import NUM_MELS
from lipsync.engines.wav2lip.units import SIDE
from lipsync.errors import InputError

RATE = 25  # frames a second
TEMPLATE = "wav2lip"  # key of face.align.TEMPLATES: the crop is the engine's own
NAME_LENGTH = 24  # hex digits of the content's SHA-256
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

_FORMAT = 1  # of the folder; another one is prepared anew
_FACES, _MEL, _FACTS = "faces.npy", "mel.npy", "facts.json"
_VAL_SHARE, _TEST_SHARE = 0.05, 0.05  # of all videos


@dataclass(frozen=True)
class PreparedVideo:
    """One video's folder, its arrays not yet read."""

    folder: Path
    name: str  # of the file it was made of, for people
    runs: tuple[range, ...]  # frames at 25 fps in which the face is there without a break
    num_columns: int  # rows of the mel

    def faces(self) -> np.ndarray:
        """Map the (N, 96, 96, 3) uint8 RGB faces, the runs' frames end to end."""
        return _map(self.folder / _FACES)

    def mel(self) -> np.ndarray:
        """Map the (M, 80) float32 mel."""
        return _map(self.folder / _MEL)


def write_video(
    folder: Path, name: str, runs: Sequence[range], faces: np.ndarray, mel: np.ndarray
) -> None:
    """Write mel (M, 80) and facts into `folder`, where `faces` (`new_faces`) already lie."""
    np.save(folder / _MEL, mel.astype(np.float32))
    facts = {
        "format": _FORMAT,
        "template": TEMPLATE,
        "name": name,
        "runs": [[run.start, run.stop] for run in runs],
        "faces": len(faces),
        "columns": len(mel),
    }
    (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def new_faces(folder: Path, count: int) -> np.memmap:
    """Make the file of `count` faces in `folder`; return it mapped, (count, 96, 96, 3) uint8."""
    shape = (count, SIDE, SIDE, 3)
    return np.lib.format.open_memmap(folder / _FACES, mode="w+", dtype=np.uint8, shape=shape)


def is_current(folder: Path) -> bool:
    """Tell whether `folder` is a whole prepared video of this program's own form."""
    facts = folder / _FACTS
    if not facts.is_file():
        return False
    found = _read_facts(facts)
    return found.get("format") == _FORMAT and found.get("template") == TEMPLATE


def open_videos(data: Path) -> tuple[PreparedVideo, ...]:
    """Return all prepared videos, by content; every array's shape has been looked at.

    Raises InputError where there are none, and for one that is damaged or of an older form.
    """
    folders = sorted(path for path in data.glob("*") if is_video_name(path.name))
    if not folders:
        raise InputError(
            f"{data} holds no prepared video; make some with `python -m lipsync prepare wav2lip "
            f"FOLDER {data}`."
        )
    return tuple(_open_video(folder) for folder in folders)


def is_video_name(name: str) -> bool:
    """Tell whether a folder's name is that of a prepared video."""
    return re.fullmatch(f"[0-9a-f]{{{NAME_LENGTH}}}", name) is not None


def choose_split(videos: Sequence[PreparedVideo], split: Split) -> tuple[PreparedVideo, ...]:
    """Return the part of `videos`, as `open_videos` gives them, that belongs to `split`.

    A twentieth each is for validation and test; the latter no recipe looks at. Where a video
    belongs follows from its content, so that it stays there when others come; only a set too small
    to have one by that rule gives up the first of those it would train on.
    """
    places = [_place_of(video.folder.name) for video in videos]
    lacking: tuple[Split, ...] = ("val", "test")
    for needed in lacking:
        if needed not in places and places.count("train") > 1:
            places[places.index("train")] = needed
    return tuple(v for v, place in zip(videos, places, strict=True) if place == split)


def fingerprint(videos: Sequence[PreparedVideo]) -> str:
    """Return 16 hex digits that change when one of the videos does."""
    names = " ".join(video.folder.name for video in videos)
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _place_of(name: str) -> Split:
    share = int(name[:8], 16) / 16**8
    if share < _VAL_SHARE:
        return "val"
    return "test" if share < _VAL_SHARE + _TEST_SHARE else "train"


def _open_video(folder: Path) -> PreparedVideo:
    if not is_current(folder):
        raise InputError(
            f"{folder} was prepared in an older form, or is no prepared video; delete it and run "
            "`python -m lipsync prepare wav2lip` again."
        )
    facts = _read_facts(folder / _FACTS)
    try:
        runs = tuple(range(start, stop) for start, stop in facts["runs"])
        video = PreparedVideo(folder, str(facts["name"]), runs, int(facts["columns"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, _FACTS) from error
    wanted = {
        _FACES: (sum(len(run) for run in runs), SIDE, SIDE, 3),
        _MEL: (video.num_columns, NUM_MELS),
    }
    for name, shape in wanted.items():
        if _map(folder / name).shape != shape:
            raise _damaged(folder, name)
    return video


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path.parent, path.name) from error
    if not isinstance(facts, dict):
        raise _damaged(path.parent, path.name)
    return facts


def _map(path: Path) -> np.ndarray:
    try:
        found: np.ndarray = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path.parent, path.name) from error
    return found


def _damaged(folder: Path, name: str) -> InputError:
    return InputError(
        f"{name} of the prepared video {folder} is missing or damaged; delete that folder and run "
        "`python -m lipsync prepare wav2lip` again."
    )
