"""Lipsync Studio: give a clip and a voice; the mouth in the clip speaks the voice.

The public names below load nothing heavy until they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lipsync.engines import ENGINES
from lipsync.errors import InputError, LipsyncError, OutputError
from lipsync.types import Progress, Request, Result, SyncScore

if TYPE_CHECKING:
    from lipsync.engines.latentsync.video import VideoProcessor
    from lipsync.pipeline import LipSyncPipeline

__version__ = "0.1.0"
__all__ = [
    "ENGINES",
    "InputError",
    "LipSyncPipeline",
    "LipsyncError",
    "OutputError",
    "Progress",
    "Request",
    "Result",
    "SyncScore",
    "VideoProcessor",
]


def __getattr__(name: str) -> Any:
    if name == "LipSyncPipeline":
        from lipsync.pipeline import LipSyncPipeline

        return LipSyncPipeline
    if name == "VideoProcessor":
        from lipsync.engines.latentsync.video import VideoProcessor

        return VideoProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
