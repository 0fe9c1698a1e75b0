"""Whole jobs for tests of the pipeline: run and checked, with an engine that is written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from lipsync import LipSyncPipeline, Request, Result
from lipsync.engines import ENGINES
from lipsync.engines.draft.engine import DraftEngine
from lipsync.errors import InputError, LipsyncError
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip
from lipsync.residence import Residence
from lipsync.types import Frame, Generated, Progress, Scene, Window

GAP = slice(14, 24)  # frames of the fixture `gap_clip` in which a grey board hides everything


def run(pipeline: LipSyncPipeline, request: Request) -> Result:
    """Run a job and check that its progress makes sense."""
    seen = list(pipeline.sync(request))
    assert_sensible(seen)
    assert seen[-1].result is not None
    assert request.output.is_file()
    return seen[-1].result


def refuse(
    pipeline: LipSyncPipeline, request: Request, kind: type[LipsyncError] = InputError
) -> str:
    """Run a job that must be refused and leave no file; return the sentence it is told."""
    before = sorted(request.output.parent.iterdir())
    with pytest.raises(kind) as refused:
        list(pipeline.sync(request))
    assert sorted(request.output.parent.iterdir()) == before
    sentence = str(refused.value)
    assert sentence.endswith(".")
    return sentence


def assert_sensible(seen: list[Progress]) -> None:
    stages = list(dict.fromkeys(progress.stage for progress in seen))
    allowed = ["probe", "faces", "voice", "generate", "score", "done"]
    assert stages == [stage for stage in allowed if stage in stages]
    assert all(progress.result is None for progress in seen[:-1])
    for progress in seen:
        assert 0 <= progress.done <= progress.total
        assert progress.seconds_left is None or progress.seconds_left >= 0
        if progress.preview is not None:
            assert progress.preview.dtype == np.uint8
            assert max(progress.preview.shape) <= 360
    assert seen[-1].seconds_left == 0.0


def frames_of(path: Path, numbers: Iterable[int] | None = None) -> list[Frame]:
    return list(read_frames(probe_clip(path), numbers))


def same(one: Frame, other: Frame) -> bool:
    pairs = ((one.y, other.y), (one.u, other.u), (one.v, other.v))
    return all(np.array_equal(a, b) for a, b in pairs)


class WatchedEngine(DraftEngine):
    """The draft engine, written down: which crops it was shown and which masks it gave."""

    spec = dataclasses.replace(DraftEngine.spec, name="watched")
    made: ClassVar[int] = 0
    scenes: ClassVar[list[Scene]] = []
    masks: ClassVar[list[np.ndarray]] = []

    def __init__(self, residence: Residence | None = None) -> None:
        super().__init__(residence)
        type(self).made += 1

    def generate(
        self, scene: Scene, windows: Iterable[Window], settings: Any, rng: torch.Generator
    ) -> Generator[Generated, None, None]:
        self.scenes.append(scene)
        for generated in super().generate(scene, windows, settings, rng):
            assert generated.masks is not None
            self.masks.extend(generated.masks)
            yield generated


def watch_engine(monkeypatch: pytest.MonkeyPatch) -> type[WatchedEngine]:
    """Register the watched engine for one test, with nothing written down yet."""
    monkeypatch.setitem(ENGINES, "watched", "watched_jobs:WatchedEngine")
    WatchedEngine.made = 0
    WatchedEngine.scenes.clear()
    WatchedEngine.masks.clear()
    return WatchedEngine
