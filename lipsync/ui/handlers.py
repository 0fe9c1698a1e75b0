"""What happens on a click: events go to the pipeline, its progress becomes component updates.

A handler knows no component; `updates.JobUpdates` names what it changes. Every handler takes the
request first, and the chosen settings last, in the order of the fields of `Choices`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from lipsync.errors import InputError
from lipsync.media.export import Moments, export_before
from lipsync.media.probe import Limits, probe_clip, probe_voice
from lipsync.presets import Preset
from lipsync.record import add_baseline, make_record
from lipsync.steps import exhaust
from lipsync.types import Clip, Progress, Request, Result
from lipsync.ui import cards, updates
from lipsync.ui.avatars_shelf import Shelf
from lipsync.ui.choices import Choices, Selection, make_request
from lipsync.ui.clip_panel import read_selection
from lipsync.ui.expected import expected_seconds, expected_times
from lipsync.ui.history import Entry
from lipsync.ui.jobs import Job, Jobs, bring_in, session_of
from lipsync.ui.line import sessions_before
from lipsync.ui.preset_panel import read_choices
from lipsync.ui.previews import middle_picture, preview_voice
from lipsync.ui.repair import repair_line
from lipsync.ui.resident import Pipeline
from lipsync.ui.stage import Stage
from lipsync.ui.trouble import PlainWords
from lipsync.ui.updates import JobUpdates, Throttle
from lipsync.ui.visitors import read_visitor
from lipsync.ui.words import Words, words_for

log = logging.getLogger(__name__)

Stopped = Literal["job", "extras", "nothing"]


@dataclass(frozen=True)
class _Order:
    """One job of a visitor, as the screen asked for it."""

    job: Job
    words: Words
    visitor: str
    folder: Path
    choices: Choices
    request: Request
    clip_name: str  # as the visitor calls it
    voice_name: str

    @property
    def is_preview(self) -> bool:
        return self.request.part is not None


class Studio:
    """The handlers around making a result."""

    def __init__(
        self,
        get_pipeline: Callable[[], Pipeline],
        presets: Mapping[str, Preset],
        jobs: Jobs,
        stage: Stage,
        screen: gr.Blocks,
        limits: Limits,
        shelf: Shelf,
    ) -> None:
        """`screen` is the page whose queue decides the order; `limits` refuse long files early;
        `shelf` holds the visitors' avatars, whose clips need no search for faces."""
        self._get_pipeline = get_pipeline
        self._presets = presets
        self._jobs = jobs
        self._stage = stage
        self._history = stage.history
        self._screen = screen
        self._limits = limits
        self._shelf = shelf

    def preview_voice(self, request: gr.Request, path: str | None) -> str:
        """Return the player and facts of a voice as HTML, or what is wrong with it."""
        return preview_voice(words_for(request), path, self._limits)

    def tell_times(self, request: gr.Request, *values: Any) -> Any:
        """Return the preset cards' update: how long each would take for what is chosen."""
        pipeline, brought = self._get_pipeline(), _read_inputs(values)
        home = self._home_of(values)
        times = expected_times(words_for(request), pipeline, self._presets, *brought, home=home)
        return gr.update(times=times)

    def announce(self, request: gr.Request, *values: Any) -> list[Any]:
        """Show that the click was heard, before the queue lets the job in."""
        return self._announce(request, values, preview=False)

    def announce_preview(self, request: gr.Request, *values: Any) -> list[Any]:
        """As `announce`, for a preview."""
        return self._announce(request, values, preview=True)

    def tell_place(self, request: gr.Request) -> Any:
        """Return the status of a job that waits: its place in the queue and the wait."""
        before = sessions_before(self._screen, session_of(request))
        if before is None:
            return gr.skip()
        seconds = self._jobs.seconds_left(before)
        return updates.shown(cards.waiting_card(words_for(request), len(before), seconds))

    def generate(self, request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        """Make the whole result; `values` are clip, voice, visitor, clip panel and settings."""
        yield from self._make(request, values, preview=False)

    def preview(self, request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        """Make three seconds of the result, from where the clip's player stands."""
        yield from self._make(request, values, preview=True)

    def stop(self, request: gr.Request) -> Stopped:
        """Stop the visitor's job, waiting or running, and return what was stopped."""
        cancelled = self._cancel(request)
        if not cancelled:  # it ended in this very moment
            return "nothing"
        return "extras" if all(job.is_delivered for job in cancelled) else "job"

    def tell_stopped(self, request: gr.Request, stopped: Stopped) -> list[Any]:
        """Show what `stop` has stopped; a result that is there stays.

        A call of its own, so that it comes after the last progress that was on its way.
        """
        words = words_for(request)
        if stopped == "job":
            return updates.idle(cards.sentence_card(words("run.cancelled"))).as_list()
        if stopped == "extras":
            line = cards.quiet_line(words("run.stopped-extras"))
            return JobUpdates(
                status=updates.shown(""),
                extras=updates.shown(line),
                cancel=updates.LOCKED,
                clock=gr.Timer(active=False),
            ).as_list()
        return JobUpdates(cancel=updates.LOCKED).as_list()

    def leave(self, request: gr.Request) -> None:
        """Stop the job of a visitor who closed the page, so that the next one starts."""
        self._cancel(request)

    def _home_of(self, values: tuple[Any, ...]) -> Path | None:
        return self._shelf.home_of(_visitor_in(values))

    def _cancel(self, request: gr.Request) -> list[Job]:
        lines = session_of(request), repair_line(request)
        return [job for line in lines for job in self._jobs.cancel(line)]

    def _announce(
        self, request: gr.Request, values: tuple[Any, ...], *, preview: bool
    ) -> list[Any]:
        pipeline, brought = self._get_pipeline(), _read_inputs(values)
        home = self._home_of(values)
        seconds = expected_seconds(pipeline, self._presets, *brought, preview=preview, home=home)
        self._jobs.cancel(repair_line(request))  # what it was made of leaves the stage
        self._jobs.announce(session_of(request), seconds)
        return updates.starting(cards.asked_card(words_for(request))).as_list()

    def _make(
        self, request: gr.Request, values: tuple[Any, ...], *, preview: bool
    ) -> Iterator[list[Any]]:
        session, words = session_of(request), words_for(request)
        job = self._jobs.claim(session)
        if job is None:  # stopped before it began; of no update at all Gradio empties components
            yield JobUpdates().as_list()
            return
        with PlainWords(words) as trouble, self._jobs.open(session, job) as folder:
            order = self._read_order(job, words, folder, values, preview=preview)
            for update in self._run(order):
                yield update.as_list()
        if trouble.sentence is not None:
            yield updates.idle(cards.error_card(trouble.sentence)).as_list()

    def _read_order(
        self, job: Job, words: Words, folder: Path, values: tuple[Any, ...], *, preview: bool
    ) -> _Order:
        clip, voice, choices, selection = _read_inputs(values)
        if clip is None:
            raise InputError("There is no clip yet; choose a clip or a photo first.")
        if voice is None:
            raise InputError("There is no voice yet; choose a voice first.")
        inside = bring_in(clip, folder, "clip"), bring_in(voice, folder, "voice")
        # what is wrong with them is told here, where they still have the names their owner knows
        probe_clip(clip, self._limits)
        probe_voice(voice, self._limits)
        request = make_request(
            choices,
            selection,
            *inside,
            folder / "result.mp4",
            self._presets,
            preview=preview,
        )
        visitor = _visitor_in(values)
        request = replace(request, home=self._shelf.home_of(visitor))
        return _Order(job, words, visitor, folder, choices, request, clip.name, voice.name)

    def _run(self, order: _Order) -> Iterator[JobUpdates]:
        job, words = order.job, order.words
        result: Result | None = None
        if not job.is_cancelled:  # while it waited
            steps = job.follow(self._get_pipeline().sync(order.request))
            for progress in _throttled(steps):
                job.seconds_left = progress.seconds_left
                result = progress.result
                if result is None:
                    yield updates.working(cards.progress_card(words, progress))
        if result is None:
            yield updates.idle(cards.sentence_card(words("run.cancelled")))
            return
        entry = self._keep(order, result)
        job.is_delivered, job.seconds_left = True, 0.0
        yield from self._add_extras(order, entry)

    def _keep(self, order: _Order, result: Result) -> Entry:
        """Put the finished job into the visitor's history, from where it is shown."""
        preset = self._presets[order.choices.preset]
        return self._history.add(
            order.visitor,
            result=result.output,
            clip=order.request.video,
            voice=order.request.audio,
            thumbnail=middle_picture(probe_clip(result.output)),
            record=make_record(order.request, result, preset=preset.name),
            choices=order.choices,
            preset=preset.title,
            clip_name=order.clip_name,
            voice_name=order.voice_name,
        )

    def _add_extras(self, order: _Order, entry: Entry) -> Iterator[JobUpdates]:
        """Show the result at once; then make what stands beside it, unless told to stop."""
        words, job = order.words, order.job
        with PlainWords(words) as trouble:
            yield self._stage.show(entry, words, extras=words("run.comparing"))
            entry = self._attach_before(order, entry)
            if job.is_cancelled:
                return
            source = probe_clip(entry.clip)
            if not order.is_preview and source.has_audio:
                yield self._stage.show_comparison(entry, words, words("run.judging-source"))
                self._attach_baseline(order, entry, source)
                if job.is_cancelled:
                    return
                yield self._stage.show_score(entry, words)
            yield self._stage.show_comparison(entry, words)
        if trouble.sentence is not None:
            yield JobUpdates(extras=updates.shown(cards.error_card(trouble.sentence)))

    def _attach_before(self, order: _Order, entry: Entry) -> Entry:
        before, asked = order.folder / "before.mp4", order.request
        moments = Moments(asked.fit, asked.start, asked.end, asked.part, entry.voice)
        steps = export_before(entry.clip, entry.result, before, moments)
        exhaust(order.job.follow(steps))
        return entry if order.job.is_cancelled else self._history.attach_before(entry, before)

    def _attach_baseline(self, order: _Order, entry: Entry, source: Clip) -> None:
        """Judge the source's own speech where the result shows it; without any, no baseline."""
        asked, record = order.request, entry.read_record()
        end = source.duration if asked.end is None else asked.end
        if asked.fit != "stretch":  # an hour is not judged for a voice of five seconds
            end = min(end, (asked.start or 0.0) + record["duration_seconds"])
        steps = self._get_pipeline().score_steps(
            entry.clip, face=asked.face, start=asked.start, end=end
        )
        try:
            baseline = exhaust(order.job.follow(steps))
        except InputError as reason:
            log.info("the source has no score of its own: %s", reason)
            return
        if baseline is not None:
            self._history.update_record(entry, add_baseline(record, baseline))


def _read_inputs(
    values: tuple[Any, ...],
) -> tuple[Path | None, Path | None, Choices, Selection]:
    """Return clip, voice, settings and what was chosen in the clip, all of it unchecked."""
    clip, voice, _, panel, *chosen = values
    return (
        None if clip is None else Path(clip),
        None if voice is None else Path(voice),
        read_choices(*chosen),
        read_selection(panel, clip),
    )


def _visitor_in(values: tuple[Any, ...]) -> str:
    _, _, visitor, *_ = values
    return read_visitor(visitor)


def _throttled(steps: Iterator[Progress]) -> Iterator[Progress]:
    """Yield the first progress of every stage and the result, others when they are due."""
    stage, throttle = "", Throttle()
    for progress in steps:
        if throttle.is_due(at_once=bool(progress.result) or progress.stage != stage):
            stage = progress.stage
            yield progress
