"""Options that several commands have, and what they stand for."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipsync.pipeline import LipSyncPipeline


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, for `print_json`."""
    parser.add_argument(
        "--json", dest="as_json", action="store_true", help="print one JSON object on stdout"
    )


def print_json(report: dict[str, Any]) -> None:
    """Print one JSON object; what is not a number must have become null before."""
    print(json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False))


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-minutes``, for `open_pipeline`."""
    parser.add_argument(
        "--max-minutes",
        type=_minutes,
        default=60.0,
        metavar="M",
        help="refuse files that last longer; default: 60",
    )


def add_detector(parser: argparse.ArgumentParser) -> None:
    """Add ``--detector``, for `open_pipeline`."""
    parser.add_argument(
        "--detector",
        choices=("mediapipe", "insightface"),
        default="mediapipe",
        help="what finds the face; insightface is for LatentSync, and Wav2Lip as published, and "
        "needs `models pull insightface-buffalo-l`; default: mediapipe",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add ``--set``, a list of pairs."""
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        type=_pair,
        metavar="KEY=VALUE",
        help="change one setting of the engine; may be given several times",
    )


def open_pipeline(max_minutes: float | None, detector: str = "mediapipe") -> LipSyncPipeline:
    """Return a pipeline that refuses longer files; None = its own limit. It knows the avatars in
    the user's data folder."""
    from lipsync.avatar.store import AvatarStore
    from lipsync.media.probe import Limits
    from lipsync.pipeline import LipSyncPipeline

    limits = None if max_minutes is None else Limits(max_seconds=60 * max_minutes)
    return LipSyncPipeline(limits, detector=detector, avatars=AvatarStore())


def seconds(text: str) -> float:
    """Return a time from 0 on; for ``type=``."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds, such as 1.5")
    return number


def part(text: str) -> tuple[float, float]:
    """Return start and length in seconds of START:LENGTH; for ``type=``."""
    try:
        start, length = map(float, text.split(":"))
    except ValueError:
        start = length = math.nan
    if not (math.isfinite(start + length) and start >= 0 and length > 0):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not START:LENGTH in seconds, such as 12:3 for three seconds from 12 s on"
        )
    return start, length


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as amplitude=1.1")
    return key, value


def _minutes(text: str) -> float:
    minutes = seconds(text)
    if not minutes:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length in minutes, such as 90")
    return minutes
