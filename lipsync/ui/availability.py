"""Which presets can be used on this machine: those whose checkpoints are all here."""

from __future__ import annotations

from lipsync.engines import needed_weights
from lipsync.presets import Preset
from lipsync.weights import Checkpoint, ModelStore


def absent_weights(preset: Preset, store: ModelStore) -> tuple[Checkpoint, ...]:
    """Return the checkpoints that `preset` needs and that are not here, at a glance (a damaged one
    is not here; nothing is read)."""
    needed = needed_weights(preset.engine, preset.settings)
    return tuple(
        store.checkpoint(key) for key in needed if store.state(key).kind not in ("own", "here")
    )
