"""The draft engine with a wish for a checkpoint, and presets with and without that wish."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lipsync.engines.draft.engine import DraftEngine
from lipsync.presets import Preset

ENGINE = ("needy", "needy_engine:NeedyEngine")  # for lipsync.engines.ENGINES
TRANSLATED = {"zh-CN": {"title": "精细", "sentence": "需要模型。"}}
PRESETS = [
    Preset("fine", "Fine", "Needs a model.", "needy", translations=TRANSLATED, order=1),
    Preset("draft", "Draft", "Fast, for everyone.", "draft"),
]


class NeedyEngine(DraftEngine):
    """Wants the checkpoint ``tiny``, and paints without it."""

    spec = replace(DraftEngine.spec, name="needy")

    @classmethod
    def needed_weights(cls, settings: Any) -> tuple[str, ...]:
        return ("tiny",)
