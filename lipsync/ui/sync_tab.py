"""The tab that makes a result: its components, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from lipsync.presets import Preset, Problem
from lipsync.ui import cards
from lipsync.ui.clip_panel import make_clip_view
from lipsync.ui.player import make_player
from lipsync.ui.preset_panel import PresetPanel, lay_out_presets
from lipsync.ui.score_card import make_score_view
from lipsync.ui.stage import PLAYER
from lipsync.ui.uploads import CLIP_KINDS, make_upload
from lipsync.ui.widgets import make_widget
from lipsync.ui.words import label
from lipsync.weights import ModelStore

_VOICE_KINDS = ["audio", "video", ".wav", ".mp3", ".m4a", ".ogg", ".opus", ".flac", ".mkv"]
_FIELD_HEIGHT = 96  # px


@dataclass(frozen=True)
class Inputs:
    """What a visitor brings and chooses."""

    clip: gr.File
    avatar: gr.HTML  # `names`: the visitor's avatars; value: {"name"}, the one in use, "" for none
    clip_view: gr.HTML
    voice: gr.File
    voice_view: gr.HTML
    presets: PresetPanel


@dataclass(frozen=True)
class Outputs:
    """What a job changes; the order is that of `updates.JobUpdates`."""

    status: gr.HTML
    player: gr.HTML
    score: gr.HTML
    facts: gr.HTML
    extras: gr.HTML
    files: gr.Row
    download: gr.DownloadButton
    record: gr.DownloadButton
    make_both: gr.Button
    both: gr.DownloadButton
    again: gr.Dropdown
    generate: gr.Button
    preview: gr.Button
    cancel: gr.Button
    clock: gr.Timer
    shown: gr.State


@dataclass(frozen=True)
class SyncTab:
    """The components of the tab."""

    inputs: Inputs
    outputs: Outputs


def lay_out_sync(
    presets: Sequence[Preset],
    problems: Sequence[Problem],
    store: ModelStore,
    *,
    can_fetch: bool = True,
) -> SyncTab:
    """Put the components into the surrounding tab; the arguments are those of `lay_out_presets`."""
    with gr.Row(elem_id="studio", equal_height=False):
        with gr.Column(min_width=320, elem_id="inputs"):
            brought = _lay_out_files()
            panel = lay_out_presets(presets, problems, store, can_fetch=can_fetch)
            inputs = Inputs(*brought, panel)
            gr.HTML(f'<p class="hint">{label("run.consent")}</p>', elem_id="consent")
            with gr.Row(elem_id="buttons"):
                generate = gr.Button(
                    label("run.generate"), variant="primary", min_width=120, elem_id="generate"
                )
                preview = gr.Button(label("run.preview"), min_width=120, elem_id="preview")
                cancel = gr.Button(
                    label("run.cancel"), interactive=False, min_width=90, elem_id="cancel"
                )
        with gr.Column(min_width=320, elem_id="result"):
            outputs = _lay_out_result(generate, preview, cancel)
    return SyncTab(inputs, outputs)


def _lay_out_files() -> tuple[gr.File, gr.HTML, gr.HTML, gr.File, gr.HTML]:
    with gr.Row(equal_height=False, elem_id="uploads"):
        with gr.Column(min_width=220):
            clip = make_upload(
                label=label("run.clip"),
                file_types=CLIP_KINDS,
                height=_FIELD_HEIGHT,
                elem_id="clip",
            )
            make_widget("recorder", elem_id="camera", kind="camera", target="clip")
            avatar = make_widget("avatar_choice", {"name": ""}, elem_id="avatar-choice", names=[])
        with gr.Column(min_width=220):
            voice = make_upload(
                label=label("run.voice"),
                file_types=_VOICE_KINDS,
                height=_FIELD_HEIGHT,
                elem_id="voice",
            )
            make_widget("recorder", elem_id="microphone", kind="microphone", target="voice")
            voice_view = gr.HTML(elem_id="voice-view")
    return clip, avatar, make_clip_view(), voice, voice_view


def _lay_out_result(generate: gr.Button, preview: gr.Button, cancel: gr.Button) -> Outputs:
    player = make_player(PLAYER)
    player.visible = False
    status = gr.HTML(cards.idle_card(), elem_id="status")
    score = make_score_view("score", visible=False)
    with gr.Row(visible=False, elem_id="files") as files:
        download = gr.DownloadButton(
            str(label("run.download")),
            variant="primary",
            size="md",
            min_width=120,
            elem_id="download",
        )
        make_both = gr.Button(
            label("run.download-both"), size="md", min_width=120, elem_id="make-both"
        )
        both = gr.DownloadButton(
            str(label("run.download-both")), visible=False, size="md", min_width=120, elem_id="both"
        )
        record = gr.DownloadButton(
            str(label("run.download-record")), size="md", min_width=120, elem_id="record"
        )
    again = gr.Dropdown(
        [], label=label("run.again"), info=label("run.again-help"), visible=False, elem_id="again"
    )
    extras = gr.HTML(visible=False, elem_id="extras")
    facts = gr.HTML(visible=False, elem_id="facts")
    clock = gr.Timer(1.0, active=False)
    shown = gr.State("")
    return Outputs(
        status,
        player,
        score,
        facts,
        extras,
        files,
        download,
        record,
        make_both,
        both,
        again,
        generate,
        preview,
        cancel,
        clock,
        shown,
    )
