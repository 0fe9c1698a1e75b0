"""How long each preset would take for the chosen clip and voice on this machine, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.types import Request
from lipsync.ui import cards
from lipsync.ui.choices import Choices, Selection, check_choices, make_request, switch_preset
from lipsync.ui.words import Words

_NOT_WRITTEN = Path("expected.mp4")


class Expecting(Protocol):
    """The part of LipSyncPipeline that tells times."""

    def expect(self, request: Request, pace: float | None = None) -> float: ...


def expected_times(
    pipeline: Expecting,
    presets: Mapping[str, Preset],
    clip: Path | None,
    voice: Path | None,
    choices: Choices,
    selection: Selection,
    pace: float | None,
    words: Words,
) -> dict[str, str]:
    """Return preset name -> "about 12 s", for the cards' ``times``; each as if it were chosen.

    `pace` is the scan's (None: not scanned yet). Without clip or voice, and where a job would be
    refused, nothing is expected: the run says why, not the card.
    """
    if clip is None or voice is None:
        return {}
    seconds: dict[tuple[object, ...], float] = {}  # presets that ask for the same work share it
    times = {}
    for name, preset in presets.items():
        try:
            chosen = switch_preset(check_choices(choices, presets), name, presets)
            request = make_request(chosen, selection, clip, voice, _NOT_WRITTEN, presets)
            work = (preset.engine, request.settings.get("steps"), chosen.fit)
            if work not in seconds:
                seconds[work] = pipeline.expect(request, pace)
        except InputError:
            continue
        times[name] = words("inputs.about", time=say_roughly(words, seconds[work]))
    return times


def say_roughly(words: Words, seconds: float) -> str:
    """Return an expected time no more exactly than it is known: 4 s, 35 s, 3 min, 1 h 40 min."""
    if seconds < 100:
        step = 1 if seconds < 15 else 5
        return words("run.seconds", count=max(1, step * round(seconds / step)))
    if seconds < 5400:
        return words("inputs.minutes", count=round(seconds / 60))
    return cards.say_seconds(words, 300 * round(seconds / 300))
