"""What commands tell people: a few lines about a result, a score or a face."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lipsync.errors import OutputError
from lipsync.scan import FoundFace
from lipsync.types import Result, SyncScore


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
    return f"{describe_numbers(score)}\n{describe_judge(score)}"


def describe_numbers(score: SyncScore) -> str:
    """Return one line: how sure, how far off, and what that means."""
    distance = "" if score.distance is None else f"distance {score.distance:.2f}, "
    return (
        f"sync confidence {score.confidence:.2f}, {distance}offset {score.offset_frames:+d} frames "
        f"({score.offset_ms:+.0f} ms): {score.verdict}"
    )


def describe_judge(score: SyncScore) -> str:
    """Return one line: who says so, and what that is worth."""
    return f"judge {score.judge}: {score.worth}"


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
