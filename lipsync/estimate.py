"""How long a job will still take, from the speed of what it has done."""

from __future__ import annotations

import time
from collections.abc import Mapping

# seconds per frame on a small machine, until this job has been measured
_USUAL = {"faces": 0.012, "voice": 0.006, "generate": 0.045, "score": 0.012}
_ENOUGH = 10  # frames of a stage after which its own speed is believed


class TimeLeft:
    """Turn counts of finished work into seconds left and seconds per stage."""

    def __init__(self, work: Mapping[str, int]) -> None:
        """`work` is the number of frames each stage has to do, in order."""
        self._work = dict(work)
        self._spent: dict[str, float] = {}
        self._done: dict[str, int] = {}
        self._started = time.monotonic()
        self._stage: str | None = None

    def begin(self, stage: str) -> None:
        """Start the clock of a stage; the one before it ends."""
        self.end()
        self._stage, self._started = stage, time.monotonic()

    def end(self) -> None:
        """Stop the clock of the running stage."""
        if self._stage is not None:
            self._spent[self._stage] = time.monotonic() - self._started
            self._done[self._stage] = self._work.get(self._stage, 0)
        self._stage = None

    def seconds_left(self, done: int) -> float:
        """Return the expected rest of the job, `done` frames into the running stage."""
        spent, finished = dict(self._spent), dict(self._done)
        if self._stage is not None:
            spent[self._stage] = time.monotonic() - self._started
            finished[self._stage] = done
        # the first frames of a job wait for models to load and say nothing of its pace
        measured = [s for s in finished if s in _USUAL and finished[s] >= _ENOUGH]
        usual = sum(_USUAL[s] * finished[s] for s in measured)
        pace = sum(spent[s] for s in measured) / usual if usual else 1.0
        left = 0.0
        for stage, total in self._work.items():
            rate = _USUAL[stage] * pace
            if stage in measured:
                rate = spent[stage] / finished[stage]
            left += rate * max(total - finished.get(stage, 0), 0)
        return left

    @property
    def timings(self) -> dict[str, float]:
        """Seconds spent per finished stage."""
        return dict(self._spent)
