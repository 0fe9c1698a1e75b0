"""*Fix offset*: a copy whose sound comes at the right moment, judged anew.

The steps are the same for the stage and for checked clips; the handlers here are the stage's, where
the copy becomes a job of its own in its visitor's history. What fails or is stopped leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from lipsync.errors import InputError
from lipsync.media.probe import probe_clip
from lipsync.media.shift import COPY_FORMATS, repair_offset, shift_sound
from lipsync.record import add_repair, score_from_json
from lipsync.steps import map_steps
from lipsync.types import FaceChoice, Progress, SyncScore
from lipsync.ui import cards, updates
from lipsync.ui.history import Entry
from lipsync.ui.jobs import Jobs, bring_in, session_of
from lipsync.ui.previews import middle_picture
from lipsync.ui.resident import Pipeline
from lipsync.ui.score_card import is_fixable
from lipsync.ui.stage import Stage
from lipsync.ui.trouble import PlainWords
from lipsync.ui.updates import JobUpdates, Throttle
from lipsync.ui.visitors import read_visitor
from lipsync.ui.words import Words, words_for

_MOVING = 0.1  # of the work; the rest is judging


@dataclass(frozen=True)
class RepairStep:
    """How far a repair is."""

    stage: Literal["move", "score"]
    share: float  # of all of it, [0, 1]

    def say(self, words: Words) -> str:
        """Return in words what is being done."""
        return words(f"run.stage-{self.stage}")


def repair_steps(
    pipeline: Pipeline,
    source: Path,
    output: Path,
    score: SyncScore | None,
    face: FaceChoice | None = None,
) -> Generator[RepairStep, None, SyncScore]:
    """Write `output`, a copy of `source` without the offset that `score` tells, and judge it.

    The generator's return value is the copy's score, by the same judge. Raises InputError where
    there is nothing to repair, and what `shift_sound` and the judge raise.
    """
    if score is None or not is_fixable(score):
        raise InputError(
            "The sound is not off by more than one frame, which is normal; there is no offset to "
            "repair here."
        )
    moving = shift_sound(source, output, repair_offset(score), score.fps)
    yield from map_steps(lambda share: RepairStep("move", _MOVING * share), moving)

    def tell(progress: Progress) -> RepairStep:
        # before that stage the judge listens, which takes no time beside looking
        looked = progress.share if progress.stage == "score" else 0.0
        return RepairStep("score", _MOVING + (1 - _MOVING) * looked)

    return (yield from map_steps(tell, pipeline.score_steps(output, face=face, judge=score.judge)))


def copy_suffix(source: Path) -> str:
    """Return how the name of a copy of `source` has to end; MKV holds what others cannot."""
    return source.suffix if source.suffix in COPY_FORMATS else ".mkv"


def repair_line(request: gr.Request) -> str:
    """Return the name under which a page's repairs are kept among the jobs: not the page's own, as
    a job that waits there would be taken for one of them."""
    return f"repair {session_of(request)}"


class Repairs:
    """The stage's handlers; each of them looks only into its visitor's own history."""

    def __init__(self, get_pipeline: Callable[[], Pipeline], jobs: Jobs, stage: Stage) -> None:
        self._get_pipeline = get_pipeline
        self._jobs = jobs
        self._stage = stage
        self._history = stage.history

    def announce(self, request: gr.Request) -> list[Any]:
        """Show that the click was heard, before the queue lets the repair in."""
        job = self._jobs.announce(repair_line(request))
        job.is_delivered = True  # the result is there; whatever is asked for next matters more
        return JobUpdates(
            status=updates.shown(cards.asked_card(words_for(request))),
            cancel=gr.update(interactive=True),
            clock=gr.Timer(active=True),
        ).as_list()

    def repair(self, request: gr.Request, visitor: Any, shown: str) -> Iterator[list[Any]]:
        """Repair the offset of the job on the stage, and show the copy in its place."""
        line, words = repair_line(request), words_for(request)
        job = self._jobs.claim(line)
        if job is None:  # stopped before it began; of no update at all Gradio empties components
            yield JobUpdates().as_list()
            return
        with PlainWords(words) as trouble, self._jobs.open(line, job) as folder:
            visitor = read_visitor(visitor)
            entry = self._history.get(visitor, shown)
            record, copy = entry.read_record(), folder / "repaired.mp4"
            before, face = _score_of(record), _face_in_result(entry, record)
            steps = repair_steps(self._get_pipeline(), entry.result, copy, before, face)
            score = yield from map_steps(_Teller(words), job.follow(steps))
            if score is None:  # stopped
                return
            assert before is not None
            repaired = add_repair(record, score, repair_offset(before))
            made = self._keep(visitor, entry, copy, repaired)
            yield self._stage.show(made, words).as_list()
        if trouble.sentence is not None:
            yield JobUpdates(
                status=updates.shown(cards.error_card(trouble.sentence)),
                cancel=updates.LOCKED,
                clock=gr.Timer(active=False),
            ).as_list()

    def _keep(self, visitor: str, entry: Entry, copy: Path, record: Mapping[str, Any]) -> Entry:
        """Put the repaired `copy` of `entry` into the history, with all that stood beside it."""
        made = self._history.add(
            visitor,
            result=copy,
            clip=entry.clip,
            voice=entry.voice,
            thumbnail=middle_picture(probe_clip(copy)),
            record=record,
            choices=entry.choices,
            preset=entry.preset,
            clip_name=entry.clip_name,
            voice_name=entry.voice_name,
        )
        if entry.before is None:
            return made
        # the pictures stand where they stood, so the source is in step with the copy, too
        return self._history.attach_before(made, bring_in(entry.before, copy.parent, "before"))


class _Teller:
    """Says how far a repair is, as updates, no more often than can be seen."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._throttle = Throttle()
        self._stage = ""

    def __call__(self, step: RepairStep) -> list[Any] | None:
        if not self._throttle.is_due(at_once=step.stage != self._stage):
            return None
        self._stage = step.stage
        told = cards.progress_bar(self._words, step.say(self._words), step.share, "")
        return JobUpdates(
            status=updates.shown(f'<div class="card progress">{told}</div>'),
            cancel=gr.update(interactive=True),
            clock=gr.Timer(active=False),
        ).as_list()


def _score_of(record: Mapping[str, Any]) -> SyncScore | None:
    """Return the score that the stage shows for a finished job; a preview has none."""
    if record["score"] is None or record["settings"]["part"] is not None:
        return None
    return score_from_json(record["score"])


def _face_in_result(entry: Entry, record: Mapping[str, Any]) -> FaceChoice:
    """Return the face that a job was about, where its result shows it."""
    settings = record["settings"]
    click, start = settings["face_click"], settings["start"] or 0.0
    if click is None:
        return FaceChoice(settings["face"])
    seconds, length = click["seconds"] - start, record["duration_seconds"]
    if settings["fit"] == "stretch":
        end = settings["end"] or probe_clip(entry.clip).duration
        seconds *= length / (end - start) if end > start else 1.0
    point = (click["x"], click["y"])
    return FaceChoice(click=point, click_seconds=min(max(seconds, 0.0), length))
