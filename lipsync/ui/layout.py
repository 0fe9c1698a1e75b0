"""The whole screen: its tabs, and which event goes to which handler, nothing else.

`build_ui` has no side effects: it loads no model, makes no folder and opens no port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.example import example_photo, example_voice
from lipsync.media.probe import Limits
from lipsync.presets import PRESETS_FOLDER, Preset, load_presets
from lipsync.residence import Residence
from lipsync.ui.api import lay_out_api
from lipsync.ui.check import Checker
from lipsync.ui.check_repair import CheckRepairs
from lipsync.ui.check_tab import connect_check, connect_check_repair, lay_out_check
from lipsync.ui.clip_panel import ClipScanner, connect_clip
from lipsync.ui.events import AT_ONCE, ON_DEVICE, QUIET
from lipsync.ui.handlers import Studio
from lipsync.ui.history import KEEP_SECONDS, History
from lipsync.ui.history_tab import (
    HistoryHandlers,
    HistoryTab,
    connect_history,
    lay_out_history,
)
from lipsync.ui.jobs import Jobs
from lipsync.ui.models import MODELS, ModelHandlers
from lipsync.ui.models_tab import connect_models, lay_out_models
from lipsync.ui.preset_panel import connect_choices
from lipsync.ui.repair import Repairs
from lipsync.ui.resident import Pipeline, Resident
from lipsync.ui.revisit import Revisits
from lipsync.ui.stage import SYNC, Stage
from lipsync.ui.sync_tab import SyncTab, lay_out_sync
from lipsync.ui.visitors import connect_visitor, make_visitor_state
from lipsync.ui.words import label

QUEUE_LENGTH = 64
SWEEP_SECONDS = 1800  # how often old uploads and results are looked for

_SHOW_RESULT = '(...values) => { studio.reveal("#result"); return values; }'
_SAVE_BOTH = '() => { document.getElementById("both")?.click(); return []; }'


def build_ui(
    make_pipeline: Callable[[Sequence[Preset]], Pipeline],
    preset_folders: Iterable[Path] = (PRESETS_FOLDER,),
    job_root: Path | None = None,
    limits: Limits = Limits(),  # noqa: B008 — frozen, the same for every call
    loads_first: bool = False,
    residence: Residence | None = None,
    can_fetch: bool = True,
) -> gr.Blocks:
    """Return the screen, not launched; launch it with `launch.launch_options`.

    `make_pipeline` gets the presets and is called at the first need, or now where the app
    `loads_first`, as on a machine that lends its card per job. Files longer than `limits` are
    refused. Job folders go under `job_root` (None: the system's folder for temporary files).
    `residence` is the pipeline's, where models lie and are loaded (None: an empty one);
    `can_fetch` says whether visitors may fetch and delete models.
    Raises InputError where not one preset can be read.
    """
    found, problems = load_presets(preset_folders, make_settings)
    if not found:
        raise InputError(
            "No preset can be read; put back presets/draft.yaml. " + " ".join(map(str, problems))
        )
    presets = {preset.name: preset for preset in found}
    get_pipeline, jobs = Resident(partial(make_pipeline, found)), Jobs(job_root)
    if loads_first:
        get_pipeline()
    residence = residence or Residence()
    store = residence.store
    stage = Stage(presets, History(), store)
    with gr.Blocks(
        title="Lipsync Studio",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(SWEEP_SECONDS, KEEP_SECONDS),
    ) as screen:
        visitor = make_visitor_state()
        gr.HTML(f"<h1>Lipsync Studio</h1><p>{label('run.tagline')}</p>", elem_id="title")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab(label("run.tab"), id=SYNC, elem_id="sync-tab") as sync_page:
                sync = lay_out_sync(found, problems, store, can_fetch=can_fetch)
            with gr.Tab(label("history.tab"), id="history", elem_id="history-tab") as history_page:
                kept = lay_out_history()
            with gr.Tab(label("check.tab"), id="check", elem_id="check-tab") as check_page:
                check = lay_out_check()
            with gr.Tab(label("models.tab"), id=MODELS, elem_id="models-tab") as models_page:
                models = lay_out_models()
        studio = Studio(get_pipeline, presets, jobs, stage, screen, limits)
        arrived = connect_visitor(screen, visitor)
        running = _connect_job(screen, sync, studio, visitor)
        _connect_inputs(screen, sync, studio, ClipScanner(get_pipeline, limits), visitor)
        revisits = Revisits(stage, presets, jobs, sync.inputs.presets)
        repairs = Repairs(get_pipeline, jobs, stage)
        running += _connect_result(sync, studio, revisits, repairs, visitor, running)
        history = HistoryHandlers(stage.history, presets)
        connect_history(arrived, kept, history, visitor)
        _connect_history(history_page, tabs, sync, kept, history, revisits, visitor, running)
        connect_check(screen, check, Checker(get_pipeline, jobs))
        connect_check_repair(screen, check, CheckRepairs(get_pipeline, jobs))
        panel, other_pages = sync.inputs.presets, (sync_page, history_page, check_page)
        handlers = ModelHandlers(panel, residence)
        connect_models(models_page, other_pages, tabs, models, panel.cards, handlers)
        lay_out_api(screen, get_pipeline, jobs, presets, store)
    screen.queue(max_size=QUEUE_LENGTH, api_open=False)
    return screen


def _connect_inputs(
    screen: gr.Blocks,
    sync: SyncTab,
    studio: Studio,
    scanner: ClipScanner,
    visitor: gr.BrowserState,
) -> None:
    """Show at once what was brought and chosen, and what it would take."""
    inputs = sync.inputs
    inputs.voice.change(studio.preview_voice, inputs.voice, inputs.voice_view, **AT_ONCE)
    scanned = connect_clip(screen, inputs.clip, inputs.clip_view, scanner)
    connect_choices(screen, inputs.presets)
    order, times = _order_of(sync, visitor), inputs.presets.cards
    scanned.then(studio.tell_times, order, times, **AT_ONCE)
    gr.on(
        [inputs.voice.change, *(part.change for part in inputs.presets.inputs)],
        studio.tell_times,
        order,
        times,
        trigger_mode="always_last",
        **AT_ONCE,
    )
    screen.load(
        lambda: (str(example_photo()), str(example_voice())),
        None,
        [inputs.clip, inputs.voice],
        **AT_ONCE,
    )


def _connect_job(
    screen: gr.Blocks, sync: SyncTab, studio: Studio, visitor: gr.BrowserState
) -> list[Dependency]:
    """Let a click start, and another one stop, a job; return what runs it, for cancelling."""
    out = sync.outputs
    run = partial(_run, sync, visitor)
    running = [
        run(out.generate.click, studio.announce, studio.generate),
        run(out.preview.click, studio.announce_preview, studio.preview),
    ]
    out.clock.tick(studio.tell_place, None, out.status, **AT_ONCE)
    screen.unload(studio.leave)
    return running


def _connect_result(
    sync: SyncTab,
    studio: Studio,
    revisits: Revisits,
    repairs: Repairs,
    visitor: gr.BrowserState,
    running: list[Dependency],
) -> list[Dependency]:
    """Let a finished job be exported, repaired and tried again with a change; and let all of it
    stop.

    Returns what runs the job tried again, and the repair.
    """
    out, every = sync.outputs, list(vars(sync.outputs).values())
    brought = sync.inputs
    changed = out.again.select(
        revisits.change,
        [visitor, out.shown, out.again, brought.clip, brought.voice],
        [brought.clip, brought.voice, brought.clip_view, *brought.presets.outputs],
        **QUIET,
    )
    again = _run(sync, visitor, changed.success, studio.announce, studio.generate)
    both = out.make_both.click(revisits.make_both, [visitor, out.shown], every, **ON_DEVICE)
    both.success(None, js=_SAVE_BOTH, **AT_ONCE)
    heard = out.score.click(repairs.announce, None, every, **AT_ONCE)
    repair = heard.then(repairs.repair, [visitor, out.shown], every, **ON_DEVICE)
    stopped = gr.State("nothing")
    begun = [*running, again, both, repair]
    out.cancel.click(studio.stop, None, stopped, cancels=begun, **AT_ONCE).then(
        studio.tell_stopped, stopped, every, **AT_ONCE
    )
    return [again, repair]


def _connect_history(
    page: gr.Tab,
    tabs: gr.Tabs,
    sync: SyncTab,
    kept: HistoryTab,
    history: HistoryHandlers,
    revisits: Revisits,
    visitor: gr.BrowserState,
    running: list[Dependency],
) -> None:
    """Keep the list fresh, and bring jobs of the history back to the stage and the inputs."""
    inputs, asked = sync.inputs, [visitor, kept.widget]
    page.select(history.list_entries, visitor, kept.widget, **AT_ONCE)
    for job in running:
        job.then(history.list_entries, visitor, kept.widget, **AT_ONCE)
    stage = list(vars(sync.outputs).values())
    kept.widget.input(revisits.show, asked, [tabs, *stage], **AT_ONCE)
    brought = [inputs.clip, inputs.voice, inputs.clip_view, *inputs.presets.outputs]
    kept.widget.input(revisits.reuse, asked, [tabs, *brought], **QUIET)


def _run(
    sync: SyncTab,
    visitor: gr.BrowserState,
    event: Callable[..., Dependency],
    announce: Callable[..., Any],
    make: Callable[..., Any],
) -> Dependency:
    """Let `event` start a job: heard at once, done when the device is free."""
    inputs, outputs = _order_of(sync, visitor), list(vars(sync.outputs).values())
    heard = event(announce, inputs, outputs, js=_SHOW_RESULT, **AT_ONCE)
    return heard.then(make, inputs, outputs, **ON_DEVICE)


def _order_of(sync: SyncTab, visitor: gr.BrowserState) -> list[Any]:
    """Return the components that say what a job should be made of."""
    inputs = sync.inputs
    return [inputs.clip, inputs.voice, visitor, inputs.clip_view, *inputs.presets.inputs]
