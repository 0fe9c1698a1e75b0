"""What happens on a click: events go to the pipeline, its progress becomes component updates.

A handler knows no component; it returns updates in the order `Screen.run_outputs` of the layout
names them. What visitors may read comes from a LipsyncError; anything else is logged with its
traceback and called a bug of ours.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import gradio as gr

from lipsync.engines import engine_class
from lipsync.errors import InputError, LipsyncError
from lipsync.presets import Preset
from lipsync.types import Fit, Progress, Request, Result
from lipsync.ui import cards, previews
from lipsync.ui.jobs import Job, Jobs, bring_in, hand_out, name_result

log = logging.getLogger(__name__)

OUR_FAULT = (
    "Something broke inside the program; this is a bug of ours, not of your files. "
    "Please report it together with what the terminal shows."
)
_UPDATE_SECONDS = 0.2  # more often than five times a second only costs bandwidth


class Pipeline(Protocol):
    """The part of LipSyncPipeline that the screen uses."""

    def sync(self, request: Request) -> Generator[Progress, None, None]: ...


@dataclass(frozen=True)
class Updates:
    """One update for every component a job touches; None leaves a component as it is."""

    status: dict[str, Any] | None = None
    video: dict[str, Any] | None = None
    score: dict[str, Any] | None = None
    download: dict[str, Any] | None = None
    generate: dict[str, Any] | None = None
    cancel: dict[str, Any] | None = None

    def as_list(self) -> list[Any]:
        """Return the updates in the order of the fields."""
        values = (getattr(self, f.name) for f in fields(self))
        return [gr.skip() if value is None else value for value in values]


class Studio:
    """The handlers of one app. Holds the pipeline, which is made at the first job, and the jobs."""

    def __init__(
        self, make_pipeline: Callable[[], Pipeline], presets: Mapping[str, Preset], jobs: Jobs
    ) -> None:
        self._make_pipeline = make_pipeline
        self._presets = presets
        self._jobs = jobs
        self._pipeline: Pipeline | None = None
        self._pipeline_lock = threading.Lock()

    def choose_preset(self, name: str) -> list[Any]:
        """Return the preset's sentence, the two sliders as its engine uses them, and its fit."""
        preset = self._presets[name]
        return [
            cards.preset_sentence(preset.sentence),
            *slider_updates(preset).values(),
            gr.update(value=preset.fit),
        ]

    def announce(self, request: gr.Request) -> list[Any]:
        """Show that the click was heard, before the queue lets the job in."""
        self._jobs.announce(_visitor(request))
        return Updates(
            status=gr.update(value=cards.waiting_card(), visible=True),
            video=gr.update(value="", visible=False),
            score=gr.update(value="", visible=False),
            download=gr.update(value=None, visible=False),
            generate=gr.update(interactive=False),
            cancel=gr.update(interactive=True),
        ).as_list()

    def generate(
        self,
        clip: str | None,
        voice: str | None,
        preset: str,
        steps: float,
        guidance: float,
        seed: float | None,
        fit: Fit,
        request: gr.Request,
    ) -> Iterator[list[Any]]:
        """Run one job; yield updates while it works and raise gr.Error where it fails."""
        visitor = _visitor(request)
        job = self._jobs.claim(visitor)
        with _PlainWords() as words, self._jobs.open(visitor, job) as folder:
            chosen = self._choose(preset)
            sync_request = Request(
                video=_take(clip, folder, "clip", "a clip or a photo"),
                audio=_take(voice, folder, "voice", "a voice"),
                output=folder / "result.mp4",
                engine=chosen.engine,
                settings={**chosen.settings, **_used(chosen, steps=steps, guidance=guidance)},
                fit=fit,
                seed=_whole_seed(seed),
                quality=chosen.quality,
            )
            final_name = name_result(Path(clip or "").name)
            yield from self._run(sync_request, job, final_name)
        if words.sentence is not None:
            yield _idle(cards.error_card(words.sentence))
            # for clients of the API; the page shows the sentence in its place already
            raise gr.Error(words.sentence, visible=False, print_exception=False)

    def cancel(self, request: gr.Request) -> list[Any]:
        """Stop the visitor's job, waiting or running."""
        self._jobs.cancel(_visitor(request))
        return _idle(cards.cancelled_card())

    def leave(self, request: gr.Request) -> None:
        """Stop the job of a visitor who closed the page, so that the next one starts."""
        self._jobs.cancel(_visitor(request))

    def _run(self, request: Request, job: Job, final_name: str) -> Iterator[list[Any]]:
        if job.is_cancelled:  # while it waited
            yield _idle(cards.cancelled_card())
            return
        shown_stage, shown_at = "", 0.0
        steps = self._get_pipeline().sync(request)
        try:
            for progress in steps:
                if job.is_cancelled:
                    break
                if progress.result is not None:
                    yield _finished(progress.result, hand_out(request.output, final_name))
                elif progress.stage != shown_stage or time.monotonic() > shown_at + _UPDATE_SECONDS:
                    shown_stage, shown_at = progress.stage, time.monotonic()
                    yield Updates(
                        status=gr.update(value=cards.progress_card(progress), visible=True),
                        generate=gr.update(interactive=False),
                        cancel=gr.update(interactive=True),
                    ).as_list()
        finally:
            steps.close()
        if job.is_cancelled:
            yield _idle(cards.cancelled_card())

    def _get_pipeline(self) -> Pipeline:
        with self._pipeline_lock:
            if self._pipeline is None:
                self._pipeline = self._make_pipeline()
            return self._pipeline

    def _choose(self, name: str) -> Preset:
        if name not in self._presets:
            raise InputError(
                f"There is no preset called {name!r}; choose one of: {', '.join(self._presets)}."
            )
        return self._presets[name]


def slider_updates(preset: Preset) -> dict[str, dict[str, Any]]:
    """Return, for the sliders ``steps`` and ``guidance``, whether the preset's engine uses them
    and, where it does not, why they are grey."""
    engine = engine_class(preset.engine)
    used = {f.name for f in fields(engine.Settings)}
    label = engine.spec.label
    reasons = {
        "steps": f"The {label} engine paints in one pass; steps are not used.",
        "guidance": f"The {label} engine follows the voice directly; guidance is not used.",
    }
    helps = {
        "steps": "More steps look finer and take longer.",
        "guidance": "Higher follows the voice more strictly.",
    }
    updates = {}
    for name, reason in reasons.items():
        updates[name] = gr.update(
            interactive=name in used, info=helps[name] if name in used else reason
        )
        if name in used and name in preset.settings:
            updates[name]["value"] = preset.settings[name]
    return updates


class _PlainWords:
    """Turns an exception inside the block into a sentence for the visitor; logs our own bugs."""

    sentence: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[True] | None:
        if isinstance(error, LipsyncError):
            self.sentence = str(error)
            return True
        if isinstance(error, Exception):  # not GeneratorExit: that is a client who left
            log.error("a job failed through a bug", exc_info=error)
            self.sentence = OUR_FAULT
            return True
        return None


def _visitor(request: gr.Request) -> str:
    return request.session_hash or "nobody"


def _take(upload: str | None, folder: Path, stem: str, what: str) -> Path:
    if upload is None:
        raise InputError(f"There is no {stem} yet; choose {what} first.")
    return bring_in(Path(upload), folder, stem)


def _used(preset: Preset, **sliders: float) -> dict[str, float]:
    known = {f.name for f in fields(engine_class(preset.engine).Settings)}
    return {name: value for name, value in sliders.items() if name in known}


def _whole_seed(seed: float | None) -> int:
    if seed is None or not 0 <= seed < 2**32 or seed != int(seed):
        raise InputError(f"The seed is {seed}; give a whole number from 0 to {2**32 - 1}.")
    return int(seed)


def _finished(result: Result, final: Path) -> list[Any]:
    return Updates(
        status=gr.update(value="", visible=False),
        video=gr.update(value=previews.play_result(str(final)), visible=True),
        score=gr.update(value=cards.result_card(result), visible=True),
        download=gr.update(value=str(final), visible=True),
        generate=gr.update(interactive=True),
        cancel=gr.update(interactive=False),
    ).as_list()


def _idle(status: str) -> list[Any]:
    return Updates(
        status=gr.update(value=status, visible=True),
        generate=gr.update(interactive=True),
        cancel=gr.update(interactive=False),
    ).as_list()
