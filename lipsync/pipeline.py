"""The whole flow in one readable function: a clip and a voice in, a synced clip and a score out.

`LipSyncPipeline` keeps engines and detectors between jobs; everything else belongs to one job.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lipsync.audio.activity import speech_probability
from lipsync.composite.fade import fade_weights
from lipsync.composite.render import render_scene
from lipsync.engines import create_engine, make_settings
from lipsync.errors import InputError
from lipsync.estimate import TimeLeft
from lipsync.face.align import TEMPLATES, align_track
from lipsync.face.follow import exhaust, follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.scan import scan_clip
from lipsync.face.scenes import Stretch, describe_skipped, leave_out_profiles, split_output
from lipsync.face.thumbnails import face_thumbnail
from lipsync.face.track import choose_face
from lipsync.media.colour import rgb_image
from lipsync.media.frames import read_frames
from lipsync.media.output import check_output, partial_file
from lipsync.media.probe import Limits, at_rate, probe_clip, probe_voice
from lipsync.media.sound import check_voice, read_audio
from lipsync.media.timeline import num_output_frames, plan_timeline, trim_range
from lipsync.media.writer import VideoWriter
from lipsync.score.correlate import judge_clip
from lipsync.types import (
    Alignment,
    Clip,
    Engine,
    FaceChoice,
    FaceTrack,
    FoundFace,
    Frame,
    Progress,
    Request,
    Result,
    Scan,
    Scene,
    Size,
    Skipped,
    SyncScore,
    Voice,
)

if TYPE_CHECKING:
    import torch

    from lipsync.face.detect import Detector

_T = TypeVar("_T")
ANALYSIS_RATE = 16_000  # Hz
_PREVIEW_SIDE = 360  # px, longer side
_PREVIEW_SECONDS = 0.5
_POLL_SECONDS = 0.1


class Cancelled(Exception):  # noqa: N818 — not an error, a wish
    """Raised inside background work when its job has been closed."""


@dataclasses.dataclass(frozen=True)
class _Job:
    """What probing settled."""

    request: Request
    clip: Clip
    voice: Voice
    numbers: range  # source frames after trimming
    rows: np.ndarray  # (T,) row of the trimmed clip that each output frame shows
    settings: Any


class LipSyncPipeline:
    """Sync and score clips; engines and detectors load on first use and stay.

    Safe to use from several threads at once: jobs share the resident parts, never their state.
    """

    def __init__(
        self, limits: Limits | None = None, engines: Mapping[str, Engine] | None = None
    ) -> None:
        """`engines` are already built and stand in for the registry's of the same name."""
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._given = dict(engines or {})
        self._engines: dict[str, Engine] = dict(self._given)
        self._idle_detectors: list[Detector] = []

    def sync(self, request: Request) -> Generator[Progress, None, None]:
        """Make `request.output`; yield progress, the last one with the result.

        Closing the iterator cancels within a second and leaves nothing behind. Raises
        `LipsyncError` with a sentence for the user.
        """
        yield Progress("probe", 0, 1)
        job = self._prepare(request)
        engine = self._engine(request.engine)
        total = len(job.rows)
        clock = TimeLeft(
            {"faces": len(job.numbers), "voice": total, "generate": total}
            | ({"score": total} if request.score else {})
        )
        gallery = Gallery(engine.spec.references)
        with self._detector() as detector, _hear(engine, job) as hearing:
            track = yield from _find_face(job, detector, gallery, hearing, clock)
            features, notes = yield from _await_voice(hearing, clock, total)
            track, turned = leave_out_profiles(track)
            skipped = tuple(describe_skipped(track, turned, job.rows, job.clip.fps))
            score: SyncScore | None = None
            reason: str | None = "scoring was switched off"
            with partial_file(request.output) as partial:
                yield from _generate(job, partial, engine, track, features, gallery, clock)
                if request.score:
                    score, reason = yield from _score_file(partial, job, track, detector, clock)
        clock.end()
        result = Result(
            output=request.output,
            num_frames=total,
            fps=job.clip.fps,
            size=job.clip.size,
            duration=float(total / job.clip.fps),
            score=score,
            score_reason=None if score else reason,
            skipped=skipped,
            timings=clock.timings,
            notes=(*notes, *_remarks(job, skipped)),
        )
        yield Progress("done", total, total, seconds_left=0.0, result=result)

    def score(
        self, video: Path, audio: Path | None = None, face: FaceChoice | None = None
    ) -> SyncScore:
        """Judge any clip against its own sound or another file's.

        Raises `InputError` where there is nothing to judge (no face, no sound, no movement).
        """
        clip = probe_clip(video, self.limits)
        if clip.is_still:
            raise InputError(f"{video.name} is a single picture; a score needs a clip with sound.")
        probe_voice(audio or video, self.limits)
        heard = read_audio(audio or video, ANALYSIS_RATE)
        with self._detector() as detector:
            return exhaust(judge_clip(clip, heard, face or FaceChoice(), detector))

    def find_faces(self, video: Path, seconds: float = 10.0) -> list[FoundFace]:
        """Return the people seen in the first `seconds` of a clip, by shot, then left to right.

        Raises `InputError` if the clip cannot be read; nobody found is an empty list.
        """
        clip = probe_clip(video, self.limits)
        numbers = range(min(clip.num_frames, max(1, round(seconds * clip.fps))))
        with self._detector() as detector:
            tracks = exhaust(follow_faces(clip, numbers, detector, Gallery(0)))
        people = [
            (number, candidate)
            for shot in tracks.shots
            for number, candidate in enumerate(tracks.in_shot(shot), start=1)
        ]
        middles = [person.rows[len(person.rows) // 2] for _, person in people]
        frames = {frame.index: frame for frame in read_frames(clip, sorted(set(middles)))}
        return [
            FoundFace(
                number=number,
                seconds=float(row / clip.fps),
                share=tracks.share(person),
                box=person.box,
                thumbnail=face_thumbnail(frames[row], person.box),
            )
            for (number, person), row in zip(people, middles, strict=True)
        ]

    def scan(self, video: Path) -> Generator[Scan, None, None]:
        """Yield what a quick look through a clip finds, at once and then some times a second.

        The last scan has share 1; closing the iterator stops the search. Raises `InputError` if
        the clip cannot be read; nobody found is no error, the last scan's `trouble` says so.
        """
        clip = probe_clip(video, self.limits)
        with self._detector() as detector:
            yield from scan_clip(clip, detector)

    def close(self) -> None:
        """Free what is resident; the pipeline can be used again and loads afresh."""
        with self._lock:
            detectors, self._idle_detectors = self._idle_detectors, []
            self._engines = dict(self._given)
        for detector in detectors:
            detector.close()

    def _prepare(self, request: Request) -> _Job:
        """Probe and check everything that can be wrong before work is spent."""
        clip = probe_clip(request.video, self.limits)
        voice = probe_voice(request.audio, self.limits)
        check_output(request.output, (request.video, request.audio))
        settings = make_settings(request.engine, request.settings)
        rate = request.fps
        if rate is None:  # a rate of 0 is a mistake to be told, not a wish for the usual one
            rate = self._engine(request.engine).spec.fps
        if rate is not None:
            clip = at_rate(clip, rate)
        numbers = trim_range(clip, request.start, request.end)
        seconds = 0.0 if clip.is_still else float(len(numbers) / clip.fps)
        total = num_output_frames(request.fit, seconds, voice.duration, clip.fps)
        return _Job(
            request, clip, voice, numbers, plan_timeline(request.fit, len(numbers), total), settings
        )

    def _engine(self, name: str) -> Engine:
        with self._lock:
            if name not in self._engines:
                self._engines[name] = create_engine(name)
            return self._engines[name]

    @contextmanager
    def _detector(self) -> Iterator[Detector]:
        """Lend a detector that nobody else is using; jobs at once get one each."""
        from lipsync.face.detect import MediaPipeDetector

        with self._lock:
            lent = self._idle_detectors.pop() if self._idle_detectors else None
        lent = lent or MediaPipeDetector()
        try:
            yield lent
        finally:
            with self._lock:
                self._idle_detectors.append(lent)


@contextmanager
def _hear(engine: Engine, job: _Job) -> Iterator[Future[tuple[torch.Tensor, tuple[str, ...]]]]:
    """Listen to the voice beside the search for faces; leaving early stops it soon."""
    stopped = threading.Event()

    def checkpoint() -> None:
        if stopped.is_set():
            raise Cancelled

    def listen() -> tuple[torch.Tensor, tuple[str, ...]]:
        audio = read_audio(job.voice.path, ANALYSIS_RATE)
        check_voice(audio)
        notes: tuple[str, ...] = ()
        if not speech_probability(audio, checkpoint).has_speech:
            notes = ("No speech was found in the voice, so the mouth stays at rest.",)
        return engine.encode_audio(audio, len(job.rows), job.clip.fps, checkpoint), notes

    worker = ThreadPoolExecutor(1, thread_name_prefix="voice")
    try:
        yield worker.submit(listen)
    finally:
        stopped.set()
        worker.shutdown(wait=False, cancel_futures=True)


def _find_face(
    job: _Job,
    detector: Detector,
    gallery: Gallery,
    hearing: Future[tuple[torch.Tensor, tuple[str, ...]]],
    clock: TimeLeft,
) -> Generator[Progress, None, FaceTrack]:
    clock.begin("faces")
    total = len(job.numbers)

    def stop_at_bad_voice() -> None:
        if hearing.done():
            hearing.result()  # a voice that cannot be used ends the job now, not after the search

    following = follow_faces(job.clip, job.numbers, detector, gallery)
    tracks = yield from _show("faces", following, total, clock, stop_at_bad_voice)
    return choose_face(tracks, job.request.face, job.clip.size, job.clip.fps, job.numbers.start)


def _show(
    stage: str,
    steps: Generator[int, None, _T],
    total: int,
    clock: TimeLeft,
    check: Callable[[], None] = lambda: None,
) -> Generator[Progress, None, _T]:
    """Turn the counts of a stepwise search into progress; return what the search returns."""
    with closing(steps):
        while True:
            try:
                done = next(steps)
            except StopIteration as finished:
                result: _T = finished.value
                return result
            check()
            yield Progress(stage, done, total, clock.seconds_left(done))


def _await_voice(
    hearing: Future[tuple[torch.Tensor, tuple[str, ...]]], clock: TimeLeft, total: int
) -> Generator[Progress, None, tuple[torch.Tensor, tuple[str, ...]]]:
    clock.begin("voice")
    while True:
        try:
            return hearing.result(_POLL_SECONDS)
        except FutureTimeout:
            yield Progress("voice", 0, total, clock.seconds_left(0))


def _generate(
    job: _Job,
    output: Path,
    engine: Engine,
    track: FaceTrack,
    features: torch.Tensor,
    gallery: Gallery,
    clock: TimeLeft,
) -> Generator[Progress, None, None]:
    """Stream the frames once more, put the new mouths in, and write the file."""
    clock.begin("generate")
    clip, total = job.clip, len(job.rows)
    frames = read_frames(clip, (job.rows + job.numbers.start).tolist())
    weights = fade_weights(track, clip.fps)[job.rows]
    shown = time.monotonic()
    tags = {"comment": f"AI-generated lip sync (Lipsync Studio, {engine.spec.label} engine)"}
    with VideoWriter(
        output, clip.fps, clip.size, clip.colour, job.voice, quality=job.request.quality, tags=tags
    ) as writer:  # fmt: skip
        done = 0
        for stretch in [*split_output(track, job.rows, clip.fps), None]:
            until = stretch.start if stretch else total
            while done < until:  # nobody there: the frame as it is
                writer.write(next(frames))
                done += 1
                yield Progress("generate", done, total, clock.seconds_left(done))
            if stretch is None:
                break
            scene = _make_scene(job, engine, track, features, gallery, stretch)
            fades = weights[stretch.start : stretch.stop]
            for frame in render_scene(scene, frames, engine, job.settings, job.request.seed, fades):
                writer.write(frame)
                done += 1
                preview = None
                if time.monotonic() - shown > _PREVIEW_SECONDS:
                    preview, shown = _preview(frame), time.monotonic()
                yield Progress("generate", done, total, clock.seconds_left(done), preview)


def _make_scene(
    job: _Job,
    engine: Engine,
    track: FaceTrack,
    features: torch.Tensor,
    gallery: Gallery,
    stretch: Stretch,
) -> Scene:
    rows = job.rows[stretch.start : stretch.stop]
    seen = slice(int(rows.min()), int(rows.max()) + 1)
    spec = engine.spec
    alignment = align_track(track, seen, TEMPLATES[spec.template], spec.size)
    return Scene(
        track=track,
        rows=rows,
        alignment=Alignment(alignment.matrices[rows - seen.start], alignment.size),
        features=features[stretch.start : stretch.stop],
        fps=job.clip.fps,
        references=gallery.references(track, stretch.segment),
        first_output=stretch.start,
    )


def _score_file(
    written: Path, job: _Job, track: FaceTrack, detector: Detector, clock: TimeLeft
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
    judging = judge_clip(clip, heard, face, detector)
    try:
        score = yield from _show("score", judging, clip.num_frames, clock)
    except InputError as reason:
        return None, str(reason)
    return score, None


def _preview(frame: Frame) -> np.ndarray:
    scale = min(1.0, _PREVIEW_SIDE / max(frame.size))
    size = Size(max(2, round(frame.size.height * scale)), max(2, round(frame.size.width * scale)))
    return rgb_image(frame, size)


def _remarks(job: _Job, skipped: tuple[Skipped, ...]) -> Iterator[str]:
    """Yield plain sentences on what the user may not expect of this result."""
    left_out = sum(span.end_seconds - span.start_seconds for span in skipped)
    total = len(job.rows) / job.clip.fps
    if left_out > 0.5 * total:
        yield f"The mouth was left alone for {left_out:.1f} of {float(total):.1f} s (see skipped)."
