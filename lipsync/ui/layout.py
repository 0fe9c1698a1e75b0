"""The whole screen: its tabs, and which event goes to which handler, nothing else.

`build_ui` has no side effects: it loads no model, makes no folder and opens no port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.example import example_photo, example_voice
from lipsync.media.probe import Limits
from lipsync.presets import PRESETS_FOLDER, Preset, Problem, load_presets
from lipsync.residence import Residence
from lipsync.ui.api import lay_out_api
from lipsync.ui.avatars import AvatarHandlers
from lipsync.ui.avatars_shelf import Shelf
from lipsync.ui.avatars_tab import AvatarsTab, connect_avatars, lay_out_avatars
from lipsync.ui.check import Checker
from lipsync.ui.check_repair import CheckRepairs
from lipsync.ui.check_tab import CheckTab, connect_check, connect_check_repair, lay_out_check
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
from lipsync.ui.models_tab import ModelsTab, connect_models, lay_out_models
from lipsync.ui.preset_panel import connect_choices
from lipsync.ui.repair import Repairs
from lipsync.ui.resident import Pipeline, Resident
from lipsync.ui.revisit import Revisits
from lipsync.ui.stage import SYNC, Stage
from lipsync.ui.sync_tab import SyncTab, lay_out_sync
from lipsync.ui.visitors import connect_visitor, make_visitor_state
from lipsync.ui.words import label
from lipsync.weights import ModelStore

QUEUE_LENGTH = 64
AVATARS = "avatars"  # id of the tab
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
    shelf: Shelf | None = None,
) -> gr.Blocks:
    """Return the screen, not launched; launch it with `launch.launch_options`.

    `make_pipeline` gets the presets and is called at the first need, or now where the app
    `loads_first`, as on a machine that lends its card per job. Files longer than `limits` are
    refused. Job folders go under `job_root` (None: the system's folder for temporary files).
    `residence` is the pipeline's, where models lie and are loaded (None: an empty one);
    `can_fetch` says whether visitors may fetch and delete models. Avatars lie on `shelf` (None: for
    some hours, each visitor's own). Raises InputError where not one preset can be read.
    """
    found, problems = _read_presets(preset_folders)
    presets = {preset.name: preset for preset in found}
    get_pipeline, jobs = Resident(partial(make_pipeline, found)), Jobs(job_root)
    if loads_first:
        get_pipeline()
    residence = residence or Residence()
    store = residence.store
    stage, shelf = Stage(presets, History(), store), shelf or Shelf()
    with gr.Blocks(
        title="Lipsync Studio",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(SWEEP_SECONDS, KEEP_SECONDS),
    ) as screen:
        visitor = make_visitor_state()
        pages = _lay_out_pages(found, problems, store, can_fetch=can_fetch)
        sync = pages.sync
        studio = Studio(get_pipeline, presets, jobs, stage, screen, limits, shelf)
        arrived = connect_visitor(screen, visitor)
        running = _connect_job(screen, sync, studio, visitor)
        _connect_inputs(screen, sync, studio, ClipScanner(get_pipeline, limits), visitor)
        revisits = Revisits(stage, presets, jobs, sync.inputs.presets)
        repairs = Repairs(get_pipeline, jobs, stage)
        running += _connect_result(sync, studio, revisits, repairs, visitor, running)
        avatars = AvatarHandlers(get_pipeline, shelf, jobs, presets, limits)
        page = pages.by_id[AVATARS]
        connect_avatars(
            screen, arrived, page, pages.tabs, pages.avatars, sync.inputs, avatars, visitor
        )
        history = HistoryHandlers(stage.history, presets)
        connect_history(arrived, pages.kept, history, visitor)
        _connect_history(pages, history, revisits, visitor, running)
        connect_check(screen, pages.check, Checker(get_pipeline, jobs))
        connect_check_repair(screen, pages.check, CheckRepairs(get_pipeline, jobs))
        _connect_models(pages, ModelHandlers(sync.inputs.presets, residence))
        lay_out_api(screen, get_pipeline, jobs, presets, store)
    screen.queue(max_size=QUEUE_LENGTH, api_open=False)
    return screen


def _read_presets(folders: Iterable[Path]) -> tuple[list[Preset], list[Problem]]:
    found, problems = load_presets(folders, make_settings)
    if not found:
        raise InputError(
            "No preset can be read; put back presets/draft.yaml. " + " ".join(map(str, problems))
        )
    return found, problems


@dataclass(frozen=True)
class _Pages:
    """The tabs and what lies in each of them."""

    tabs: gr.Tabs
    by_id: Mapping[str, gr.Tab]
    sync: SyncTab
    avatars: AvatarsTab
    kept: HistoryTab
    check: CheckTab
    models: ModelsTab


def _lay_out_pages(
    presets: Sequence[Preset],
    problems: Sequence[Problem],
    store: ModelStore,
    *,
    can_fetch: bool,
) -> _Pages:
    """Put the tabs below each other's heads; the arguments are those of `lay_out_sync`."""
    by_id: dict[str, gr.Tab] = {}

    def add_page(tab_id: str, key: str) -> gr.Tab:
        by_id[tab_id] = gr.Tab(label(key), id=tab_id, elem_id=f"{tab_id}-tab")
        return by_id[tab_id]

    gr.HTML(f"<h1>Lipsync Studio</h1><p>{label('run.tagline')}</p>", elem_id="title")
    with gr.Tabs(elem_id="tabs") as tabs:
        with add_page(SYNC, "run.tab"):
            sync = lay_out_sync(presets, problems, store, can_fetch=can_fetch)
        with add_page(AVATARS, "avatars.tab"):
            avatars = lay_out_avatars()
        with add_page("history", "history.tab"):
            kept = lay_out_history()
        with add_page("check", "check.tab"):
            check = lay_out_check()
        with add_page(MODELS, "models.tab"):
            models = lay_out_models()
    return _Pages(tabs, by_id, sync, avatars, kept, check, models)


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
    pages: _Pages,
    history: HistoryHandlers,
    revisits: Revisits,
    visitor: gr.BrowserState,
    running: list[Dependency],
) -> None:
    """Keep the list fresh, and bring jobs of the history back to the stage and the inputs."""
    tabs, kept, sync = pages.tabs, pages.kept, pages.sync
    inputs, asked = sync.inputs, [visitor, kept.widget]
    pages.by_id["history"].select(history.list_entries, visitor, kept.widget, **AT_ONCE)
    for job in running:
        job.then(history.list_entries, visitor, kept.widget, **AT_ONCE)
    stage = list(vars(sync.outputs).values())
    kept.widget.input(revisits.show, asked, [tabs, *stage], **AT_ONCE)
    brought = [inputs.clip, inputs.voice, inputs.clip_view, *inputs.presets.outputs]
    kept.widget.input(revisits.reuse, asked, [tabs, *brought], **QUIET)


def _connect_models(pages: _Pages, handlers: ModelHandlers) -> None:
    """Let the models' tab know when it is open, and the preset cards lead to it."""
    page = pages.by_id[MODELS]
    others = [other for other in pages.by_id.values() if other is not page]
    cards = pages.sync.inputs.presets.cards
    connect_models(page, others, pages.tabs, pages.models, cards, handlers)


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
