"""An engine that is nothing but its wish for a checkpoint, and the presets of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lipsync.presets import Preset
from lipsync.types import EngineSpec

ENGINE = ("needy", "needy_engine:NeedyEngine")  # for lipsync.engines.ENGINES
TRANSLATED = {"zh-CN": {"title": "精细", "sentence": "需要模型。"}}
PRESETS = [
    Preset("fine", "Fine", "Needs a model.", "needy", translations=TRANSLATED, order=1),
    Preset("draft", "Draft", "Fast, for everyone.", "draft"),
]


class NeedyEngine:
    """An engine, as far as the screen looks at one, that wants the checkpoint ``tiny``."""

    spec = EngineSpec("needy", "The needy engine", "Apache-2.0", "none", 16)

    @dataclass(frozen=True)
    class Settings:
        steps: int = field(default=20, metadata={"low": 1, "high": 50})

    @classmethod
    def needed_weights(cls, settings: Any) -> tuple[str, ...]:
        return ("tiny",)
