"""How long each preset would take for the chosen clip and voice on this machine, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.ui import cards
from lipsync.ui.choices import Choices, Selection, check_choices, make_request, switch_preset
from lipsync.ui.resident import Pipeline
from lipsync.ui.words import Words

_NOT_WRITTEN = Path("expected.mp4")


def expected_seconds(
    pipeline: Pipeline,
    presets: Mapping[str, Preset],
    clip: Path | None,
    voice: Path | None,
    choices: Choices,
    selection: Selection,
    preview: bool = False,
    home: Path | None = None,
) -> float | None:
    """Return how long the job, or its preview of some seconds, should take.

    `home` is where the visitor's avatars are (see `Request`), of whose clips the faces are known.
    None without clip or voice, and where it would be refused: the run says why.
    """
    if clip is None or voice is None:
        return None
    try:
        request = make_request(
            choices, selection, clip, voice, _NOT_WRITTEN, presets, preview=preview
        )
        return pipeline.expect(replace(request, home=home))
    except InputError:
        return None


def expected_times(
    words: Words,
    pipeline: Pipeline,
    presets: Mapping[str, Preset],
    clip: Path | None,
    voice: Path | None,
    choices: Choices,
    selection: Selection,
    home: Path | None = None,
) -> dict[str, str]:
    """Return preset name -> "about 12 s", for the cards' ``times``; each as if it were chosen.

    A preset of which nothing is expected is left out; `home` is as in `expected_seconds`.
    """
    seconds: dict[tuple[object, ...], float | None] = {}  # presets of the same work share it
    times = {}
    for name, preset in presets.items():
        try:
            chosen = switch_preset(check_choices(choices, presets), name, presets)
        except InputError:
            return {}
        work = (preset.engine, chosen.steps, chosen.fit)
        if work not in seconds:
            brought = clip, voice, chosen, selection
            seconds[work] = expected_seconds(pipeline, presets, *brought, home=home)
        expected = seconds[work]
        if expected is not None:
            times[name] = words("inputs.about", time=say_roughly(words, expected))
    return times


def say_roughly(words: Words, seconds: float) -> str:
    """Return an expected time no more exactly than it is known: 4 s, 35 s, 3 min, 1 h 40 min."""
    if seconds < 100:
        return words("run.seconds", count=cards.round_wait(seconds))
    if seconds < 5400:
        return words("inputs.minutes", count=round(seconds / 60))
    return cards.say_seconds(words, 300 * round(seconds / 300))
