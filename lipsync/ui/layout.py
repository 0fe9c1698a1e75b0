"""The screen: components and which event goes to which handler, nothing else.

`build_ui` has no side effects: it loads no model, makes no folder and opens no port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ListFiles

from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.example import example_photo, example_voice
from lipsync.presets import PRESETS_FOLDER, Preset, Problem, load_presets
from lipsync.types import FITS
from lipsync.ui import cards
from lipsync.ui.handlers import Pipeline, Studio, slider_updates
from lipsync.ui.jobs import Jobs
from lipsync.ui.previews import preview_clip, preview_voice
from lipsync.ui.theme import STYLE_SHEET, make_theme
from lipsync.ui.widgets import make_head, style_sheets
from lipsync.ui.words import make_i18n

MAX_UPLOAD = "500mb"
QUEUE_LENGTH = 64
# uploads and results are removed this long after they came, looked for this often, both seconds
CACHE_SECONDS, SWEEP_SECONDS = 6 * 3600, 1800

_FIT_WORDS = {
    "bounce": "forth and back",
    "loop": "repeat from the start",
    "cut": "stop at the shorter",
    "hold": "hold the last frame",
    "stretch": "slow down or speed up",
}
_CLIP_KINDS = ["video", "image", ".mkv", ".avi", ".mov", ".mp4", ".webm", ".mpg", ".gif"]
_VOICE_KINDS = ["audio", "video", ".wav", ".mp3", ".m4a", ".ogg", ".opus", ".flac", ".mkv"]


@dataclass(frozen=True)
class Inputs:
    """What a visitor chooses."""

    clip: gr.File
    voice: gr.File
    preset: gr.Radio
    steps: gr.Slider
    guidance: gr.Slider
    seed: gr.Number
    fit: gr.Dropdown


@dataclass(frozen=True)
class Outputs:
    """What a job changes; the order is that of `handlers.Updates`."""

    status: gr.HTML
    video: gr.HTML
    score: gr.HTML
    download: gr.DownloadButton
    generate: gr.Button
    cancel: gr.Button


def build_ui(
    make_pipeline: Callable[[], Pipeline],
    preset_folders: Iterable[Path] = (PRESETS_FOLDER,),
    job_root: Path | None = None,
) -> gr.Blocks:
    """Return the screen, not launched; launch it with `launch_options`.

    `make_pipeline` is called at the first job. Job folders go under `job_root` (None: the
    system's folder for temporary files). Raises InputError where not one preset can be read.
    """
    presets, problems = load_presets(preset_folders, make_settings)
    if not presets:
        raise InputError(
            "No preset can be read; put back presets/draft.yaml. " + " ".join(map(str, problems))
        )
    studio = Studio(make_pipeline, {preset.name: preset for preset in presets}, Jobs(job_root))
    with gr.Blocks(
        title="Lipsync Studio",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(SWEEP_SECONDS, CACHE_SECONDS),
    ) as screen:
        gr.HTML(
            "<h1>Lipsync Studio</h1><p>A clip or a photo, and a voice: "
            "the mouth speaks it, and you see how well.</p>",
            elem_id="title",
        )
        with gr.Row(elem_id="studio", equal_height=False):
            with gr.Column(min_width=320, elem_id="inputs"):
                chosen = _lay_out_inputs(presets, problems, studio)
                with gr.Row(elem_id="buttons"):
                    generate = gr.Button(
                        "Generate", variant="primary", min_width=120, elem_id="generate"
                    )
                    cancel = gr.Button("Cancel", interactive=False, min_width=120, elem_id="cancel")
            with gr.Column(min_width=320, elem_id="result"):
                video = gr.HTML("", visible=False, elem_id="video")
                status = gr.HTML(cards.idle_card(), elem_id="status")
                download = gr.DownloadButton(
                    "Download the video", visible=False, size="md", elem_id="download"
                )
                score = gr.HTML("", visible=False, elem_id="score")
        _connect(screen, studio, chosen, Outputs(status, video, score, download, generate, cancel))
    screen.queue(max_size=QUEUE_LENGTH, api_open=False)
    return screen


def launch_options() -> dict[str, Any]:
    """Return the keyword arguments for ``build_ui(…).launch(…)`` that belong to this screen."""
    return {
        "theme": make_theme(),
        "css_paths": [STYLE_SHEET, *style_sheets()],
        "head": make_head(),
        "i18n": make_i18n(),
        "allowed_paths": [str(example_photo()), str(example_voice())],
        "max_file_size": MAX_UPLOAD,
        "share": False,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "ssr_mode": False,
        "pwa": False,
    }


def _lay_out_inputs(presets: list[Preset], problems: list[Problem], studio: Studio) -> Inputs:
    first = presets[0]
    with gr.Row(equal_height=False):
        with gr.Column(min_width=220):
            clip = _make_upload(
                label="Clip or photo", file_types=_CLIP_KINDS, height=110, elem_id="clip"
            )
            clip_preview = gr.HTML(elem_id="clip-preview")
        with gr.Column(min_width=220):
            voice = _make_upload(
                label="Voice", file_types=_VOICE_KINDS, height=110, elem_id="voice"
            )
            voice_preview = gr.HTML(elem_id="voice-preview")
            microphone = gr.Audio(
                sources=["microphone"], type="filepath", label="Or record it", elem_id="microphone"
            )
    preset = gr.Radio(
        [(choice.title, choice.name) for choice in presets],
        value=first.name,
        label="Preset",
        elem_id="preset",
    )
    sentence = gr.HTML(cards.preset_sentence(first.sentence), elem_id="preset-sentence")
    gr.HTML(cards.problems_card([str(problem) for problem in problems]), visible=bool(problems))
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        sliders = slider_updates(first)
        with gr.Row():
            steps = gr.Slider(
                1, 50, value=20, step=1, label="Steps", elem_id="steps", **_kept(sliders["steps"])
            )
            guidance = gr.Slider(
                1.0,
                3.0,
                value=1.5,
                step=0.1,
                label="Guidance",
                elem_id="guidance",
                **_kept(sliders["guidance"]),
            )
        with gr.Row():
            fit = gr.Dropdown(
                [(f"{name}: {_FIT_WORDS[name]}", name) for name in FITS],
                value=first.fit,
                label="If the voice is longer",
                elem_id="fit",
            )
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed")
    clip.change(preview_clip, clip, clip_preview, queue=False, **_INNER)
    voice.change(preview_voice, voice, voice_preview, queue=False, **_INNER)
    # one field holds the voice, wherever it came from; the recorder is empty again at once
    microphone.stop_recording(
        lambda recorded: (recorded, None), microphone, [voice, microphone], queue=False, **_INNER
    )
    preset.change(
        studio.choose_preset, preset, [sentence, steps, guidance, fit], queue=False, **_INNER
    )
    return Inputs(clip, voice, preset, steps, guidance, seed, fit)


def _make_upload(**options: Any) -> gr.File:
    """Return a file field whose value is the path of the one uploaded file, of whatever kind.

    Gradio's own step would leave an empty temporary file behind per event, and judges files by
    their ending, in words of its own; our media layer judges by content.
    """
    field = gr.File(**options)
    # set on the object: deriving a class makes Gradio write a .pyi file next to our source
    field.preprocess = _path_of  # type: ignore[method-assign]
    return field


def _path_of(payload: ListFiles | FileData | None) -> str | None:
    if isinstance(payload, ListFiles):
        payload = payload.root[0] if payload.root else None
    return payload.path if payload else None


# on a phone the result lies below the button: bring it into view
_SHOW_RESULT = """() => {
    document.getElementById("result").scrollIntoView({behavior: "smooth", block: "nearest"});
    return [];
}"""

# events of the screen alone: no client calls them, and nothing flickers while they run
_INNER: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def _kept(update: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in update.items() if key in ("interactive", "info")}


def _connect(screen: gr.Blocks, studio: Studio, chosen: Inputs, shown: Outputs) -> None:
    inputs = list(vars(chosen).values())
    outputs = list(vars(shown).values())
    running = shown.generate.click(
        studio.announce, None, outputs, queue=False, js=_SHOW_RESULT, **_INNER
    ).then(
        studio.generate,
        inputs,
        outputs,
        api_name="generate",
        api_visibility="undocumented",
        show_progress="hidden",
        concurrency_limit=1,
        concurrency_id="device",
    )
    shown.cancel.click(studio.cancel, None, outputs, queue=False, cancels=[running], **_INNER)
    screen.unload(studio.leave)
    screen.load(
        lambda: (str(example_photo()), str(example_voice())),
        None,
        [chosen.clip, chosen.voice],
        queue=False,
        **_INNER,
    )
