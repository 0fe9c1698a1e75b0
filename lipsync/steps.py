"""Work in steps: generators that yield how far they are and return what they have made."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

_Step = TypeVar("_Step")
_Shown = TypeVar("_Shown")
_Made = TypeVar("_Made")


def exhaust(steps: Generator[object, None, _Made]) -> _Made:
    """Run `steps` to their end, for callers who show no progress; return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            made: _Made = finished.value
            return made


def map_steps(
    change: Callable[[_Step], _Shown | None], steps: Generator[_Step, None, _Made]
) -> Generator[_Shown, None, _Made]:
    """Yield ``change(step)`` for every step, unless it is None; return what `steps` return.

    Closing the generator, or an exception out of `change`, closes `steps`.
    """
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                made: _Made = finished.value
                return made
            shown = change(step)
            if shown is not None:
                yield shown
