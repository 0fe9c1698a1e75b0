"""A graphics card that is lent for one job at a time, as ZeroGPU Spaces do."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeVar

from lipsync.engines import engine_class, make_settings
from lipsync.errors import InputError
from lipsync.media.probe import probe_voice
from lipsync.types import Request

_START = 15.0  # seconds to wake the lent card and move the models to it
_MARGIN = 1.5  # a job that outlives its loan is lost, so ask for more than it should take
_LEAST, _MOST = 20, 120  # seconds; a longer wish waits longer, or is refused
_FPS = 30.0  # where the clip's own rate is not known yet

_Made = TypeVar("_Made")


def import_spaces() -> bool:
    """Import the ``spaces`` package where there is one; return whether there is.

    Call it first of all: it prepares PyTorch for a card that comes later, and refuses to work
    where CUDA has been woken before.
    """
    if find_spec("spaces") is None:
        return False
    importlib.import_module("spaces")
    return True


def on_gpu(function: Callable[..., _Made], seconds: Callable[..., int]) -> Callable[..., _Made]:
    """Return `function` such that ZeroGPU lends it a card; elsewhere `function` itself.

    `seconds` gets the same arguments and returns how long the card is needed. Under ZeroGPU the
    function runs in a process forked for the loan: its arguments and results are pickled, and
    what was loaded before is there, while what it loads itself is gone afterwards.
    """
    if not import_spaces():
        return function
    lent: Callable[..., _Made] = importlib.import_module("spaces").GPU(duration=seconds)(function)
    return lent


def wants_card(engine: str) -> bool:
    """Return whether this engine computes on a graphics card where there is one.

    Raises InputError for an unknown engine.
    """
    wants: bool = engine_class(engine).spec.wants_card
    return wants


def gpu_seconds(request: Request) -> int:
    """Return for how long to borrow a card for `request`: by length, rate, settings and engine.

    A request that cannot be read gets the shortest loan; the job itself says what is wrong.
    """
    engine = engine_class(request.engine)
    try:
        length = probe_voice(request.audio).duration
        pace = engine.pace(make_settings(request.engine, request.settings), on_card=True)
    except InputError:
        return _LEAST
    if request.part is not None:
        length = min(length, request.part[1])
    work = length * float(request.fps or engine.spec.fps or _FPS) * pace
    return min(max(math.ceil(_START + _MARGIN * work), _LEAST), _MOST)
