"""“Try again with …”: the one change a visitor may ask for, everything else as in the job shown."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.types import FITS
from lipsync.ui.choices import SEED, Choices, switch_preset
from lipsync.ui.words import Words


def list_changes(
    choices: Choices, presets: Mapping[str, Preset], words: Words
) -> list[tuple[str, str]]:
    """Return (words, change) for everything that `change_choices` can do to `choices`."""
    changes = [
        (words("run.again-preset", title=preset.title_in(words.locale)), f"preset:{name}")
        for name, preset in presets.items()
        if name != choices.preset
    ]
    changes += [
        (words("run.again-fit", title=words(f"inputs.fit-{fit}")), f"fit:{fit}")
        for fit in FITS
        if fit != choices.fit
    ]
    return [*changes, (words("run.again-seed"), "seed")]


def change_choices(choices: Choices, change: str, presets: Mapping[str, Preset]) -> Choices:
    """Return `choices` with one change from `list_changes`.

    Another preset brings its own steps and guidance where its engine has them. Raises InputError
    for a change that does not exist.
    """
    kind, _, value = change.partition(":")
    if kind == "seed":
        return replace(choices, seed=secrets.randbelow(SEED[1] + 1))
    if kind == "fit" and value in FITS:
        return replace(choices, fit=value)
    if kind == "preset" and value in presets:
        return switch_preset(choices, value, presets)
    raise InputError(f"There is no change called {change[:40]!r}; choose one from the list.")
