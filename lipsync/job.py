"""One job's stages: what is heard, who is found, what is written and judged.

Each stage is a function of a `Job` and yields progress; `LipSyncPipeline.sync` runs them in order.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from lipsync.audio.activity import speech_probability
from lipsync.avatar.preparation import Step
from lipsync.avatar.prepared import Prepared
from lipsync.composite.fade import fade_weights
from lipsync.composite.mark import Mark
from lipsync.composite.render import render_scene
from lipsync.errors import InputError
from lipsync.estimate import TimeLeft
from lipsync.face.align import TEMPLATES
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.scenes import Stretch, split_output
from lipsync.face.speaker import Speaker
from lipsync.face.track import choose_face, nobody_found
from lipsync.media.colour import rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip
from lipsync.media.sound import check_voice, read_audio
from lipsync.media.writer import VideoWriter
from lipsync.plan import Job
from lipsync.score.judges import Judge
from lipsync.steps import map_steps
from lipsync.types import (
    Alignment,
    Audio,
    Checkpoint,
    Engine,
    FaceChoice,
    FaceTrack,
    Features,
    Frame,
    Progress,
    Scene,
    Size,
    Skipped,
    SyncScore,
    Working,
)

if TYPE_CHECKING:
    from lipsync.face.detect import Detector
    from lipsync.weights import Checkpoint as WeightsCheckpoint

_T = TypeVar("_T")
ANALYSIS_RATE = 16_000  # Hz
CONTEXT_SECONDS = 4  # of voice heard on each side of a part: levels are relative to what is heard
_PREVIEW_SIDE = 360  # px, longer side
_PREVIEW_SECONDS = 0.5
_POLL_SECONDS = 0.1
_SEGMENTS_KEPT = 16  # alignments that a job remembers
_PART = "this part of the clip"
_LOOKED = ("align", "crops")  # what an avatar's making does once the faces are found


class Cancelled(Exception):  # noqa: N818 — not an error, a wish
    """Raised inside background work when its job has been closed."""


@contextmanager
def run_beside(work: Callable[[Checkpoint], _T]) -> Iterator[Future[_T]]:
    """Run `work` in a thread of its own within the block; leaving early stops it soon.

    `work` gets a checkpoint that raises `Cancelled` once the block has been left.
    """
    stopped = threading.Event()

    def checkpoint() -> None:
        if stopped.is_set():
            raise Cancelled

    worker = ThreadPoolExecutor(1, thread_name_prefix="voice")
    try:
        yield worker.submit(work, checkpoint)
    finally:
        stopped.set()
        worker.shutdown(wait=False, cancel_futures=True)


def listen(job: Job, engine: Engine, checkpoint: Checkpoint) -> tuple[Features, tuple[str, ...]]:
    """Return what the engine hears in each output frame, T rows, and notes for the user."""
    if not job.is_part:
        audio = read_audio(job.voice.path, ANALYSIS_RATE)
        check_voice(audio)
        where, before, count = "", 0, len(job.shown)
    else:
        reach = round(CONTEXT_SECONDS * job.clip.fps)
        first = max(job.shown.start - reach, 0)
        before, count = job.shown.start - first, min(job.shown.stop + reach, job.total) - first
        start, seconds = float(first / job.clip.fps), float(count / job.clip.fps)
        audio = read_audio(job.voice.path, ANALYSIS_RATE, start, seconds)
        where = "this part of "
    checkpoint()
    notes = engine.load(job.settings)  # here, so that faces are not looked for in vain
    if not speech_probability(audio, checkpoint).has_speech:
        notes += (f"No speech was found in {where}the voice, so the mouth stays at rest.",)
    features = engine.encode_audio(audio, count, job.clip.fps, job.settings, checkpoint)
    return features[before : before + len(job.shown)], notes


def hear_speech(path: Path, start: float, seconds: float | None, checkpoint: Checkpoint) -> Audio:
    """Return the sound of a file from `start` for `seconds` (None = to its end), to be judged.

    Raises `InputError` if nobody speaks there.
    """
    audio = read_audio(path, ANALYSIS_RATE, start, seconds)
    if not speech_probability(audio, checkpoint).has_speech:
        where = path.name if seconds is None else f"this part of {path.name}"
        raise InputError(
            f"No speech was found in {where}, so there is nothing to compare the mouth with; "
            "choose a clip in which someone speaks."
        )
    return audio


def find_face(
    job: Job, detector: Detector, references: int, hearing: Future[_T], clock: TimeLeft
) -> Generator[Progress, None, Speaker]:
    """Look for the face that was asked for, and for up to `references` varied mouths of it; a voice
    that cannot be used ends the job here."""
    clock.begin("faces")
    gallery = Gallery(references)
    following = follow_faces(job.clip, job.numbers.tolist(), detector, gallery)
    tracks = yield from show_steps(
        "faces", following, len(job.numbers), clock, check=partial(_stop_at_bad, hearing)
    )
    where = _PART if job.is_part else "the clip"
    track = choose_face(
        *(tracks, job.request.face, job.clip.size, job.clip.fps, job.numbers.tolist()), where=where
    )
    return Speaker(track, gallery.album())


def recall_face(
    job: Job,
    preparing: Generator[Step, None, tuple[Prepared, tuple[str, ...]]],
    hearing: Future[_T],
    clock: TimeLeft,
) -> Generator[Progress, None, tuple[Speaker, tuple[str, ...]]]:
    """Take the face that was asked for from what an avatar has `prepared`; with notes.

    A part shows who the whole result would show.
    """
    clock.begin("faces")
    total = job.clip.num_frames

    def tell(step: Step) -> Progress:
        _stop_at_bad(hearing)
        looked = step.done if step.stage == "faces" else total if step.stage in _LOOKED else 0
        return Progress("faces", looked, total)

    prepared, notes = yield from map_steps(tell, preparing)
    track = choose_face(
        *(prepared.tracks, job.request.face, job.clip.size, job.clip.fps), within=job.trimmed
    )
    if job.is_part and not track.present[job.rows].any():
        raise nobody_found(_PART)
    return prepared.speaker(track), notes


def _stop_at_bad(hearing: Future[_T]) -> None:
    if hearing.done():
        hearing.result()


def show_steps(
    stage: str,
    steps: Generator[int, None, _T],
    total: int,
    clock: TimeLeft,
    check: Callable[[], None] = lambda: None,
) -> Generator[Progress, None, _T]:
    """Turn the counts of a stepwise search into progress; return what the search returns."""

    def tell(done: int) -> Progress:
        check()
        return Progress(stage, done, total, clock.seconds_left(done))

    return (yield from map_steps(tell, steps))


def await_voice(hearing: Future[_T], clock: TimeLeft, total: int) -> Generator[Progress, None, _T]:
    """Wait for what runs beside, yielding progress; return its result."""
    clock.begin("voice")
    while True:
        try:
            return hearing.result(_POLL_SECONDS)
        except FutureTimeout:
            yield Progress("voice", 0, total, clock.seconds_left(0))


def generate(
    job: Job,
    output: Path,
    engine: Engine,
    speaker: Speaker,
    features: Features,
    clock: TimeLeft,
) -> Generator[Progress, None, None]:
    """Stream the frames once more, put the new mouths in, and write the file."""
    clock.begin("generate")
    clip, request, total = job.clip, job.request, len(job.rows)
    tags = {"comment": f"AI-generated lip sync (Lipsync Studio, {engine.spec.label} engine)"}
    finish = Mark(clip.size, clip.colour).draw if request.mark else _leave
    shown = time.monotonic()
    writer = VideoWriter(
        *(output, clip.fps, clip.size, clip.colour, job.voice),
        voice_start=job.begins,
        quality=request.quality,
        key_frames=2 * math.ceil(clip.fps),  # people step and jump about in their result
        tags=tags,
    )
    with writer, closing(_new_frames(job, engine, speaker, features)) as frames:
        done, reached = 0, 0.0  # frames finished, and the work of how many frames is behind us
        for frame, is_new in frames:
            if isinstance(frame, Working):
                reached = max(reached, done + frame.frames)
                left = clock.seconds_left(reached)
                yield Progress("generate", done, total, left, begun=reached - done)
                continue
            frame = finish(frame)
            writer.write(frame)
            done += 1
            preview = None
            if is_new and time.monotonic() - shown > _PREVIEW_SECONDS:
                preview, shown = _preview(frame), time.monotonic()
            reached = max(reached, done)
            left = clock.seconds_left(reached)
            yield Progress("generate", done, total, left, preview, begun=reached - done)


def _leave(frame: Frame) -> Frame:
    return frame


def _new_frames(
    job: Job, engine: Engine, speaker: Speaker, features: Features
) -> Generator[tuple[Frame | Working, bool], None, None]:
    """Yield every output frame, and whether it has a new mouth; between them, moments of rest."""
    frames = read_frames(job.clip, job.numbers[job.rows].tolist())
    weights = fade_weights(speaker.track, job.clip.fps)[job.rows]
    template = TEMPLATES[engine.template(job.settings)]

    @lru_cache(_SEGMENTS_KEPT)  # it is the same in every stretch of a segment
    def align(start: int, stop: int) -> Alignment:
        return speaker.align(slice(start, stop), template, engine.crop_size(job.settings))

    total, done = len(job.rows), 0
    for stretch in [*split_output(speaker.track, job.rows, job.clip.fps), None]:
        until = stretch.start if stretch else total
        for _ in range(done, until):  # nobody there: the frame as it is
            yield next(frames), False
        if stretch is None:
            return
        alignment = align(stretch.segment.start, stretch.segment.stop)
        scene = _make_scene(job, speaker, alignment, features, stretch)
        fades = weights[stretch.start : stretch.stop]
        request = job.request
        rendering = render_scene(
            scene, frames, engine, job.settings, request.seed, fades, request.softness
        )
        with closing(rendering):
            for frame in rendering:
                yield frame, True
        done = stretch.stop


def _make_scene(
    job: Job, speaker: Speaker, alignment: Alignment, features: Features, stretch: Stretch
) -> Scene:
    rows = job.rows[stretch.start : stretch.stop]
    matrices = alignment.matrices[rows - stretch.segment.start]
    return Scene(
        track=speaker.track,
        rows=rows,
        alignment=Alignment(matrices, alignment.size),
        size=job.clip.size,
        features=features[stretch.start : stretch.stop],
        fps=job.clip.fps,
        references=speaker.references(stretch.segment),
        first_output=job.shown.start + stretch.start,
        crops=speaker.crops(stretch.segment, rows),
    )


def judge_written(
    written: Path, job: Job, track: FaceTrack, judge: Judge, detector: Detector, clock: TimeLeft
) -> Generator[Progress, None, tuple[SyncScore | None, str | None]]:
    """Judge the written file; having no score is no error, the reason is told."""
    clock.begin("score")
    clip = probe_clip(written)
    heard = read_audio(written, ANALYSIS_RATE)
    shown = np.flatnonzero(track.present[job.rows])
    if not len(shown):
        return None, "No frame of the result shows the face, so there is no mouth to judge."
    box = track.boxes[job.rows[shown[0]]]
    centre = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
    face = FaceChoice(click=centre, click_seconds=float(shown[0] / clip.fps))
    judging = judge.judge(clip, heard, face, detector)
    del heard  # it is the judge's to forget
    try:
        score = yield from show_steps("score", judging, clip.num_frames, clock)
    except InputError as reason:
        return None, str(reason)
    return score, None


def _preview(frame: Frame) -> np.ndarray:
    scale = min(1.0, _PREVIEW_SIDE / max(frame.size))
    size = Size(max(2, round(frame.size.height * scale)), max(2, round(frame.size.width * scale)))
    return rgb_image(frame, size)


def remarks(
    job: Job,
    skipped: tuple[Skipped, ...],
    models: tuple[WeightsCheckpoint, ...],
    judges: tuple[WeightsCheckpoint, ...],
) -> Iterator[str]:
    """Yield plain sentences on what the user may not expect of this result, and on what may be
    done with it, as `models` have made it and `judges` have scored it."""
    left_out = sum(span.end_seconds - span.start_seconds for span in skipped)
    total = len(job.rows) / job.clip.fps
    if left_out > 0.5 * total:
        yield f"The mouth was left alone for {left_out:.1f} of {float(total):.1f} s (see skipped)."
    for licence in dict.fromkeys(model.licence for model in models):
        titles = ", ".join(model.title for model in models if model.licence == licence)
        yield f"Made with {titles} under {licence.name}: {licence.meaning}"
    for model in judges:
        yield f"Scored by {model.title} under {model.licence.name}: {model.licence.meaning}"
