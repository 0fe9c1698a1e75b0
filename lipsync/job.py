"""One job's stages: what is planned, what is heard, who is found, what is written and judged.

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
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lipsync.audio.activity import speech_probability
from lipsync.composite.edge import MAX_SOFTNESS
from lipsync.composite.fade import fade_weights
from lipsync.composite.mark import Mark
from lipsync.composite.render import render_scene
from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.estimate import TimeLeft, Work
from lipsync.face.align import TEMPLATES, align_track
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.scenes import Stretch, split_output
from lipsync.face.track import choose_face
from lipsync.media.colour import rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.probe import Limits, at_rate, probe_clip, probe_voice
from lipsync.media.sound import check_voice, read_audio
from lipsync.media.timeline import num_output_frames, part_range, plan_timeline, trim_range
from lipsync.media.writer import VideoWriter
from lipsync.score.judges import Judge
from lipsync.steps import map_steps
from lipsync.types import (
    Alignment,
    Audio,
    Checkpoint,
    Clip,
    Engine,
    FaceChoice,
    FaceTrack,
    Features,
    Frame,
    Progress,
    Request,
    Scene,
    Size,
    Skipped,
    SyncScore,
    Voice,
    Working,
)

if TYPE_CHECKING:
    from lipsync.face.detect import Detector
    from lipsync.weights import Checkpoint as WeightsCheckpoint

_T = TypeVar("_T")
ANALYSIS_RATE = 16_000  # Hz
CONTEXT_SECONDS = 4  # of voice heard on each side of a part: levels are relative to what is heard
_RUN_SECONDS = 0.5  # source frames nearer than this, or in even strides, are looked at in one go
_CLICK_FRAMES = 5  # looked at before and after a click that lies outside the part
_PREVIEW_SIDE = 360  # px, longer side
_PREVIEW_SECONDS = 0.5
_POLL_SECONDS = 0.1


class Cancelled(Exception):  # noqa: N818 — not an error, a wish
    """Raised inside background work when its job has been closed."""


@dataclass(frozen=True)
class Job:
    """What probing settled."""

    request: Request
    clip: Clip
    voice: Voice
    shown: range  # frames of the whole result that are made
    total: int  # frames of the whole result
    numbers: np.ndarray  # (R,) int64, ascending: source frames to look at
    rows: np.ndarray  # (T,) int64, place in `numbers` that each output frame shows
    settings: Any
    pace: float  # s per frame that the engine expects to take

    @property
    def is_part(self) -> bool:
        """Tell whether less than the whole result is made."""
        return len(self.shown) < self.total

    @property
    def begins(self) -> Fraction:
        """Seconds of the whole result at which the part begins."""
        return self.shown.start / self.clip.fps

    @property
    def work(self) -> Work:
        """What there is to do, for the time it will take."""
        count = len(self.rows)
        frames = {"faces": len(self.numbers), "voice": count, "generate": count}
        if self.request.score:
            frames["score"] = count
        return Work(self.clip.size, frames, self.request.engine, self.pace)


def plan_job(request: Request, limits: Limits, engine: Engine | type[Engine], on_card: bool) -> Job:
    """Probe clip and voice and plan the work; raises `InputError` for whatever can be wrong.

    `engine` need not be built; `on_card` tells whether it will compute on a graphics card.
    """
    clip = probe_clip(request.video, limits)
    voice = probe_voice(request.audio, limits)
    settings = make_settings(request.engine, request.settings)
    if not 0 <= request.softness <= MAX_SOFTNESS:
        raise InputError(
            f"The softness of the mask's edge is {request.softness:g}; "
            f"give a number from 0 to {MAX_SOFTNESS:g}."
        )
    if not 0 <= request.seed < 2**64:
        raise InputError(f"The seed is {request.seed}; give a whole number from 0 to {2**64 - 1}.")
    # a rate of 0 is a mistake to be told, not a wish for the usual one
    rate = engine.spec.fps if request.fps is None else request.fps
    if rate is not None:
        clip = at_rate(clip, rate)
    trimmed = trim_range(clip, request.start, request.end)
    seconds = 0.0 if clip.is_still else float(len(trimmed) / clip.fps)
    total = num_output_frames(request.fit, seconds, voice.duration, clip.fps)
    plan = trimmed.start + plan_timeline(request.fit, len(trimmed), total)
    shown, numbers = range(total), np.arange(trimmed.start, trimmed.stop)
    if request.part is not None:
        shown = part_range(request.part, total, clip.fps)
        plan = plan[shown.start : shown.stop]
        numbers = _frames_to_see(plan, trimmed, clip.fps, request.face)
    rows = np.searchsorted(numbers, plan)
    pace = engine.pace(settings, on_card)
    return Job(request, clip, voice, shown, total, numbers, rows, settings, pace)


def _frames_to_see(plan: np.ndarray, trimmed: range, fps: Fraction, face: FaceChoice) -> np.ndarray:
    """Return (R,) int64, ascending: the source frames a part shows, without small gaps.

    A click elsewhere in the clip is looked at as well, to know who was meant.
    """
    shown = np.unique(plan)
    steps = np.diff(shown)
    longest = max(_RUN_SECONDS * float(fps), 2 * float(np.median(steps))) if len(steps) else 0.0
    joints = np.flatnonzero((steps > 1) & (steps <= longest))
    runs = [np.arange(shown[place] + 1, shown[place + 1]) for place in joints]
    if face.click is not None:
        clicked = min(max(round(face.click_seconds * fps), trimmed.start), trimmed.stop - 1)
        around = range(clicked - _CLICK_FRAMES, clicked + _CLICK_FRAMES + 1)
        runs.append(np.array([number for number in around if number in trimmed]))
    return np.unique(np.concatenate([shown, *runs]))


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
    job: Job, detector: Detector, gallery: Gallery, hearing: Future[_T], clock: TimeLeft
) -> Generator[Progress, None, FaceTrack]:
    """Look for the face that was asked for; a voice that cannot be used ends the job here."""
    clock.begin("faces")

    def stop_at_bad_voice() -> None:
        if hearing.done():
            hearing.result()

    following = follow_faces(job.clip, job.numbers.tolist(), detector, gallery)
    tracks = yield from show_steps(
        "faces", following, len(job.numbers), clock, check=stop_at_bad_voice
    )
    where = "this part of the clip" if job.is_part else "the clip"
    return choose_face(
        *(tracks, job.request.face, job.clip.size, job.clip.fps, job.numbers.tolist()), where=where
    )


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
    track: FaceTrack,
    features: Features,
    gallery: Gallery,
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
    with writer, closing(_new_frames(job, engine, track, features, gallery)) as frames:
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
    job: Job, engine: Engine, track: FaceTrack, features: Features, gallery: Gallery
) -> Generator[tuple[Frame | Working, bool], None, None]:
    """Yield every output frame, and whether it has a new mouth; between them, moments of rest."""
    frames = read_frames(job.clip, job.numbers[job.rows].tolist())
    weights = fade_weights(track, job.clip.fps)[job.rows]
    total, done = len(job.rows), 0
    for stretch in [*split_output(track, job.rows, job.clip.fps), None]:
        until = stretch.start if stretch else total
        for _ in range(done, until):  # nobody there: the frame as it is
            yield next(frames), False
        if stretch is None:
            return
        scene = _make_scene(job, engine, track, features, gallery, stretch)
        fades = weights[stretch.start : stretch.stop]
        request = job.request
        for frame in render_scene(
            scene, frames, engine, job.settings, request.seed, fades, request.softness
        ):
            yield frame, True
        done = stretch.stop


def _make_scene(
    job: Job,
    engine: Engine,
    track: FaceTrack,
    features: Features,
    gallery: Gallery,
    stretch: Stretch,
) -> Scene:
    rows = job.rows[stretch.start : stretch.stop]
    seen = slice(int(rows.min()), int(rows.max()) + 1)
    template = TEMPLATES[engine.template(job.settings)]
    alignment = align_track(track, seen, template, engine.crop_size(job.settings))
    return Scene(
        track=track,
        rows=rows,
        alignment=Alignment(alignment.matrices[rows - seen.start], alignment.size),
        size=job.clip.size,
        features=features[stretch.start : stretch.stop],
        fps=job.clip.fps,
        references=gallery.references(track, stretch.segment),
        first_output=job.shown.start + stretch.start,
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
