"""Avatars for tests: one made once, copied where a test wants to spoil it, and calls counted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lipsync.avatar.prepared
import lipsync.face.speaker
from lipsync import LipSyncPipeline
from lipsync.avatar.store import Avatar, AvatarStore
from lipsync.face.align import align_track
from lipsync.face.detect import MediaPipeDetector, Picture
from lipsync.steps import exhaust
from lipsync.types import Face


def make_avatar(
    pipeline: LipSyncPipeline, home: Path, clip: Path, name: str = "Ada", **options: Any
) -> Avatar:
    """Prepare `clip` in a store at `home`."""
    return exhaust(pipeline.create_avatar(name, clip, store=AvatarStore(home), **options))


def copy_home(home: Path, place: Path) -> AvatarStore:
    """Return a store with the same content in a folder of its own."""
    shutil.copytree(home, place)
    return AvatarStore(place)


def files_of(home: Path) -> list[str]:
    """Return the files of a home but its locks, which are empty."""
    return sorted(
        str(path.relative_to(home))
        for path in home.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


def spoil(path: Path) -> None:
    """Turn one bit over; the size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class Counted:
    """How often faces were looked for and a segment was aligned, by the real functions."""

    def __init__(self) -> None:
        self.looks = self.alignments = 0

    def take(self) -> tuple[int, int]:
        """Return both counts and begin anew."""
        counts = self.looks, self.alignments
        self.looks = self.alignments = 0
        return counts


def count_work(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Count what detectors and alignment do from now on, in the whole process."""
    counted = Counted()
    detect = MediaPipeDetector.detect

    def counting_detect(self: MediaPipeDetector, image: Picture) -> list[Face]:
        counted.looks += 1
        return detect(self, image)

    def counting_align(*arguments: Any) -> Any:
        counted.alignments += 1
        return align_track(*arguments)

    monkeypatch.setattr(MediaPipeDetector, "detect", counting_detect)
    monkeypatch.setattr(lipsync.face.speaker, "align_track", counting_align)
    monkeypatch.setattr(lipsync.avatar.prepared, "align_track", counting_align)
    return counted


def parts_of(avatar: Avatar) -> Iterator[Path]:
    """Yield the folders that an avatar is made of."""
    yield from sorted(avatar.video.parents[1].iterdir())
