"""What a finished job says of itself: a few lines for people, one JSON object for programs."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from lipsync import __version__
from lipsync.errors import OutputError
from lipsync.types import FoundFace, Request, Result, SyncScore

# what decides how a result looks, so that a report tells with what it was made
_REPORTED_PACKAGES = ("av", "mediapipe", "numpy", "opencv-contrib-python", "scipy", "torch")


def result_as_json(result: Result, request: Request, preset: str | None) -> dict[str, Any]:
    """Return the report of one job as plain JSON values; seconds, frames and px as named."""
    return {
        "output": str(result.output),
        "frames": result.num_frames,
        "fps": float(result.fps),
        "fps_exact": str(result.fps),
        "size": {"width": result.size.width, "height": result.size.height},
        "duration_seconds": result.duration,
        "score": score_as_json(result.score) if result.score else None,
        "score_reason": result.score_reason,
        "skipped": [
            {
                "start_seconds": span.start_seconds,
                "end_seconds": span.end_seconds,
                "reason": span.reason,
            }
            for span in result.skipped
        ],
        "notes": list(result.notes),
        "timings_seconds": {stage: round(t, 3) for stage, t in result.timings.items()},
        "settings": _request_as_json(request, preset),
        "versions": versions(),
    }


def score_as_json(score: SyncScore) -> dict[str, Any]:
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
        "curve_offsets": list(score.curve_offsets),
        "curve": [_finite(value) for value in score.curve],
        "per_second": [_finite(value) for value in score.per_second],
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


def describe_result(result: Result) -> str:
    """Return a few lines about a finished job, for people."""
    lines = [
        f"{result.output}: {result.num_frames} frames, {result.size.width} x "
        f"{result.size.height} px, {float(result.fps):.5g} fps, {result.duration:.2f} s"
    ]
    if result.score is not None:
        lines.append(describe_score(result.score))
    elif result.score_reason:
        lines.append(f"no score: {result.score_reason}")
    lines += [
        f"untouched from {s.start_seconds:.2f} s to {s.end_seconds:.2f} s: {s.reason}"
        for s in result.skipped
    ]
    lines += [f"note: {note}" for note in result.notes]
    spent = ", ".join(f"{stage} {t:.1f} s" for stage, t in result.timings.items())
    lines.append(f"time: {spent}")
    return "\n".join(lines)


def describe_score(score: SyncScore) -> str:
    """Return two lines about a score, for people."""
    return (
        f"sync confidence {score.confidence:.2f}, offset {score.offset_frames:+d} frames "
        f"({score.offset_ms:+.0f} ms): {score.verdict}\n"
        f"judge {score.judge}: {score.worth}"
    )


def face_as_json(face: FoundFace) -> dict[str, Any]:
    """Return who may be chosen as plain JSON values; the box in px."""
    return {
        "number": face.number,
        "seconds": face.seconds,
        "share": face.share,
        "box": [float(value) for value in face.box],
    }


def describe_face(face: FoundFace) -> str:
    """Return one line about a face, for people."""
    left, top, right, bottom = (round(float(value)) for value in face.box)
    return (
        f"face {face.number}: {right - left} x {bottom - top} px at {left},{top} "
        f"(seen at {face.seconds:.1f} s, in {100 * face.share:.0f} % of its shot)"
    )


def write_thumbnails(faces: Iterable[FoundFace], folder: Path) -> None:
    """Write one PNG per face into `folder`, made if need be. Raises OutputError if it cannot."""
    from PIL import Image

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for count, face in enumerate(faces, start=1):
            name = f"{count:02d}-face-{face.number}.png"
            Image.fromarray(face.thumbnail).save(folder / name)
    except OSError as error:
        raise OutputError(
            f"The thumbnails cannot be written to {folder} ({error.strerror}); "
            "choose another folder."
        ) from error


def _request_as_json(request: Request, preset: str | None) -> dict[str, Any]:
    return {
        "preset": preset,
        "engine": request.engine,
        "engine_settings": _plain(request.settings),
        "face": request.face.number,
        "fit": request.fit,
        "start": request.start,
        "end": request.end,
        "fps": str(request.fps) if request.fps else None,
        "seed": request.seed,
        "quality": request.quality,
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in sorted(values)}


def _finite(value: float | None) -> float | None:
    """Return the number, or None: JSON has no NaN, and not measured is not a number."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)
