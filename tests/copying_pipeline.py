"""A pipeline for tests of the screen: every result is a copy of its clip, ten steps later."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

from lipsync.errors import InputError
from lipsync.media.probe import probe_clip
from lipsync.scan import Scan
from lipsync.types import FaceChoice, Progress, Request, Result, Skipped, SyncScore

SCORE = SyncScore("correlate", "A coarse judge.", 0.83, 1, Fraction(25), "in sync")


class Copier:
    """Offers what the screen uses of LipSyncPipeline."""

    def __init__(self, error: Exception | None = None, baseline: SyncScore | None = None) -> None:
        """`error` is raised in the middle of a job; without `baseline` no source has speech."""
        self.requests: list[Request] = []
        self.expected: list[Request] = []
        self.judged: list[tuple[float | None, float | None]] = []  # start and end, seconds
        self.asked: list[tuple[str, FaceChoice | None]] = []  # of whom, about which face
        self.closed = threading.Event()
        self._error = error
        self._baseline = baseline

    def sync(self, request: Request) -> Generator[Progress, None, None]:
        self.requests.append(request)
        try:
            for done in range(10):
                yield Progress("faces", done, 10, seconds_left=10.0 - done)
            if self._error is not None:
                raise self._error
            shutil.copy(request.video, request.output)
            clip = probe_clip(request.output)
            result = Result(
                output=request.output,
                num_frames=clip.num_frames,
                fps=clip.fps,
                size=clip.size,
                duration=clip.duration,
                score=SCORE if request.score else None,
                score_reason=None if request.score else "scoring was switched off",
                skipped=(Skipped(0.2, 0.4, "no face was found"),),
                timings={"faces": 1.0},
            )
            yield Progress("done", 1, 1, result=result)
        finally:
            self.closed.set()

    def expect(self, request: Request) -> float:
        self.expected.append(request)
        return 12.0 if request.part is None else request.part[1]

    def scan(self, video: Path) -> Generator[Scan, None, None]:
        yield Scan(probe_clip(video), 1.0, (), (), (), (), 0.01)

    def score_steps(
        self,
        video: Path,
        audio: Path | None = None,
        face: FaceChoice | None = None,
        *,
        start: float | None = None,
        end: float | None = None,
        judge: str = "auto",
    ) -> Generator[Progress, None, SyncScore]:
        self.judged.append((start, end))
        self.asked.append((judge, face))
        yield Progress("score", 0, 1)
        if self._baseline is None:
            raise InputError("The clip has no speech; score one with a voice.")
        return self._baseline
