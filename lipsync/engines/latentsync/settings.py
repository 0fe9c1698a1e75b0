"""What can be turned on the LatentSync engine, each within its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LatentSyncSettings:
    """What a user or a preset can turn; fields with ``"looks": False`` change no picture."""

    checkpoint: Literal["latentsync-1.5", "latentsync-1.6"] = field(
        default="latentsync-1.5",
        metadata={
            "choices": ("latentsync-1.5", "latentsync-1.6"),
            "help": "which weights, by their key in `models list`",
        },
    )
    resolution: int = field(
        default=256,
        metadata={
            "low": 64,
            "high": 512,
            "multiple": 64,
            "help": "side of the repainted face, px; 256 for LatentSync 1.5, 512 for 1.6",
        },
    )
    steps: int = field(
        default=20, metadata={"low": 1, "high": 50, "help": "denoising steps per window"}
    )
    guidance: float = field(
        default=1.5,
        metadata={"low": 1.0, "high": 3.0, "help": "how strongly the voice leads; 1 takes half"},
    )
    scheduler: Literal["ddim", "dpm++", "unipc"] = field(
        default="ddim",
        metadata={
            "choices": ("ddim", "dpm++", "unipc"),
            "help": "ddim is the published one; the others need fewer steps",
        },
    )
    cache_interval: int = field(
        default=1,
        metadata={"low": 1, "high": 5, "help": "steps that share the network's deep features"},
    )
    overlap: int = field(
        default=4, metadata={"low": 0, "high": 8, "help": "frames that neighbouring windows share"}
    )
    windows: Literal["overlap", "compat"] = field(
        default="overlap",
        metadata={
            "choices": ("overlap", "compat"),
            "help": "compat cuts, draws and hears as the published program does",
        },
    )
    low_memory: bool = field(
        default=False,
        metadata={
            "choices": (False, True),
            "looks": False,
            "help": "slower, with half the graphics memory",
        },
    )
    compile: bool = field(
        default=False,
        metadata={
            "choices": (False, True),
            "looks": False,
            "help": "compile the UNet first; pays on a card and for long clips only",
        },
    )

    @property
    def codec_frames(self) -> int:
        """How many frames go through the VAE at once: its pictures are large, and a job may stop
        between two lots."""
        return 1 if self.low_memory else 4
