"""Rows of a bench: speaking with an avatar beside the same job without one, in the same run.

Both jobs run on one pipeline whose models are resident, one after the other; of `repeats` the
least counts. Decoding and encoding the result are in every figure: an avatar saves neither.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from lipsync.avatar.store import AvatarStore
from lipsync.bench.rows import Row
from lipsync.engines import create_engine
from lipsync.pipeline import LipSyncPipeline
from lipsync.residence import Residence
from lipsync.steps import exhaust
from lipsync.types import Engine, Generated, Request, Scene, Window, Working


@dataclass(frozen=True)
class Spent:
    """Seconds of wall time that one job took."""

    stages: Mapping[str, float]  # as in `Result.timings`
    generator: float  # within the engine's `generate`, without waiting for its windows

    @property
    def whole(self) -> float:
        """All stages."""
        return sum(self.stages.values())

    @property
    def preparing(self) -> float:
        """Everything before the first frame is painted."""
        return self.stages["faces"] + self.stages["voice"]


class _Timer:
    """An engine that another one does the work of, with a clock on its generator."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(
        self, scene: Scene, windows: Iterable[Window], settings: Any, rng: torch.Generator
    ) -> Iterator[Generated | Working]:
        """As the engine's own."""
        waited = 0.0

        def wait() -> Iterator[Window]:
            nonlocal waited
            taken = iter(windows)
            while True:
                began = time.perf_counter()
                window = next(taken, None)
                waited += time.perf_counter() - began
                if window is None:
                    return
                yield window

        work = iter(self._engine.generate(scene, wait(), settings, rng))
        while True:
            began, waited = time.perf_counter(), 0.0
            generated = next(work, None)
            self.seconds += time.perf_counter() - began - waited
            if generated is None:
                return
            yield generated


def measure_avatar(
    clip: Path,
    voice: Path,
    engine: str = "draft",
    settings: Mapping[str, Any] | None = None,
    *,
    residence: Residence | None = None,
    score: bool = True,
    repeats: int = 2,
) -> Iterator[Row]:
    """Yield rows in seconds: the whole job, the job without its generator, and what comes before
    the generator; ours with the avatar, plain without.

    Models come from `residence` (None: one of its own). Raises LipsyncError as jobs do.
    """
    residence = residence or Residence()
    with tempfile.TemporaryDirectory(prefix="lipsync-bench-") as name:
        store, out = AvatarStore(Path(name)), Path(name) / "out.mp4"
        request = Request(clip, voice, out, engine, settings or {}, score=score)
        timer = _Timer(create_engine(engine, residence))
        engines = {engine: cast(Engine, timer)}
        with (
            closing(LipSyncPipeline(engines=engines, residence=residence)) as plain,
            closing(LipSyncPipeline(engines=engines, residence=residence, avatars=store)) as ours,
        ):
            exhaust(plain.create_avatar("bench", clip, engine, settings or {}, store))
            _run(plain, request, timer)  # what stays loaded is loaded now
            _run(ours, request, timer)
            jobs = [
                (_run(ours, request, timer), _run(plain, request, timer)) for _ in range(repeats)
            ]
    with_avatar, without = (
        min(jobs, key=lambda one: one.whole) for jobs in zip(*jobs, strict=True)
    )
    where = f"{engine}, {clip.stem}{'' if score else ', no score'}"
    for step, what in (
        ("a speech", lambda spent: spent.whole),
        ("a speech without the generator", lambda spent: spent.whole - spent.generator),
        ("what comes before the generator", lambda spent: spent.preparing),
    ):
        yield Row(f"{step} ({where})", "without an avatar", what(with_avatar), what(without), "s")


def _run(pipeline: LipSyncPipeline, request: Request, timer: _Timer) -> Spent:
    timer.seconds = 0.0
    for progress in pipeline.sync(request):
        result = progress.result
    assert result is not None
    return Spent(result.timings, timer.seconds)
