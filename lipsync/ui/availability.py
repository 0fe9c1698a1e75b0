"""Which presets can be used on this machine: those whose checkpoints are all here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lipsync.engines import needed_weights
from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.weights import Checkpoint, ModelStore, describe_size

if TYPE_CHECKING:
    from lipsync.ui.words import Words  # which the command line can do without


def absent_weights(preset: Preset, store: ModelStore) -> tuple[Checkpoint, ...]:
    """Return the checkpoints that `preset` needs and that are not here, at a glance (a damaged one
    is not here; nothing is read)."""
    needed = needed_weights(preset.engine, preset.settings)
    return tuple(
        store.checkpoint(key) for key in needed if store.state(key).kind not in ("own", "here")
    )


def require_weights(preset: Preset, store: ModelStore) -> None:
    """Raise InputError where a checkpoint that `preset` needs is not here."""
    absent = absent_weights(preset, store)
    if absent:
        names = "; ".join(f"{row.title}, {say_size(row)}" for row in absent)
        keys = " ".join(row.key for row in absent)
        raise InputError(
            f"The preset {preset.name!r} needs models that are not on this machine ({names}); "
            f"fetch them in the Models tab or with `python -m lipsync models pull {keys}`, "
            "or choose another preset."
        )


def usable_presets(presets: Mapping[str, Preset], store: ModelStore) -> dict[str, Preset]:
    """Return those of `presets`, by name, that can be used now."""
    return {name: one for name, one in presets.items() if not absent_weights(one, store)}


def say_name(words: Words, name: str) -> str:
    """Return a checkpoint's title or its licence's name in the visitor's language; a single word
    is a proper name, the same everywhere."""
    return words.sentence(name) if " " in name else name


def say_size(checkpoint: Checkpoint) -> str:
    """Return what is to be fetched of a checkpoint in all, "?" where nobody published it."""
    return "?" if checkpoint.size is None else describe_size(checkpoint.size)
