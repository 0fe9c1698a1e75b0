"""What a finished job says of itself to programs: one JSON object, the same for every client.

Files appear by name only: a record may be shown to people who must not learn where files lie.
"""

from __future__ import annotations

import dataclasses
import math
import platform
import re
from collections.abc import Mapping
from fractions import Fraction
from importlib import metadata
from typing import Any

from lipsync import __version__
from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.types import Request, Result, SyncScore

# what decides how a result looks, so that a record tells with what it was made
_REPORTED_PACKAGES = (
    "av",
    "diffusers",
    "mediapipe",
    "numpy",
    "opencv-contrib-python",
    "scipy",
    "torch",
)
_MOST_TEXT = 2_000  # characters
_MOST_VALUES = 100_000  # a day has 86 400 seconds
_MOST_FRAMES = 10_000  # of an offset
_RATE = re.compile(r"[0-9]{1,9}(/[0-9]{1,9})?")


def make_record(
    request: Request,
    result: Result,
    *,
    preset: str | None = None,
) -> dict[str, Any]:
    """Return the record of one job as plain JSON values; seconds, frames and px as named.

    `preset` is the name it was started from. The source's own speech has not been judged then, see
    `add_baseline`.
    """
    return {
        "clip": request.video.name,
        "voice": request.audio.name,
        "output": result.output.name,
        "frames": result.num_frames,
        "fps": float(result.fps),
        "fps_exact": str(result.fps),
        "size": {"width": result.size.width, "height": result.size.height},
        "duration_seconds": result.duration,
        "score": score_to_json(result.score) if result.score else None,
        "score_reason": result.score_reason,
        "baseline": None,
        "skipped": [
            {
                "start_seconds": span.start_seconds,
                "end_seconds": span.end_seconds,
                "reason": span.reason,
            }
            for span in result.skipped
        ],
        "models": list(result.models),
        "notes": list(result.notes),
        "timings_seconds": {stage: round(t, 3) for stage, t in result.timings.items()},
        "settings": _settings(request, preset),
        "versions": versions(),
    }


def add_baseline(record: Mapping[str, Any], baseline: SyncScore) -> dict[str, Any]:
    """Return `record` with `baseline`, the score of the source's own speech."""
    return {**record, "baseline": score_to_json(baseline)}


def add_repair(record: Mapping[str, Any], score: SyncScore, frames: int) -> dict[str, Any]:
    """Return `record` for a copy whose sound was moved by `frames` at `score.fps` and whose score
    is `score` now; what was moved before counts in."""
    moved = record.get("repaired_offset_frames", 0) + frames
    repaired = {"score": score_to_json(score), "score_reason": None}
    return {**record, **repaired, "repaired_offset_frames": moved}


def repaired_ms(record: Mapping[str, Any]) -> int | None:
    """Return by how many milliseconds the sound was moved, > 0 later; None = not at all."""
    frames = record.get("repaired_offset_frames")
    return None if frames is None else round(frames * 1000 / Fraction(record["score"]["fps_exact"]))


def _settings(request: Request, preset: str | None) -> dict[str, Any]:
    face = request.face
    made_with = make_settings(request.engine, request.settings)  # what was left out, too
    click = None
    if face.click is not None:
        click = {"x": face.click[0], "y": face.click[1], "seconds": face.click_seconds}
    return {
        "preset": preset,
        "engine": request.engine,
        "engine_settings": dict(sorted(dataclasses.asdict(made_with).items())),
        "face": face.number,
        "face_click": click,
        "fit": request.fit,
        "start": request.start,
        "end": request.end,
        "part": list(request.part) if request.part else None,
        "fps": str(request.fps) if request.fps else None,
        "seed": request.seed,
        "softness": request.softness,
        "mark": request.mark,
        "quality": request.quality,
    }


def versions() -> dict[str, str | None]:
    """Return the versions of Python, this program and what decides the result's look."""
    found: dict[str, str | None] = {"python": platform.python_version(), "lipsync": __version__}
    for name in _REPORTED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def score_to_json(score: SyncScore) -> dict[str, Any]:
    """Return a score as plain JSON values; None where nothing was measured."""
    return {
        "judge": score.judge,
        "worth": score.worth,
        "verdict": score.verdict,
        "confidence": _finite(score.confidence),
        "distance": _finite(score.distance),
        "offset_frames": score.offset_frames,
        "offset_ms": _finite(score.offset_ms),
        "fps": float(score.fps),
        "fps_exact": str(score.fps),
        "curve_offsets": list(score.curve_offsets),
        "curve": [_finite(value) for value in score.curve],
        "per_second": [_finite(value) for value in score.per_second],
    }


def score_from_json(found: Any) -> SyncScore:
    """Return the score that `score_to_json` has written.

    Numbers that were not measured come back as NaN, in `per_second` and `distance` as None.
    Raises `InputError` for anything else: a value missing, of another kind, or out of bounds.
    """
    if not isinstance(found, Mapping):
        raise _strange("it is no JSON object")
    offsets = tuple(_whole("curve_offsets", value) for value in _list(found, "curve_offsets"))
    curve = tuple(_number("curve", value) for value in _list(found, "curve"))
    if len(offsets) != len(curve):
        raise _strange("curve and curve_offsets differ in length")
    confidence = _number("confidence", _value(found, "confidence"))
    distance = _number("distance", _value(found, "distance"))
    per_second = (_number("per_second", v) for v in _list(found, "per_second"))
    return SyncScore(
        judge=_text(found, "judge"),
        worth=_text(found, "worth"),
        confidence=math.nan if confidence is None else confidence,
        offset_frames=_whole("offset_frames", _value(found, "offset_frames")),
        fps=_rate(found),
        verdict=_text(found, "verdict"),
        distance=distance,
        curve_offsets=offsets,
        curve=tuple(math.nan if value is None else value for value in curve),
        per_second=tuple(per_second),
    )


def _strange(why: str) -> InputError:
    return InputError(f"The record's score cannot be read ({why}); run the job or the check again.")


def _value(found: Mapping[str, Any], key: str) -> Any:
    if key not in found:
        raise _strange(f"it has no {key}")
    return found[key]


def _text(found: Mapping[str, Any], key: str) -> str:
    value = _value(found, key)
    if not isinstance(value, str) or len(value) > _MOST_TEXT:
        raise _strange(f"{key} is no short text")
    return value


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    value = _value(found, key)
    if not isinstance(value, list) or len(value) > _MOST_VALUES:
        raise _strange(f"{key} is no list of at most {_MOST_VALUES} values")
    return value


def _number(key: str, value: Any) -> float | None:
    if value is None:
        return None
    # a whole number too long for a float cannot even be asked whether it is finite
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e9:
        return float(value)
    if not isinstance(value, float) or not math.isfinite(value):
        raise _strange(f"{key} holds what is no number")
    return value


def _whole(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST_FRAMES:
        raise _strange(f"{key} holds what is no count of frames")
    return value


def _rate(found: Mapping[str, Any]) -> Fraction:
    text = _text(found, "fps_exact")
    if not _RATE.fullmatch(text):
        raise _strange("fps_exact is no rate")
    above, _, below = text.partition("/")
    if not 1 <= int(above) / max(int(below or 1), 1) <= 1000 or int(below or 1) == 0:
        raise _strange("fps_exact is no rate from 1 to 1000")
    return Fraction(int(above), int(below or 1))


def _finite(value: float | None) -> float | None:
    """Return the number, or None: JSON has no NaN, and not measured is not a number."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)
