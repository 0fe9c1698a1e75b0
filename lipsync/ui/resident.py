"""The one pipeline of the app: made at the first need, then shared by every visitor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Protocol

from lipsync.avatar.store import Avatar, AvatarStore
from lipsync.scan import Scan
from lipsync.types import FaceChoice, Progress, Request, SyncScore


class Pipeline(Protocol):
    """The part of LipSyncPipeline that the screen uses."""

    def sync(self, request: Request) -> Generator[Progress, None, None]: ...

    def expect(self, request: Request) -> float: ...

    def scan(self, video: Path) -> Generator[Scan, None, None]: ...

    def score_steps(
        self,
        video: Path,
        audio: Path | None = None,
        face: FaceChoice | None = None,
        *,
        start: float | None = None,
        end: float | None = None,
        judge: str = "auto",
    ) -> Generator[Progress, None, SyncScore]: ...

    def create_avatar(
        self,
        name: str,
        video: Path,
        engine: str = "draft",
        settings: Mapping[str, Any] = ...,
        store: AvatarStore | None = None,
    ) -> Generator[Progress, None, Avatar]: ...


class Resident:
    """Calls `make_pipeline` once, whoever asks first, and gives everybody the same one."""

    def __init__(self, make_pipeline: Callable[[], Pipeline]) -> None:
        self._make = make_pipeline
        self._lock = threading.Lock()
        self._pipeline: Pipeline | None = None

    def __call__(self) -> Pipeline:
        """Return the pipeline; it has loaded no model before its first job."""
        with self._lock:
            if self._pipeline is None:
                self._pipeline = self._make()
            return self._pipeline
