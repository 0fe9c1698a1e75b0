"""*Fix offset* for a checked clip: its repaired copy becomes one more row of the table.

A copy is handed out like a result, under an address nobody can guess, and known to the session
that asked for it only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from lipsync.media.probe import probe_clip
from lipsync.steps import map_steps
from lipsync.types import SyncScore
from lipsync.ui import cards
from lipsync.ui.check import find_row, repair_line, show_row, table_update
from lipsync.ui.check_table import Row, write_csv
from lipsync.ui.jobs import Jobs, bring_in, hand_out
from lipsync.ui.repair import RepairStep, copy_suffix, repair_steps
from lipsync.ui.resident import Pipeline
from lipsync.ui.score_card import is_fixable
from lipsync.ui.trouble import PlainWords
from lipsync.ui.updates import Throttle, Update, Updates, shown
from lipsync.ui.words import Words, words_for

_STEM_LENGTH = 50  # letters that stay of a clip's name: at most 200 bytes
_MARK = "-repaired"


@dataclass(frozen=True)
class CheckRepairUpdates(Updates):
    """One update for every component a repair touches."""

    repair: Update | None = None
    stop_repair: Update | None = None
    table: Update | None = None
    rows: list[Row] | None = None
    heading: Update | None = None
    player: Update | None = None
    card: Update | None = None


class CheckRepairs:
    """The handlers of *Fix offset* on the card of an opened row."""

    def __init__(self, get_pipeline: Callable[[], Pipeline], jobs: Jobs) -> None:
        self._get_pipeline = get_pipeline
        self._jobs = jobs

    def announce(self, chosen: Any, rows: list[Row], request: gr.Request) -> list[Any]:
        """Return the row to repair, how its repair stands, and what stops it, before the queue
        lets it in.

        Raises gr.Error, which nobody sees, where `chosen` is no row that can be repaired.
        """
        row, words = find_row(chosen, rows), words_for(request)
        if row is None or not is_fixable(row.score):
            raise gr.Error("nothing to repair", visible=False, print_exception=False)
        job = self._jobs.announce(repair_line(request))
        job.is_delivered = True  # whatever is asked for next matters more
        waiting = _say(RepairStep("move", 0.0), row, words, words("run.waiting"))
        return [row, shown(waiting), gr.update(visible=True)]

    def repair(self, row: Row, rows: list[Row], request: gr.Request) -> Iterator[list[Any]]:
        """Make the repaired copy of `row`, judge it, and open it as the last of `rows`."""
        line, words = repair_line(request), words_for(request)
        job = self._jobs.claim(line)
        if job is None:  # stopped before it began; of no update at all Gradio empties components
            yield CheckRepairUpdates().as_list()
            return
        inside = Path("clip")
        with PlainWords(words) as trouble, self._jobs.open(line, job) as folder:
            inside = bring_in(row.upload, folder, "clip")
            copy = folder / f"repaired{copy_suffix(inside)}"
            steps = repair_steps(self._get_pipeline(), inside, copy, row.score)
            score = yield from map_steps(_Teller(row, words), job.follow(steps))
            if score is None:  # stopped
                return
            made = hand_out(copy, _name_copy(row.upload, copy.suffix))
            yield _open([*rows, _repaired(row, made, score)], words)
        if trouble.sentence is not None:
            # the visitor knows the clip, and its copy, by another name
            told = trouble.sentence.replace(inside.name, row.name)
            told = told.replace(f"repaired{copy_suffix(inside)}", row.name)
            yield CheckRepairUpdates(
                repair=shown(cards.error_card(told)), stop_repair=gr.update(visible=False)
            ).as_list()

    def stop(self, request: gr.Request) -> None:
        """Stop the visitor's repair, waiting or running."""
        self._jobs.cancel(repair_line(request))

    def tell_stopped(self, request: gr.Request) -> list[Any]:
        """Show that the repair has stopped, after the last progress that was on its way."""
        told = cards.quiet_line(words_for(request)("run.cancelled"))
        return [shown(told), gr.update(visible=False)]


class _Teller:
    """Says how far the repair of a row is, no more often than can be seen."""

    def __init__(self, row: Row, words: Words) -> None:
        self._row = row
        self._words = words
        self._throttle = Throttle()

    def __call__(self, step: RepairStep) -> list[Any] | None:
        if not self._throttle.is_due():
            return None
        said = _say(step, self._row, self._words, step.say(self._words))
        return CheckRepairUpdates(repair=shown(said), stop_repair=gr.update(visible=True)).as_list()


def _say(step: RepairStep, row: Row, words: Words, doing: str) -> str:
    return cards.low_card(words, words("check.repairing", name=row.name), step.share, doing)


def _open(rows: Sequence[Row], words: Words) -> list[Any]:
    """Return the updates that add the last of `rows` to the table and open it."""
    heading, player, card = show_row(rows[-1], words)
    thumbnails, place = [row.thumbnail for row in rows], len(rows) - 1
    csv = write_csv(rows, words)
    return CheckRepairUpdates(
        repair=shown(""),
        stop_repair=gr.update(visible=False),
        table=table_update(rows, words, thumbnails=thumbnails, csv=csv, value=place),
        rows=list(rows),
        heading=heading,
        player=player,
        card=card,
    ).as_list()


def _repaired(row: Row, made: Path, score: SyncScore) -> Row:
    assert row.score is not None
    moved = (row.repaired_ms or 0) + round(row.score.frames_ms)
    return Row(made, probe_clip(made), row.thumbnail, score, repaired_ms=moved)


def _name_copy(upload: Path, suffix: str) -> str:
    return upload.stem.removesuffix(_MARK)[:_STEM_LENGTH] + _MARK + suffix
