"""What is being done to checkpoints in the background: fetched or verified, one errand each.

An errand belongs to the machine, not to the visitor who began it: it goes on when the page is
closed, every visitor sees how far it is, and whoever may begin one may stop it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal

from lipsync.errors import InputError, LipsyncError
from lipsync.weights import ModelStore, PullStep

Kind = Literal["fetch", "verify"]
Outcome = Literal["running", "stopped", "done", "failed", "broken"]

_PACE_SECONDS = 5.0  # the rate is that of so many last seconds


@dataclass(frozen=True)
class Errand:
    """How an errand stands, or how it ended."""

    kind: Kind
    outcome: Outcome = "running"  # "broken": through a bug of ours
    step: PullStep | None = None  # the last one while it runs
    rate: float | None = None  # bytes per second; None = not known yet
    trouble: str | None = None  # the store's own sentence, of one that failed
    is_stopping: bool = False  # asked to stop, and still at it

    @property
    def is_running(self) -> bool:
        return self.outcome == "running"

    @property
    def share(self) -> float | None:
        """How much of the file at hand is done, 0 to 1; None where nobody knows."""
        step = self.step
        if step is None or step.stage not in ("fetch", "check") or not step.total:
            return None
        return min(step.done / step.total, 1.0)

    @property
    def seconds_left(self) -> float | None:
        """How long the file at hand still takes at this rate."""
        step = self.step
        if step is None or step.total is None or not self.rate:
            return None
        return max(step.total - step.done, 0) / self.rate


class Errands:
    """The errands of this process: one at a time for a checkpoint, each in a thread of its own."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._errands: dict[str, Errand] = {}  # the last one of each checkpoint
        self._stops: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}

    def begin(self, key: str, kind: Kind) -> None:
        """Begin to fetch or verify a checkpoint; where an errand runs for it, that one goes on.

        Returns at once. Raises InputError for an unknown key.
        """
        self._store.checkpoint(key)
        with self._lock:
            if self._is_busy(key):
                return
            stop = self._stops[key] = threading.Event()
            self._errands[key] = Errand(kind)
            # a thread that a quitting app does not wait for: what has arrived is kept anyway
            thread = threading.Thread(target=self._run, args=(key, kind, stop), daemon=True)
            self._threads[key] = thread
            thread.start()

    def stop(self, key: str) -> None:
        """Ask the errand of a checkpoint, if there is one, to stop; returns at once."""
        with self._lock:
            if key in self._stops:
                self._stops[key].set()

    def find(self, key: str) -> Errand | None:
        """Return the running or else the last errand of a checkpoint; None where there was none."""
        with self._lock:
            errand = self._errands.get(key)
            if errand is None or not errand.is_running:
                return errand
            return replace(errand, is_stopping=self._stops[key].is_set())

    def is_any_running(self) -> bool:
        """Return whether anything is being fetched or verified."""
        with self._lock:
            return any(errand.is_running for errand in self._errands.values())

    def remove(self, key: str) -> int:
        """Delete a checkpoint as `ModelStore.remove` does; return the bytes freed.

        Raises InputError also while an errand runs for it.
        """
        checkpoint = self._store.checkpoint(key)
        with self._lock:
            if self._is_busy(key):
                raise InputError(
                    f"{checkpoint.title} is being fetched or verified; stop that first."
                )
            freed = self._store.remove(key)
            self._errands.pop(key, None)
        return freed

    def close(self) -> None:
        """Stop every errand and wait until all have ended."""
        with self._lock:
            threads = list(self._threads.values())
            for stop in self._stops.values():
                stop.set()
        for thread in threads:
            thread.join()

    def _is_busy(self, key: str) -> bool:
        errand = self._errands.get(key)
        return errand is not None and errand.is_running

    def _run(self, key: str, kind: Kind, stop: threading.Event) -> None:
        steps = self._store.pull(key) if kind == "fetch" else self._store.verify(key)
        pace, ended = _Pace(), Errand(kind, "broken")
        try:
            with closing(steps):
                for step in steps:
                    if stop.is_set():
                        ended = Errand(kind, "stopped")
                        break
                    self._note(key, Errand(kind, step=step, rate=pace.measure(step)))
                else:
                    ended = Errand(kind, "done")
        except LipsyncError as error:
            ended = Errand(kind, "failed", trouble=str(error))
        finally:
            self._note(key, ended)

    def _note(self, key: str, errand: Errand) -> None:
        with self._lock:
            self._errands[key] = errand


class _Pace:
    """How many bytes of the file at hand come in a second."""

    def __init__(self) -> None:
        self._file: tuple[str, str] | None = None
        self._seen: deque[tuple[float, int]] = deque()  # (time, bytes)

    def measure(self, step: PullStep) -> float | None:
        """Take note of `step`; return bytes per second, None where it is too early to say."""
        now = time.monotonic()
        if (step.stage, step.name) != self._file:
            self._file = step.stage, step.name
            self._seen.clear()
        self._seen.append((now, step.done))
        while now - self._seen[0][0] > _PACE_SECONDS and len(self._seen) > 2:
            self._seen.popleft()
        began, done = self._seen[0]
        return (step.done - done) / (now - began) if step.done > done and now > began else None
