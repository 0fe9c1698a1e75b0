"""What can be turned on the Wav2Lip engine, each within its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

MAX_PAD = 50  # px; crops by boxes leave that much room around each box and two px more
WINDOW = 16  # frames that are cut out and held at once


@dataclass(frozen=True)
class Wav2LipSettings:
    """What a user or a preset can turn; fields with ``"looks": False`` change no picture."""

    checkpoint: Literal["wav2lip", "wav2lip-gan"] = field(
        default="wav2lip",
        metadata={
            "choices": ("wav2lip", "wav2lip-gan"),
            "help": "which weights, by their key in `models list`; wav2lip-gan paints sharper",
        },
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = field(
        default="auto",
        metadata={
            "choices": ("auto", "fp32", "fp16", "bf16"),
            "help": "numbers that the network computes in; auto is what suits the machine",
        },
    )
    preprocessing: Literal["smooth", "compat"] = field(
        default="smooth",
        metadata={
            "choices": ("smooth", "compat"),
            "help": "compat cuts, hears and pastes as the published program does",
        },
    )
    pad_top: int = field(
        default=0,
        metadata={"low": 0, "high": MAX_PAD, "help": "compat only: px above the face's box"},
    )
    pad_bottom: int = field(
        default=10,
        metadata={"low": 0, "high": MAX_PAD, "help": "compat only: px below the face's box"},
    )
    pad_left: int = field(
        default=0,
        metadata={"low": 0, "high": MAX_PAD, "help": "compat only: px left of the face's box"},
    )
    pad_right: int = field(
        default=0,
        metadata={"low": 0, "high": MAX_PAD, "help": "compat only: px right of the face's box"},
    )
    batch: int = field(
        default=8,
        metadata={
            "low": 1,
            "high": WINDOW,
            "looks": False,
            "help": "frames that are painted at once; fewer take less memory",
        },
    )
