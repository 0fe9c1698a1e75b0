"""An engine that only the panel of settings looks at, and presets with and without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lipsync.presets import Preset, Problem
from lipsync.types import EngineSpec


class Stepper:
    """An engine, as far as the panel looks at one, whose painting takes steps."""

    spec = EngineSpec("stepper", "The stepping engine", "Apache-2.0", "none", 16)

    @dataclass(frozen=True)
    class Settings:
        steps: int = field(default=20, metadata={"low": 1, "high": 50})

    @classmethod
    def needed_weights(cls, settings: Settings) -> tuple[str, ...]:
        return ()


ENGINE = ("stepper", "stepping_engine:Stepper")  # for lipsync.engines.ENGINES
CHINESE = {"zh-CN": {"title": "草稿", "sentence": "人人可用。"}}
PRESETS = [
    Preset("draft", "Draft", "Fast, for everyone.", "draft", translations=CHINESE),
    Preset("calm", "Calm", "Small movements.", "draft", {"amplitude": 0.75}),
    Preset("stepper", "Stepper", "Fine but slow.", "stepper", {"steps": 30}, fit="hold"),
]
PROBLEMS = [
    Problem(Path("/srv/mine.yaml"), 4, "'fit' is 'twist'."),
    Problem(Path("/srv/<b>.yaml"), None, "it cannot be read."),
]
