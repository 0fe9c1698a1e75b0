"""The table of checked clips: what a row knows, what the browser draws of it, and the CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from lipsync.types import Clip, SyncScore
from lipsync.ui.score_card import level_of, say_level, signed
from lipsync.ui.words import Words

# a verdict's place in the order, worst first; in another judge's words it stands in the middle
_RANKS = {"bad": 0.0, "poor": 1.0, "plain": 1.5, "fair": 2.0, "good": 3.0}
_SHORT_SECONDS = 5.0  # below this a high score may be chance
# what makes a spreadsheet take a cell for a formula (OWASP, "CSV injection"), full width too
_FORMULA = re.compile("\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")

COLUMNS = (
    *("file_name", "confidence", "verdict", "offset_ms", "offset_frames"),
    *("judge", "distance", "seconds", "worst_second", "reason"),
)


@dataclass(frozen=True)
class Row:
    """One clip: waiting (neither score nor reason), scored, or with the reason why it is not."""

    upload: Path  # where the server hands it out
    clip: Clip | None = None  # None = not looked at yet, or unreadable
    thumbnail: str = ""  # a data: address
    score: SyncScore | None = None
    reason: str | None = None  # in the visitor's language
    repaired_ms: int | None = None  # by which its sound was moved, > 0 later; None = not at all

    @property
    def name(self) -> str:
        """The file's name as its owner gave it; hostile text."""
        return self.upload.name

    @property
    def is_done(self) -> bool:
        return self.score is not None or self.reason is not None


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Return the rows by verdict, then confidence, rising, those of one judge together; what has
    no score comes last."""
    return sorted(rows, key=_badness)


def describe_rows(rows: Sequence[Row], words: Words) -> list[dict[str, Any]]:
    """Return what the widget draws: one JSON object per row, in the order of `rows`.

    ``id`` is the row's place, ``state`` is "waiting", "scored" or "failed"; ``rank`` (0 = worst)
    and the numbers are None where there is no score.
    """
    return [_describe(place, row, words) for place, row in enumerate(rows)]


def summarise(rows: Sequence[Row], words: Words) -> str:
    """Return how many clips were scored, how many of them are in sync, how sure each judge is on
    the mean of two or more, and how many were not scored.

    The mean says nothing of offsets: a clip that is shifted by half a second may be the surest.
    """
    scores = [row.score for row in rows if row.score is not None]
    failed = sum(row.reason is not None for row in rows)
    parts = []
    if scores:
        parts.append(words("check.scored", count=len(scores)))
        levels = [level_of(score) for score in scores]
        for level, key in (("good", "check.in-sync"), ("fair", "check.slightly-off")):
            if level == "good" or level in levels:
                parts.append(words(key, count=levels.count(level)))
    judges = sorted({score.judge for score in scores})
    for judge in judges:
        own = [score.confidence for score in scores if score.judge == judge]
        if len(own) > 1:
            key = "check.mean" if len(judges) == 1 else "check.mean-by"
            parts.append(words(key, judge=judge, number=f"{fmean(own):.2f}"))
    if failed:
        parts.append(words("check.failed", count=failed))
    summary = " · ".join(parts)
    return summary[:1].upper() + summary[1:]


def find_worst_second(score: SyncScore) -> int | None:
    """Return the number, from 0, of the second with the lowest confidence; None = none judged."""
    judged = [(value, second) for second, value in enumerate(score.per_second) if value is not None]
    return min(judged)[1] if judged else None


def write_csv(rows: Iterable[Row], words: Words) -> str:
    """Return the finished rows as CSV text, worst first, that a spreadsheet opens safely.

    Column names are fixed, `COLUMNS`; verdict and reason are in the language of `words`. The text
    begins with a byte order mark, without which Excel misreads what is not ASCII, and a text that
    a spreadsheet would run as a formula gets an apostrophe before it.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(COLUMNS)
    for row in worst_first(row for row in rows if row.is_done):
        score, clip = row.score, row.clip
        cells: list[str | float | None] = [row.name]
        if score is None:
            cells += [None] * 6
        else:
            verdict = words.sentence(score.verdict)
            cells += [round(score.confidence, 4), verdict, round(score.offset_ms, 1)]
            distance = None if score.distance is None else round(score.distance, 4)
            cells += [score.offset_frames, score.judge, distance]
        cells += [
            None if clip is None else round(clip.duration, 3),
            None if score is None else find_worst_second(score),
            row.reason,
        ]
        writer.writerow([_disarm(cell) if isinstance(cell, str) else cell for cell in cells])
    return "\ufeff" + buffer.getvalue()


def _badness(row: Row) -> tuple[bool, float, str, float]:
    if row.score is None:
        return (True, 0.0, "", 0.0)
    return (False, _RANKS[level_of(row.score)], row.score.judge, row.score.confidence)


def _describe(place: int, row: Row, words: Words) -> dict[str, Any]:
    score, clip = row.score, row.clip
    described: dict[str, Any] = {
        "id": place,
        "name": row.name,
        "seconds": None if clip is None else round(clip.duration, 3),
        "state": "waiting" if not row.is_done else "failed" if score is None else "scored",
        "note": row.reason or "",
        **dict.fromkeys(("rank", "level", "verdict", "confidence", "judge", "offset", "worst")),
    }
    if score is None:
        return described
    level, verdict = level_of(score), say_level(score, words)
    return described | {
        "rank": _RANKS[level],
        "level": level,
        "verdict": verdict[:1].upper() + verdict[1:],
        "confidence": round(score.confidence, 4),
        "judge": score.judge,
        "offset": round(score.offset_ms),
        "worst": find_worst_second(score),
        "note": _note(row, words),
    }


def _note(row: Row, words: Words) -> str:
    notes = []
    if row.repaired_ms is not None:
        notes.append(words("score.repaired", ms=signed(row.repaired_ms)))
    if row.clip is not None and row.clip.duration < _SHORT_SECONDS:
        notes.append(words("check.short"))
    return " ".join(notes)


def _disarm(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text
