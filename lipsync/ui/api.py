"""The app for programs: ``/sync``, ``/score`` and ``/presets``, for gradio_client and plain HTTP.

They keep the screen's limits and speak its sentences, in English, and stand in the same line for
the device. What a parameter means is said once, in the docstrings here; Gradio shows it to whoever
asks for the API's description.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.data_classes import FileData
from gradio.utils import get_function_description, get_function_params, get_upload_folder

from lipsync.errors import InputError
from lipsync.presets import Preset
from lipsync.record import make_record, score_to_json
from lipsync.steps import map_steps
from lipsync.types import FaceChoice, Fit, Progress, Request
from lipsync.ui.availability import absent_weights, require_weights
from lipsync.ui.choices import (
    Choices,
    Selection,
    defaults_for,
    find_preset,
    make_request,
    used_settings,
)
from lipsync.ui.events import IN_LINE
from lipsync.ui.jobs import Job, Jobs, bring_in, hand_out, name_result, session_of
from lipsync.ui.numbers import is_number, is_whole
from lipsync.ui.resident import Pipeline
from lipsync.ui.trouble import PlainWords
from lipsync.ui.words import words_in
from lipsync.weights import ModelStore

_Function = TypeVar("_Function", bound=Callable[..., Any])
_MOST_FACES = 99  # a number beyond is a slip, not a person
_CANCELLED = "The job was cancelled."


def lay_out_api(
    screen: gr.Blocks,
    get_pipeline: Callable[[], Pipeline],
    jobs: Jobs,
    presets: Mapping[str, Preset],
    store: ModelStore,
) -> None:
    """Add the endpoints to `screen` while it is built; `presets` are those there are, by name, and
    `store` knows which of them can be used."""
    endpoints = Endpoints(get_pipeline, jobs, presets, store)
    _add(screen, endpoints.sync, **IN_LINE)
    _add(screen, endpoints.score, **IN_LINE)
    _add(screen, endpoints.presets, queue=False)


def _answers(kind: Any) -> Callable[[_Function], _Function]:
    """Let Gradio read what a function answers with: of a generator, what it yields."""

    def annotate(function: _Function) -> _Function:
        shown = inspect.signature(function).replace(return_annotation=kind)
        function.__signature__ = shown  # type: ignore[attr-defined]
        return function

    return annotate


class Endpoints:
    """The functions behind the endpoints; Gradio's clients call them by name.

    While a job runs, `sync` and `score` tell how far it is in the place of their last value; what
    they yield last is the answer.
    """

    def __init__(
        self,
        get_pipeline: Callable[[], Pipeline],
        jobs: Jobs,
        presets: Mapping[str, Preset],
        store: ModelStore,
    ) -> None:
        self._get_pipeline = get_pipeline
        self._jobs = jobs
        self._presets = presets
        self._store = store

    @_answers(tuple[FileData, dict])
    def sync(
        self,
        request: gr.Request,
        clip: FileData,
        voice: FileData,
        preset: str = "draft",
        steps: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
        fps: str = "",
        fit: Fit | None = None,
        start: float | None = None,
        end: float | None = None,
        face: int | list[float] | None = None,
        softness: float = 1.0,
        mark: bool = False,
    ) -> Generator[tuple[FileData | None, dict], None, None]:
        """Make the mouth in a clip or photo speak a voice; returns the video and its record.

        Parameters:
            clip: a video or a photo with a face, uploaded to the app
            voice: a sound file, or a video with sound, uploaded to the app
            preset: name of a preset, one of those that /presets lists
            steps: whole number from 1 to 50, where the preset's engine paints in steps; null = the preset's own
            guidance: how strictly the engine follows the voice, 1.0 to 3.0, where it asks; null = the preset's own
            seed: whole number from 0 to 4294967295; the same seed gives the same result
            fps: frames per second of the result, 1 to 120, such as "25" or "30000/1001"; "" = the clip's own
            fit: what the clip does while a longer voice goes on: bounce, loop, cut, hold or stretch; null = the preset's own
            start: second of the clip at which to begin; null = its beginning
            end: second of the clip at which to stop; null = its end
            face: who speaks: 1 = the leftmost face, 2 = the next ..., or [x, y, second], a place on the face in px of the upright picture at that second of the clip; null = the largest
            softness: width of the soft edge around the mouth, 0.0 to 2.0 times the engine's own
            mark: whether to put a small visible "AI" into the corner of the picture
        Returns:
            video: the finished video (MP4); null while the job runs
            record: settings, versions, timings and sync score of the job; while it runs: stage, done, total and seconds_left
        """  # noqa: E501 — one line each is how Gradio reads them
        with self._open(request) as (job, folder):
            own = {"steps": steps, "guidance": guidance, "fit": fit}
            stated = {"seed": seed, "fps": fps, "softness": softness, "mark": mark}
            choices = self._choose(preset, own, stated)
            asked = make_request(
                choices,
                Selection(start, end, _read_click(face)),
                _take(clip, folder, "clip"),
                _take(voice, folder, "voice"),
                folder / "result.mp4",
                self._presets,
            )
            asked = replace(asked, face=_read_number(face) or asked.face)
            yield from self._sync(asked, job, name_result(_name_of(clip)), preset)

    @_answers(dict)
    def score(
        self,
        request: gr.Request,
        clip: FileData,
        voice: FileData | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> Generator[dict, None, None]:
        """Judge how well the mouth in a video agrees with its sound.

        Parameters:
            clip: a video with a face, uploaded to the app
            voice: a sound file to judge the mouth against, uploaded to the app; null = the video's own sound
            start: second of the clip at which to begin; null = its beginning
            end: second of the clip at which to stop; null = its end
        Returns:
            score: confidence, offset, verdict, the judge and what its numbers are worth; while the job runs: stage, done, total and seconds_left
        """  # noqa: E501 — one line each is how Gradio reads them
        with self._open(request) as (job, folder):
            video = _take(clip, folder, "clip")
            sound = None if voice is None else _take(voice, folder, "voice")
            steps = self._get_pipeline().score_steps(
                video, sound, start=_read_second("start", start), end=_read_second("end", end)
            )
            score = yield from map_steps(_describe, job.follow(steps))
            if score is None:
                raise InputError(_CANCELLED)
            yield score_to_json(score)

    @_answers(list[dict])
    def presets(self) -> list[dict]:
        """List the presets: what /sync takes as `preset`, and what each stands for.

        Returns:
            presets: name, title, sentence, engine, the settings its engine uses, and their values where /sync is not told others; absent: the models it cannot be used without that are not here
        """  # noqa: E501 — one line each is how Gradio reads them
        return [
            {
                "name": preset.name,
                "title": preset.title,
                "sentence": preset.sentence,
                "engine": preset.engine,
                "uses": sorted(used_settings(preset)),
                "defaults": {
                    name: value
                    for name, value in asdict(defaults_for(preset)).items()
                    if name != "preset"
                },
                "absent": [row.key for row in absent_weights(preset, self._store)],
            }
            for preset in self._presets.values()
        ]

    @contextmanager
    def _open(self, request: gr.Request) -> Iterator[tuple[Job, Path]]:
        """Lend a job and its folder; what goes wrong inside reaches the client as one sentence."""
        session = session_of(request)
        job = self._jobs.begin(session)
        with PlainWords(words_in("en")) as trouble, self._jobs.open(session, job) as folder:
            yield job, folder
        if trouble.sentence is not None:
            raise gr.Error(trouble.sentence, print_exception=False)

    def _choose(self, preset: str, own: Mapping[str, Any], stated: Mapping[str, Any]) -> Choices:
        """Return what was asked for; where a value of `own` is None, the preset's own counts."""
        found = find_preset(preset, self._presets)
        require_weights(found, self._store)
        wishes = {name: value for name, value in own.items() if value is not None}
        return replace(defaults_for(found), **wishes, **stated)

    def _sync(
        self, asked: Request, job: Job, name: str, preset: str
    ) -> Iterator[tuple[FileData | None, dict]]:
        with closing(job.follow(self._get_pipeline().sync(asked))) as following:
            for progress in following:
                if progress.result is not None:
                    record = make_record(asked, progress.result, preset=preset)
                    record["output"] = name
                    final = hand_out(progress.result.output, name)
                    yield FileData(path=str(final), orig_name=name, mime_type="video/mp4"), record
                    return
                yield None, _describe(progress)
        raise InputError(_CANCELLED)


def _add(screen: gr.Blocks, endpoint: Callable[..., Any], **options: Any) -> None:
    """Make `endpoint` callable by its name, with its docstring as its documentation."""
    added = gr.api(endpoint, api_name=endpoint.__name__, **options)
    _, meanings, returns = get_function_description(endpoint)
    parameters = [parameter[0] for parameter in get_function_params(endpoint)]
    for number, name in zip(added["inputs"], parameters, strict=True):
        _document(screen.blocks[number], name, "additional_description", meanings[name])
    for number, line in zip(added["outputs"], returns, strict=True):
        name, meaning = line.split(": ", 1)
        _document(screen.blocks[number], name, "description", meaning)


def _document(block: Any, name: str, key: str, meaning: str) -> None:
    block.label = name  # Gradio's own is "1st", "2nd" …
    block.api_info()[key] = meaning


def _take(upload: Any, folder: Path, stem: str) -> Path:
    """Bring an uploaded file into the job's folder; only what lies among the uploads is one."""
    if upload is None:
        raise InputError(f"There is no {stem}; upload a file and name it as {stem!r}.")
    path = upload.get("path") if isinstance(upload, dict) else None
    uploads = os.path.realpath(get_upload_folder())
    if (
        not isinstance(path, str)
        or not os.path.isfile(path)
        or not Path(os.path.realpath(path)).is_relative_to(uploads)
    ):
        raise InputError(
            f"The {stem} is no file that was uploaded to this app; upload it first "
            "(handle_file in gradio_client, POST /gradio_api/upload over HTTP)."
        )
    return bring_in(Path(path), folder, stem)


def _name_of(upload: Any) -> str:
    name = upload.get("orig_name")
    return name if isinstance(name, str) else Path(upload["path"]).name


def _read_click(face: Any) -> Any:
    return None if is_whole(face) else face


def _read_number(face: Any) -> FaceChoice | None:
    if not is_whole(face):
        return None
    if not 1 <= face <= _MOST_FACES:
        raise InputError(
            f"The face is number {str(face)[:20]}; give 1 for the leftmost one, 2 for the next, "
            f"up to {_MOST_FACES}."
        )
    return FaceChoice(number=face)


def _read_second(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if not is_number(value) or not 0 <= value <= 1e9:
        raise InputError(f"The {name} is {str(value)[:20]!r}; give seconds from 0 upwards or null.")
    return float(value)


def _describe(progress: Progress) -> dict[str, Any]:
    left = progress.seconds_left
    return {
        "stage": progress.stage,
        "done": progress.done,
        "total": progress.total,
        "seconds_left": None if left is None else round(left, 1),
    }
