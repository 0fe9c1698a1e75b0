"""What visitors do with a finished job: see it again, repeat it, change one setting, export it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from lipsync.errors import InputError
from lipsync.media.export import Moments, export_side_by_side
from lipsync.presets import Preset
from lipsync.steps import exhaust
from lipsync.ui import cards, updates
from lipsync.ui.again import change_choices
from lipsync.ui.choices import Choices, Selection
from lipsync.ui.clip_panel import write_selection
from lipsync.ui.history import Entry
from lipsync.ui.history_tab import read_action
from lipsync.ui.jobs import Jobs, hand_out, session_of
from lipsync.ui.preset_panel import PresetPanel, write_choices
from lipsync.ui.stage import SYNC, Stage
from lipsync.ui.trouble import PlainWords
from lipsync.ui.updates import JobUpdates
from lipsync.ui.visitors import read_visitor
from lipsync.ui.words import Words, words_for


class Revisits:
    """The handlers around finished jobs; each of them looks only into its visitor's own history."""

    def __init__(
        self, stage: Stage, presets: Mapping[str, Preset], jobs: Jobs, panel: PresetPanel
    ) -> None:
        """`panel` is where settings are put back."""
        self._stage = stage
        self._history = stage.history
        self._presets = presets
        self._jobs = jobs
        self._panel = panel

    def change(
        self,
        request: gr.Request,
        visitor: Any,
        shown: str,
        change: str | None,
        clip: str | None,
        voice: str | None,
    ) -> list[Any]:
        """Return what the job on the stage was made of, with one change: clip, voice, the clip
        panel's selection and the settings.

        `clip` and `voice`, the paths in the fields now, stay where they are the job's own. Raises
        gr.Error where that job or change is gone, so that no job is started.
        """
        words = words_for(request)
        with PlainWords(words) as trouble:
            entry = self._history.get(read_visitor(visitor), shown)
            choices = change_choices(entry.choices, change or "", self._presets)
            return self._bring_back(entry, choices, words, clip, voice)
        raise gr.Error(trouble.sentence or "", print_exception=False)

    def show(self, request: gr.Request, visitor: Any, asked: Any) -> list[Any]:
        """Return the tab to go to and the updates that put a job of the history on the stage,
        or say there why it cannot be shown."""
        words = words_for(request)
        with PlainWords(words) as trouble:
            action = read_action(asked)
            if action.kind != "show":
                return [gr.skip(), *JobUpdates().as_list()]
            entry = self._history.get(read_visitor(visitor), action.ids[0])
            return [gr.Tabs(selected=SYNC), *self._stage.show(entry, words).as_list()]
        # where it is seen, and a job that runs meanwhile goes on
        told = updates.shown(cards.error_card(trouble.sentence or ""))
        return [gr.Tabs(selected=SYNC), *JobUpdates(status=told).as_list()]

    def reuse(self, request: gr.Request, visitor: Any, asked: Any) -> list[Any]:
        """Return the tab to go to, then what a job of the history was made of: clip, voice, the
        clip panel's selection and the settings."""
        words = words_for(request)
        with PlainWords(words) as trouble:
            action = read_action(asked)
            if action.kind != "again":
                return [gr.skip()] * (4 + len(self._panel.outputs))
            entry = self._history.get(read_visitor(visitor), action.ids[0])
            brought = self._bring_back(entry, entry.choices, words, None, None)
            return [gr.Tabs(selected=SYNC), *brought]
        raise gr.Error(trouble.sentence or "", print_exception=False)

    def make_both(self, request: gr.Request, visitor: Any, shown: str) -> Iterator[list[Any]]:
        """Make the side-by-side video of the job on the stage, and offer it."""
        session, words = session_of(request), words_for(request)
        line = cards.quiet_line(words("run.making-both"))
        yield JobUpdates(extras=updates.shown(line), cancel=gr.update(interactive=True)).as_list()
        job = self._jobs.begin(session)
        job.is_delivered = True  # whatever is asked for next matters more
        with PlainWords(words) as trouble, self._jobs.open(session, job) as folder:
            entry = self._history.get(read_visitor(visitor), shown)
            both = folder / f"{entry.result.stem}-side-by-side.mp4"
            if entry.before is None:
                raise InputError(
                    "The comparison with the source was not finished for this job; "
                    "generate it again first."
                )
            # the source stands in step already
            steps = export_side_by_side(entry.before, entry.result, both, Moments(fit="cut"))
            exhaust(job.follow(steps))
            if job.is_cancelled:
                return
            made = hand_out(both, both.name)
            yield JobUpdates(
                extras=updates.shown(""),
                make_both=gr.update(visible=False),
                both=gr.update(value=str(made), visible=True),
                cancel=updates.LOCKED,
            ).as_list()
        if trouble.sentence is not None:
            trouble_card = cards.error_card(trouble.sentence)
            yield JobUpdates(extras=updates.shown(trouble_card), cancel=updates.LOCKED).as_list()

    def _bring_back(
        self, entry: Entry, choices: Choices, words: Words, clip: str | None, voice: str | None
    ) -> list[Any]:
        lent = self._history.lend(entry)
        has_clip, has_voice = _holds(clip, entry.clip), _holds(voice, entry.voice)
        selection = _selection_of(entry.read_record())
        view = write_selection(selection, clip if clip and has_clip else str(lent.clip))
        return [
            gr.skip() if has_clip else str(lent.clip),
            gr.skip() if has_voice else str(lent.voice),
            gr.update(value=view),
            *write_choices(self._panel, choices, words),
        ]


def _holds(field: str | None, kept: Path) -> bool:
    """Return whether the upload in a field is what a job keeps, of which that is a link."""
    return field is not None and Path(field).exists() and kept.samefile(field)


def _selection_of(record: Mapping[str, Any]) -> Selection:
    settings = record["settings"]
    click = settings["face_click"]
    face = None if click is None else (click["x"], click["y"], click["seconds"])
    return Selection(settings["start"], settings["end"], face)
