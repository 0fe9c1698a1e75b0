"""Seconds left: from what has been measured, never negative, right at the end."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from lipsync.estimate import Speed, TimeLeft, Work
from lipsync.types import Size

WORK = {"faces": 100, "voice": 100, "generate": 100, "score": 100}
RATES = {"faces": 0.01, "voice": 0.005, "generate": 0.05, "score": 0.01}


class Clock:
    """A clock that a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def work_on(
    left: TimeLeft, clock: Clock, frames: int, seconds: float, done: int = 0
) -> list[float]:
    """Finish frames at a steady speed; return what was left after each."""
    seen = []
    for number in range(done + 1, done + frames + 1):
        clock.now += seconds
        seen.append(left.seconds_left(number))
    return seen


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_before_anything_is_measured_the_expected_rates_count(clock: Clock) -> None:
    left = TimeLeft(WORK, RATES)
    left.begin("faces")
    # the voice is heard while faces are looked for
    assert left.seconds_left(0) == pytest.approx(1.0 + 5.0 + 1.0)


def test_a_voice_longer_than_the_search_is_waited_for(clock: Clock) -> None:
    left = TimeLeft({"faces": 10, "voice": 1000}, RATES)
    left.begin("faces")
    assert left.seconds_left(0) == pytest.approx(5.0)
    clock.now += 0.1
    left.begin("voice")
    clock.now += 1.0
    assert left.seconds_left(0) == pytest.approx(3.9)
    clock.now += 60.0
    assert left.seconds_left(0) == 0.0


def test_a_stage_s_own_speed_counts(clock: Clock) -> None:
    left = TimeLeft({"generate": 100}, RATES)
    left.begin("generate")
    seen = work_on(left, clock, 50, 0.4)
    assert seen[-1] == pytest.approx(20.0, rel=0.25)
    assert left.seconds_left(100) == 0.0


def test_a_slow_start_does_not_make_the_rest_jump(clock: Clock) -> None:
    left = TimeLeft({"generate": 1000}, RATES)
    left.begin("generate")
    clock.now += 5.0  # models load
    seen = [left.seconds_left(0), *work_on(left, clock, 3, 0.5), *work_on(left, clock, 40, 0.05, 3)]
    assert max(seen) < 2.5 * 50.0
    steps = [abs(after - before) for before, after in pairwise(seen)]
    assert max(steps) < 0.7 * 50.0


def test_a_slow_machine_is_slow_in_the_stages_to_come(clock: Clock) -> None:
    fast, slow = TimeLeft(WORK, RATES), TimeLeft(WORK, RATES)
    fast.begin("faces")
    quick = work_on(fast, clock, 100, 0.01)[-1]
    slow.begin("faces")
    assert work_on(slow, clock, 100, 0.1)[-1] > 7 * quick


def test_time_shrinks_as_work_is_done_and_ends_at_nothing(clock: Clock) -> None:
    left = TimeLeft(WORK, RATES)
    seen = []
    for stage, seconds in {"faces": 0.03, "voice": 0.01, "generate": 0.1, "score": 0.03}.items():
        left.begin(stage)
        for done in range(1, 101):
            clock.now += seconds
            seen.append(left.seconds_left(done))
    left.end()
    assert min(seen) >= 0.0
    assert seen[-1] == pytest.approx(0.0)
    assert seen[100] > seen[200] > seen[300]


def test_timings_hold_every_finished_stage(clock: Clock) -> None:
    left = TimeLeft({"faces": 10, "generate": 10}, RATES)
    left.begin("faces")
    clock.now += 3.0
    assert left.timings == {}
    left.begin("generate")
    assert left.timings == {"faces": 3.0}
    clock.now += 4.0
    left.end()
    assert left.timings == {"faces": 3.0, "generate": 4.0}
    left.timings["faces"] = 0.0
    assert left.timings["faces"] == 3.0
    left.end()
    assert left.timings["generate"] == 4.0


def test_waiting_for_models_says_nothing_of_the_pace(clock: Clock) -> None:
    left = TimeLeft({"faces": 1, "voice": 100, "generate": 100}, RATES)
    usual = left.seconds_left(0)
    left.begin("faces")
    clock.now += 5.0  # the detector loads; the photo's one frame is found
    assert left.seconds_left(1) <= usual


HD = Size(720, 1280)


def work_of(frames: int = 100, engine: str = "draft", pace: float = 0.0, size: Size = HD) -> Work:
    return Work(size, dict.fromkeys(WORK, frames), engine, pace)


def timings_of(speed: Speed, work: Work, factor: float, extra: float = 0.0) -> dict[str, float]:
    """Return what a machine `factor` times slower than `speed` believes would have measured."""
    seconds = {s: factor * r * work.frames[s] for s, r in speed.rates(work).items()}
    seconds["generate"] += extra * work.frames["generate"]
    return seconds


def test_larger_and_longer_clips_take_longer() -> None:
    speed = Speed()
    usual = speed.expect(work_of())
    assert 1.0 < usual < 60.0
    assert speed.expect(work_of(frames=200)) == pytest.approx(2 * usual)
    assert speed.expect(work_of(size=Size(2160, 3840))) > 1.5 * usual
    assert speed.expect(Work(HD, {"voice": 100, "score": 100})) < 0.5 * usual


def test_a_scan_tells_a_slow_machine_before_its_first_job() -> None:
    usual, seen = Speed().expect(work_of()), {}
    for pace in (0.09, 0.009, 0.0, 1e9):
        speed = Speed()
        speed.take_scan(HD, pace)
        seen[pace] = speed.expect(work_of())
    assert seen[0.09] == pytest.approx(10 * seen[0.009])
    assert seen[0.0] == usual
    assert seen[1e9] < 100 * usual


def test_finished_jobs_tell_more_than_a_scan() -> None:
    speed, work = Speed(), work_of()
    usual = speed.expect(work)
    speed.learn(work, timings_of(Speed(), work, 3.0))
    assert speed.expect(work) == pytest.approx(3 * usual)
    speed.take_scan(HD, 0.0001)
    assert speed.expect(work) == pytest.approx(3 * usual)
    speed.learn(work, timings_of(Speed(), work, 1.0))
    assert usual < speed.expect(work) < 3 * usual  # the newest job counts half


def test_a_slow_engine_is_known_by_its_pace() -> None:
    """Believed at first, then measured; another pace of the same engine is in proportion."""
    speed, work = Speed(), work_of(engine="slow", pace=2.0)
    usual = speed.expect(work_of(engine="slow"))
    assert speed.expect(work) == pytest.approx(usual + 200.0)
    plain = timings_of(Speed(), work_of(engine="slow"), 1.0, extra=3.0)
    speed.learn(work, plain)
    assert speed.expect(work) == pytest.approx(usual + 300.0)
    assert speed.expect(work_of(engine="slow", pace=4.0)) == pytest.approx(usual + 600.0)
    assert speed.expect(work_of(engine="draft")) == pytest.approx(usual)
    other = work_of(engine="slow", pace=4.0)
    speed.learn(other, plain)
    assert speed.expect(other) == pytest.approx(usual + 300.0)
    assert speed.expect(work) == pytest.approx(usual + 300.0)


def test_a_few_frames_and_a_pause_teach_nothing() -> None:
    speed, few = Speed(), work_of(frames=5)
    usual = speed.expect(work_of())
    speed.learn(few, timings_of(Speed(), few, 9.0))
    assert speed.expect(work_of()) == pytest.approx(usual)
    speed.learn(work_of(), dict.fromkeys(WORK, 1e9))
    assert speed.rates(work_of())["faces"] <= 20 * Speed().rates(work_of())["faces"]
