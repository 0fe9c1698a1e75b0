"""How long a job will take: before it starts from what is usual, then from its own speed.

The usual costs were fitted to three real clips (0.26 to 2.1 megapixels) on two idle cores of a
cloud machine, where they predict two further clips within 13 %. What a `Speed` sees of this
machine scales them; an engine's own cost is learned from its finished jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from lipsync.types import Size

_ENOUGH = 10  # frames of a stage that tell something of the machine
_BELIEF = 15  # frames that an expectation weighs beside what is measured, or it would jump about
_MEMORY = 0.5  # weight that earlier jobs keep beside the newest
_SLOWEST, _FASTEST = 20.0, 0.05  # times the usual; a measure beyond that was an accident
LOADING_SECONDS = 3.0  # until models are resident


@dataclass(frozen=True)
class Cost:
    """Seconds that a stage takes for one frame: a fixed part and one for each megapixel."""

    fixed: float
    megapixel: float

    def of(self, size: Size) -> float:
        """Return seconds for one frame of `size`."""
        return self.fixed + self.megapixel * size.height * size.width / 1e6


_USUAL = {
    "faces": Cost(0.0145, 0.0020),
    "voice": Cost(0.008, 0.0),
    "generate": Cost(0.0150, 0.0072),
    "score": Cost(0.0085, 0.0),
}
_FIND = Cost(0.0085, 0.0005)  # the detector alone, which is what a scan's pace measures


@dataclass(frozen=True)
class Work:
    """What a job has to do."""

    size: Size  # of the frames
    frames: Mapping[str, int]  # per stage, in order
    engine: str = ""
    pace: float = 0.0  # s per frame that the engine expects beside the usual


class Speed:
    """What has been seen of this machine's speed; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pace: float | None = None  # of jobs, times the usual
        self._scanned: float | None = None  # of the last scan, times the usual
        # engine -> expected -> seen s per frame beside the usual
        self._extra: dict[str, dict[float, float]] = {}

    def rates(self, work: Work) -> dict[str, float]:
        """Return the expected seconds per frame of each stage."""
        with self._lock:
            factor = self._pace or self._scanned or 1.0
            extra = _nearest(self._extra.get(work.engine, {}), work.pace)
        rates = {stage: factor * _USUAL[stage].of(work.size) for stage in work.frames}
        if "generate" in rates:
            rates["generate"] = max(rates["generate"] + extra, 0.1 * rates["generate"])
        return rates

    def expect(self, work: Work) -> float:
        """Return the expected seconds of a whole job, models being resident."""
        return seconds_of(work.frames, self.rates(work))

    def take_scan(self, size: Size, pace: float) -> None:
        """Take a scan's `pace`: seconds to find the faces of one frame of `size`, 0 = not measured.

        It counts until a job has been finished.
        """
        if pace:
            with self._lock:
                self._scanned = _bounded(pace / _FIND.of(size))

    def learn(self, work: Work, timings: Mapping[str, float]) -> None:
        """Take the seconds that each stage of a finished job has taken."""
        usual = {stage: _USUAL[stage].of(work.size) for stage in work.frames}
        # neither waits for anybody, and no engine has a part in them
        seen = [s for s in ("faces", "score") if work.frames.get(s, 0) >= _ENOUGH and s in timings]
        with self._lock:
            if seen:
                spent = sum(timings[stage] for stage in seen)
                pace = _bounded(spent / sum(usual[s] * work.frames[s] for s in seen))
                self._pace = pace if self._pace is None else _mixed(self._pace, pace)
            if work.frames.get("generate", 0) >= _ENOUGH and "generate" in timings:
                one = timings["generate"] / work.frames["generate"]
                extra = one - (self._pace or 1.0) * usual["generate"]
                known = self._extra.setdefault(work.engine, {})
                known[work.pace] = _mixed(known.get(work.pace, extra), extra)


def seconds_of(frames: Mapping[str, int], rates: Mapping[str, float]) -> float:
    """Return the seconds that all stages take; the voice is heard while faces are looked for."""
    whole = {stage: rates[stage] * count for stage, count in frames.items()}
    beside = min(whole.get("faces", 0.0), whole.get("voice", 0.0))
    return sum(whole.values()) - beside


def _nearest(known: Mapping[float, float], pace: float) -> float:
    """Return what was seen at the nearest expectation, in proportion; `pace` if nothing was."""
    if not known:
        return pace
    nearest = min(known, key=lambda other: abs(other - pace))
    return known[nearest] * (pace / nearest if nearest else 1.0)


def _mixed(before: float, new: float) -> float:
    return _MEMORY * before + (1 - _MEMORY) * new


def _bounded(factor: float) -> float:
    return min(max(factor, _FASTEST), _SLOWEST)


class TimeLeft:
    """Turn counts of finished work into seconds left and seconds per stage."""

    def __init__(self, frames: Mapping[str, int], rates: Mapping[str, float]) -> None:
        """`frames` each stage has to do, in order, and the seconds expected for one of them."""
        self._frames = dict(frames)
        self._rates = dict(rates)
        self._spent: dict[str, float] = {}
        self._seen: dict[str, tuple[float, float]] = {}  # frames and seconds of finished stages
        self._started = self._opened = time.monotonic()
        self._first: tuple[float, float] | None = None  # count and time of a stage's first report
        self._stage: str | None = None

    def begin(self, stage: str) -> None:
        """Start the clock of a stage; the one before it ends."""
        self.end()
        self._stage, self._started, self._first = stage, time.monotonic(), None

    def end(self) -> None:
        """Stop the clock of the running stage."""
        if self._stage is not None:
            now = time.monotonic()
            self._spent[self._stage] = now - self._started
            self._seen[self._stage] = self._watch(self._frames.get(self._stage, 0), now)
        self._stage = None

    def seconds_left(self, done: float) -> float:
        """Return the expected rest of the job, `done` frames into the running stage."""
        now = time.monotonic()
        if self._stage is not None and done > 0 and self._first is None:
            self._first = (done, now)
        finished: dict[str, float] = {stage: self._frames.get(stage, 0) for stage in self._seen}
        seen = dict(self._seen)
        if self._stage is not None:
            finished[self._stage] = done
            seen[self._stage] = self._watch(done, now)
        seen.pop("voice", None)  # most of it has been heard while faces were looked for
        pace = self._pace(seen)
        left = {}
        for stage, total in self._frames.items():
            rate = self._rates[stage] * pace
            if stage in seen:
                count, seconds = seen[stage]
                rate = (_BELIEF * self._rates[stage] + seconds) / (_BELIEF + count)
            left[stage] = rate * max(total - finished.get(stage, 0), 0)
        if left.get("voice"):
            heard_beside = left.get("faces", 0.0) + now - self._opened
            left["voice"] = max(left["voice"] - heard_beside, 0.0)
        return sum(left.values())

    def _watch(self, done: float, now: float) -> tuple[float, float]:
        """Return the running stage's frames and seconds since its first report: whatever comes
        before that waits for models to load and says nothing of the pace."""
        if self._first is None:
            return 0, 0.0
        return done - self._first[0], now - self._first[1]

    def _pace(self, seen: Mapping[str, tuple[float, float]]) -> float:
        """Return how many times the expected seconds this job takes, as far as can be told."""
        trusted = _BELIEF * sum(self._rates[stage] for stage in seen)
        expected = sum(self._rates[stage] * count for stage, (count, _) in seen.items())
        spent = sum(seconds for _, seconds in seen.values())
        return (trusted + spent) / (trusted + expected) if seen else 1.0

    @property
    def timings(self) -> dict[str, float]:
        """Seconds spent per finished stage."""
        return dict(self._spent)
