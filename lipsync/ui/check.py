"""Check a clip: one clip after the other goes to the judge, and the table fills.

A clip that cannot be scored gets its sentence in its row and the others go on. What a visitor
checked is kept in that visitor's session only; the browser names a row by its number, never a
path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from lipsync.media.probe import probe_clip
from lipsync.steps import map_steps
from lipsync.types import Progress
from lipsync.ui import cards
from lipsync.ui.check_table import Row, describe_rows, summarise, write_csv
from lipsync.ui.jobs import Job, Jobs, bring_in, session_of
from lipsync.ui.numbers import is_whole
from lipsync.ui.player import Film, player_value
from lipsync.ui.previews import file_address, middle_picture
from lipsync.ui.resident import Pipeline
from lipsync.ui.score_card import score_card, signed
from lipsync.ui.trouble import PlainWords
from lipsync.ui.updates import Throttle, Update, Updates, shown
from lipsync.ui.words import Words, words_for

MAX_CLIPS = 100
PLAYER_ID = "check-player"
_THUMBNAIL_SIDE = 160  # px, twice what is shown, for sharp screens
_ENOUGH = 25  # frames after which the measured speed is believed


@dataclass(frozen=True)
class CheckUpdates(Updates):
    """One update for every component a check touches."""

    status: Update | None = None
    table: Update | None = None
    rows: list[Row] | None = None
    check: Update | None = None
    cancel: Update | None = None
    opened: Update | None = None
    repair: Update | None = None  # how a repair of the opened row stands
    stop_repair: Update | None = None


class Checker:
    """The handlers of the tab."""

    def __init__(self, get_pipeline: Callable[[], Pipeline], jobs: Jobs) -> None:
        self._get_pipeline = get_pipeline
        self._jobs = jobs

    def explain(self, uploads: list[str], request: gr.Request) -> dict[str, Any]:
        """Return the status line for the clips chosen: empty, or why they cannot be checked."""
        refusal = _refuse(uploads, words_for(request))
        return gr.update(value=cards.error_card(refusal) if refusal else "")

    def announce(self, uploads: list[str], request: gr.Request) -> list[Any]:
        """Show that the click was heard, before the queue lets the check in.

        Raises gr.Error, which nobody sees, where `explain` has told what is wrong.
        """
        words = words_for(request)
        refusal = _refuse(uploads, words)
        if refusal:
            raise gr.Error(refusal, visible=False, print_exception=False)
        self._jobs.cancel(repair_line(request))  # its row would go with the others
        self._jobs.announce(_line_of(request))
        return CheckUpdates(
            status=gr.update(value=cards.low_card(words, words("run.waiting"), 0.0, "")),
            table=gr.update(value=None, rows=[], thumbnails=[], summary="", csv=""),
            rows=[],
            check=gr.update(interactive=False),
            cancel=gr.update(interactive=True),
            opened=gr.update(visible=False),
            repair=gr.update(value="", visible=False),
            stop_repair=gr.update(visible=False),
        ).as_list()

    def check(self, uploads: list[str], request: gr.Request) -> Iterator[list[Any]]:
        """Score one clip after the other; yield updates while it works."""
        words, line = words_for(request), _line_of(request)
        job = self._jobs.claim(line)
        if job is None:  # stopped before it began; of no update at all Gradio empties components
            yield CheckUpdates().as_list()
            return
        with PlainWords(words) as trouble, self._jobs.open(line, job) as folder:
            refusal = _refuse(uploads, words)  # it may bring others than it announced
            if refusal:
                yield CheckUpdates(status=gr.update(value=cards.error_card(refusal))).as_list()
            elif not job.is_cancelled:
                yield from self._check([Path(upload) for upload in uploads], folder, job, words)
        if trouble.sentence is not None:
            yield CheckUpdates(
                status=gr.update(value=cards.error_card(trouble.sentence)),
                check=gr.update(interactive=True),
                cancel=gr.update(interactive=False),
            ).as_list()

    def stop(self, request: gr.Request) -> None:
        """Stop the visitor's check, waiting or running."""
        self._jobs.cancel(_line_of(request))

    def tell_stopped(self, rows: list[Row], request: gr.Request) -> list[Any]:
        """Show that the check has stopped; what is finished stays.

        A call of its own, so that it comes after the last progress that was on its way.
        """
        words = words_for(request)
        finished = [row for row in rows if row.is_done]
        if not rows:
            return _idle([], words("check.cancelled"), words)
        return _idle(
            finished, words("check.stopped", done=len(finished), total=len(rows)), words
        )  # fmt: skip

    def open_row(self, chosen: Any, rows: list[Row], request: gr.Request) -> list[Any]:
        """Return the column shown, its heading, the player and the score card of one row, and how
        a repair stands.

        `chosen` is what the browser says was clicked; anything but a finished row's number
        changes nothing.
        """
        row = find_row(chosen, rows)
        if row is None:
            return [gr.skip()] * 5
        # what was said of the row before would be taken for this one's
        told = gr.skip() if self._jobs.has_any(repair_line(request)) else shown("")
        return [gr.update(visible=True), *show_row(row, words_for(request)), told]

    def _check(
        self, uploads: Sequence[Path], folder: Path, job: Job, words: Words
    ) -> Iterator[list[Any]]:
        rows = [Row(upload) for upload in uploads]
        started, throttle = time.monotonic(), Throttle()
        for place in range(len(rows)):
            rows[place] = _look(rows[place], folder / str(place), words)
            if job.is_cancelled:
                return
            if throttle.is_due(at_once=place + 1 == len(rows)):
                yield _reading(rows, place + 1, words)
        pace = _Pace(rows)
        for place, row in enumerate(rows):
            if row.is_done:
                continue
            scoring = self._score(row, folder / str(place), job, words)
            rows[place] = yield from _show(scoring, rows, place, pace, words)
            if job.is_cancelled:
                return
            pace.finish(place)
            yield CheckUpdates(table=table_update(rows, words), rows=list(rows)).as_list()
        spent = cards.say_seconds(words, time.monotonic() - started)
        yield _idle(rows, words("check.done", count=len(rows), time=spent), words)

    def _score(
        self, row: Row, folder: Path, job: Job, words: Words
    ) -> Generator[Progress, None, Row]:
        """Yield the judge's progress; return the row with its score or the reason it has none.

        A cancelled job leaves the row as it was.
        """
        inside = _inside(row, folder)
        with PlainWords(words) as trouble:
            score = yield from job.follow(self._get_pipeline().score_steps(inside))
            return row if score is None else replace(row, score=score)
        return _with_reason(row, inside, trouble)


def find_row(chosen: Any, rows: Sequence[Row]) -> Row | None:
    """Return the finished row whose number the browser says was `chosen`; None for anything else
    that a client may send."""
    if not is_whole(chosen) or not 0 <= chosen < len(rows) or not rows[chosen].is_done:
        return None
    return rows[chosen]


def show_row(row: Row, words: Words) -> list[Any]:
    """Return the updates of the heading, the player and the score card of an opened row."""
    heading = gr.update(value=f"<h3><bdi>{escape(row.name)}</bdi></h3>")
    player = gr.update(visible=False)
    if row.clip is not None and not row.clip.is_still:
        film = Film(row.upload, row.clip.fps, row.clip.num_frames, row.clip.size)
        player = gr.update(value=player_value(film, row.upload.stem, words), visible=True)
    if row.score is None:
        return [heading, player, gr.update(value=cards.error_card(row.reason or ""))]
    card = score_card(row.score, None, None, words, PLAYER_ID, can_fix=True)
    if row.repaired_ms is not None:
        moved = words("score.repaired", ms=signed(row.repaired_ms))
        address, name = escape(file_address(row.upload)), escape(row.name)
        card += (
            f'<p class="hint" data-testid="repaired">{escape(moved)}</p><p class="check-saving">'
            f'<a class="check-download" href="{address}" download="{name}">'
            f"{escape(words('check.save'))}</a></p>"
        )
    return [heading, player, gr.update(value=f'<div class="card">{card}</div>')]


class _Pace:
    """How long the clips will still take, from the speed of what is done."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._frames = [
            0 if row.is_done or row.clip is None else row.clip.num_frames for row in rows
        ]
        self._done = 0.0
        self._started = time.monotonic()

    def finish(self, place: int) -> None:
        """Count a clip as done."""
        self._done += self._frames[place]

    def tell(self, place: int, share: float) -> tuple[float, float | None]:
        """Return the share of all the work that is done, in [0, 1], and the seconds left.

        `share` says how much of the clip at `place` is done; None = too early to tell.
        """
        done, total = self._done + share * self._frames[place], sum(self._frames)
        spent = time.monotonic() - self._started
        left = spent * (total - done) / done if done >= _ENOUGH else None
        return done / total if total else 1.0, left


def _show(
    scoring: Generator[Progress, None, Row],
    rows: Sequence[Row],
    place: int,
    pace: _Pace,
    words: Words,
) -> Generator[list[Any], None, Row]:
    """Turn the judge's progress into updates of the status; return the row."""
    name, number = rows[place].name, place + 1
    running = words("check.running", name=name, number=number, total=len(rows))
    throttle = Throttle()

    def tell(progress: Progress) -> list[Any] | None:
        if not throttle.is_due():
            return None
        # before that stage the judge listens, which takes no time beside looking
        is_looking = progress.stage == "score"
        share, left = pace.tell(place, is_looking * progress.share)
        told = "" if left is None else words("run.left", time=cards.say_wait(words, left))
        card = cards.low_card(words, running, share, told)
        return CheckUpdates(status=gr.update(value=card)).as_list()

    return (yield from map_steps(tell, scoring))


def _look(row: Row, folder: Path, words: Words) -> Row:
    """Return the row with what its clip is and a picture of it, or the reason it cannot be read."""
    with PlainWords(words) as trouble:
        folder.mkdir()
        clip = probe_clip(bring_in(row.upload, folder, "clip"))
        row = replace(row, clip=clip)
        picture = middle_picture(clip, _THUMBNAIL_SIDE)
        return replace(row, thumbnail=cards.picture_url(picture))
    return _with_reason(row, _inside(row, folder), trouble)


def _inside(row: Row, folder: Path) -> Path:
    found = sorted(folder.glob("clip*"))
    return found[0] if found else folder / "clip"


def _with_reason(row: Row, inside: Path, trouble: PlainWords) -> Row:
    if trouble.sentence is None:
        return row
    # the judge saw a name of ours; the visitor knows the clip by another
    return replace(row, reason=trouble.sentence.replace(inside.name, row.name))


def _refuse(uploads: list[str], words: Words) -> str | None:
    if not uploads:
        return words("check.none")
    if len(uploads) > MAX_CLIPS:
        return words("check.too-many", count=len(uploads), most=MAX_CLIPS)
    return None


def _reading(rows: list[Row], done: int, words: Words) -> list[Any]:
    reading = words("check.reading", number=done, total=len(rows))
    return CheckUpdates(
        status=gr.update(value=cards.low_card(words, reading, 0.0, "")),
        table=table_update(rows, words, thumbnails=[row.thumbnail for row in rows]),
        rows=list(rows),
    ).as_list()


def table_update(rows: Sequence[Row], words: Words, **more: Any) -> dict[str, Any]:
    """Return the table's update with its rows and their summary, and what `more` there is."""
    # the pictures travel once, not with every row that is finished
    return gr.update(rows=describe_rows(rows, words), summary=summarise(rows, words), **more)


def _idle(rows: list[Row], sentence: str, words: Words) -> list[Any]:
    """Return the end of a check: only what was finished is in `rows`."""
    thumbnails = [row.thumbnail for row in rows]
    csv = write_csv(rows, words) if rows else ""
    return CheckUpdates(
        status=gr.update(value=f'<p class="check-end" role="status">{escape(sentence)}</p>'),
        table=table_update(rows, words, thumbnails=thumbnails, csv=csv),
        rows=rows,
        check=gr.update(interactive=True),
        cancel=gr.update(interactive=False),
    ).as_list()


def repair_line(request: gr.Request) -> str:
    """Return the name under which a page's repairs of checked clips are kept among the jobs."""
    return f"repair {_line_of(request)}"


def _line_of(request: gr.Request) -> str:
    # a name of its own, so that a check and a sync of one page do not cancel each other
    return f"check {session_of(request)}"
