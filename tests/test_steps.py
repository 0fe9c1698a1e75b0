"""Work in steps: what is yielded, what is returned, and who closes whom."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from lipsync.steps import exhaust, map_steps


def count(closed: list[bool]) -> Generator[int, None, str]:
    try:
        yield from range(4)
        return "counted"
    finally:
        closed.append(True)


def test_exhausting_returns_what_was_made() -> None:
    assert exhaust(count([])) == "counted"


def test_every_step_is_changed_and_none_is_left_out() -> None:
    def odd(number: int) -> str | None:
        return f"step {number}" if number % 2 else None

    assert list(map_steps(odd, count([]))) == ["step 1", "step 3"]
    assert exhaust(map_steps(odd, count([]))) == "counted"


def test_closing_and_exceptions_close_the_steps() -> None:
    closed: list[bool] = []
    steps = map_steps(str, count(closed))
    next(steps)
    steps.close()
    assert closed == [True]
    with pytest.raises(ZeroDivisionError):
        exhaust(map_steps(lambda n: 1 // n, count(closed)))
    assert closed == [True, True]
