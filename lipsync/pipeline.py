"""The whole flow in one readable function: a clip and a voice in, a synced clip and a score out.

`LipSyncPipeline` keeps engines and detectors between jobs; everything else belongs to one job.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsync.avatar.parts import need_of
from lipsync.avatar.preparation import Step, complete, create
from lipsync.avatar.store import Avatar, AvatarStore
from lipsync.engines import create_engine, engine_class, make_settings
from lipsync.errors import InputError
from lipsync.estimate import LOADING_SECONDS, Speed, TimeLeft, Work
from lipsync.face.detectors import DETECTORS, check_detector, detector_weights, open_detector
from lipsync.face.follow import follow_faces
from lipsync.face.gallery import Gallery
from lipsync.face.scan import scan_clip
from lipsync.face.scenes import describe_skipped, leave_out_profiles
from lipsync.face.speaker import Speaker
from lipsync.face.thumbnails import face_thumbnail
from lipsync.job import (
    await_voice,
    find_face,
    generate,
    hear_speech,
    judge_written,
    listen,
    recall_face,
    remarks,
    run_beside,
    show_steps,
)
from lipsync.media.frames import read_frames
from lipsync.media.output import check_output, partial_file
from lipsync.media.probe import Limits, at_rate, probe_clip, probe_voice
from lipsync.media.timeline import trim_range
from lipsync.plan import Job, plan_job
from lipsync.residence import Part, Residence
from lipsync.scan import FoundFace, Scan
from lipsync.score.judges import Judge, choose_judge, open_judge
from lipsync.steps import exhaust, map_steps
from lipsync.types import (
    Audio,
    Checkpoint,
    Engine,
    FaceChoice,
    Progress,
    Request,
    Result,
    SyncScore,
)

if TYPE_CHECKING:
    from lipsync.face.detect import Detector
    from lipsync.weights import ModelStore


class LipSyncPipeline:
    """Sync and score clips; engines and detectors load on first use and stay.

    Safe to use from several threads at once: jobs share the resident parts, never their state.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        engines: Mapping[str, Engine] | None = None,
        residence: Residence | None = None,
        detector: str = "mediapipe",
        avatars: AvatarStore | None = None,
    ) -> None:
        """`engines` are already built and stand in for the registry's of the same name; models
        stay in `residence` (None: one of its own, on the device that `choose_device` finds). Jobs
        on a clip that an avatar in `avatars` was made from take its face from there (None: never).
        `detector`, a key of `face.detectors.DETECTORS`, finds the face of a job; scans, lists of
        faces and scores are made with MediaPipe's mesh. Raises `InputError` for an unknown one."""
        self.limits = limits or Limits()
        self.residence = residence or Residence()
        detector_weights(detector)  # an unknown name is refused here
        self._detector_name = detector
        self._lock = threading.Lock()
        self._given = dict(engines or {})
        self._engines: dict[str, Engine] = dict(self._given)
        self._idle_detectors: dict[str, list[Detector]] = {name: [] for name in DETECTORS}
        self._speed = Speed()
        self._avatars = avatars

    def sync(self, request: Request) -> Generator[Progress, None, None]:
        """Make `request.output`; yield progress, the last one with the result.

        Closing the iterator cancels within a second and leaves nothing behind. Raises
        `LipsyncError` with a sentence for the user.
        """
        yield Progress("probe", 0, 1)
        avatars = self._avatars_for(request)
        job = self._plan(request, (yield from _recognise(request.video, avatars)))
        check_output(request.output, (request.video, request.audio))
        judge = self._judge(request.judge) if request.score else None
        engine = self._engine(request.engine)
        total = len(job.rows)
        clock = TimeLeft(job.work.frames, self._speed.rates(job.work))
        listening = partial(listen, job, engine)
        with run_beside(listening) as hearing:
            speaker, mended = yield from self._find_speaker(job, avatars, engine, hearing, clock)
            features, notes = yield from await_voice(hearing, clock, total)
            track, turned = leave_out_profiles(speaker.track)
            speaker = replace(speaker, track=track)
            skipped = tuple(describe_skipped(track, turned, job.rows, job.clip.fps))
            score: SyncScore | None = None
            reason: str | None = "scoring was switched off"
            with partial_file(request.output) as written:
                yield from generate(job, written, engine, speaker, features, clock)
                if judge is not None:
                    with self._detector() as detector:
                        judging = judge_written(written, job, track, judge, detector, clock)
                        score, reason = yield from judging
        clock.end()
        self._speed.learn(job.work, clock.timings)
        keys = (*engine.needed_weights(job.settings), *detector_weights(self._detector_name))
        models = tuple(map(self.store.checkpoint, keys))
        asked = judge.weights if judge and score else ()
        judges = tuple(map(self.store.checkpoint, asked))
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
            notes=(*mended, *notes, *remarks(job, skipped, models, judges)),
            models=tuple(model.title for model in models),
        )
        yield Progress("done", total, total, seconds_left=0.0, result=result)

    def expect(self, request: Request) -> float:
        """Return the seconds that `sync` is expected to take for `request` on this machine.

        Its speed is known from finished jobs or, before the first one, from the last scan. Reads
        the files' heads only. Raises `InputError` where `sync` would refuse at once.
        """
        job = self._plan(request, exhaust(_recognise(request.video, self._avatars_for(request))))
        with self._lock:
            is_loaded = request.engine in self._engines and bool(
                self._idle_detectors[self._detector_name]
            )
        return self._speed.expect(job.work) + (0.0 if is_loaded else LOADING_SECONDS)

    def create_avatar(
        self,
        name: str,
        video: Path,
        engine: str = "draft",
        settings: Mapping[str, Any] | None = None,
        store: AvatarStore | None = None,
    ) -> Generator[Progress, None, Avatar]:
        """Prepare a clip to speak as `name`; yield progress, return the avatar.

        Everything a job of `engine` with these settings needs to know of the clip is found now and
        kept in `store` (None: the pipeline's, or the usual one); other engines find the faces there
        and add what they lack. A name whose avatar was made from the same clip is completed.
        Closing the generator cancels within a second and leaves nothing. Raises `InputError` for a
        name that is taken or will not do and a clip without a face, `OutputError` where the store
        cannot be written.
        """
        yield Progress("probe", 0, 1)
        built = self._class(engine)
        made = make_settings(engine, settings or {})
        check_detector(self._detector_name, built.spec, built.template(made))
        clip = probe_clip(video, self.limits)
        if built.spec.fps is not None:
            clip = at_rate(clip, built.spec.fps)
        work = Work(clip.size, {"faces": clip.num_frames})
        clock = TimeLeft(work.frames, self._speed.rates(work))

        def tell(step: Step) -> Progress:
            is_looking = step.stage == "faces"
            if is_looking and step.done == 1:
                clock.begin("faces")
            left = clock.seconds_left(step.done) if is_looking else None
            return Progress(step.stage, step.done, step.total, left)

        making = create(
            store or self._avatars or AvatarStore(),
            *(name, clip, need_of(built, made, clip, self._detector_name)),
            partial(self._detector, self._detector_name),
        )
        return (yield from map_steps(tell, making))

    def score(
        self,
        video: Path,
        audio: Path | None = None,
        face: FaceChoice | None = None,
        judge: str = "auto",
    ) -> SyncScore:
        """Judge any clip against its own sound or another file's; see `score_steps`."""
        return exhaust(self.score_steps(video, audio, face, judge=judge))

    def score_steps(
        self,
        video: Path,
        audio: Path | None = None,
        face: FaceChoice | None = None,
        *,
        start: float | None = None,
        end: float | None = None,
        judge: str = "auto",
    ) -> Generator[Progress, None, SyncScore]:
        """Yield progress while a clip is judged; the generator's return value is the score.

        `start` and `end` (seconds) limit it to a part of the clip and the same part of the sound.
        `judge` is one of `score.judges.JUDGES`, or "auto": the best whose weights are here. Closing
        the generator stops within a second. Raises `InputError` where there is nothing to judge (no
        face, no sound, no speech, no movement), and for a judge that is not here.
        """
        yield Progress("probe", 0, 1)
        asked = self._judge(judge)
        clip = probe_clip(video, self.limits)
        if clip.is_still:
            raise InputError(f"{video.name} is a single picture; a score needs a clip with sound.")
        probe_voice(audio or video, self.limits)
        numbers = trim_range(clip, start, end)
        is_part = len(numbers) < clip.num_frames
        first = float(numbers.start / clip.fps)
        seconds = float(len(numbers) / clip.fps) if is_part else None
        work = Work(clip.size, {"voice": len(numbers), "score": len(numbers)})
        clock = TimeLeft(work.frames, self._speed.rates(work))
        listening = partial(hear_speech, audio or video, first, seconds)
        with self._detector() as detector:
            heard = yield from self._hear(listening, clock, len(numbers))
            clock.begin("score")
            judging = asked.judge(clip, heard, face or FaceChoice(), detector, numbers)
            del heard  # it is the judge's to forget
            return (yield from show_steps("score", judging, len(numbers), clock))

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
        yield Scan(clip)

        def learn(found: Scan) -> Scan:
            self._speed.take_scan(clip.size, found.pace)
            return found

        with self._detector() as detector:
            yield from map_steps(learn, scan_clip(clip, detector))

    def close(self) -> None:
        """Free what is resident; the pipeline can be used again and loads afresh."""
        with self._lock:
            detectors = [one for idle in self._idle_detectors.values() for one in idle]
            self._idle_detectors = {name: [] for name in DETECTORS}
            self._engines = dict(self._given)
        for detector in detectors:
            detector.close()
        self.residence.close()

    def load(self, engine: str, settings: Mapping[str, Any]) -> None:
        """Make the models resident that jobs of `engine` with these settings need.

        Raises `InputError` where a checkpoint is absent or damaged, or the memory does not suffice.
        """
        self._engine(engine).load(make_settings(engine, settings))

    @property
    def store(self) -> ModelStore:
        """Where checkpoints are found."""
        return self.residence.store

    def parts(self) -> tuple[Part, ...]:
        """Return which parts of models are resident."""
        return self.residence.parts()

    def _avatars_for(self, request: Request) -> AvatarStore | None:
        return self._avatars if request.home is None else AvatarStore(request.home)

    def _class(self, name: str) -> Engine | type[Engine]:
        return self._given.get(name) or engine_class(name)

    def _plan(self, request: Request, avatar: str | None) -> Job:
        """Plan a job without building its engine."""
        engine = self._class(request.engine)
        on_card = engine.spec.wants_card and self.residence.device.type != "cpu"
        job = plan_job(request, self.limits, engine, on_card, avatar)
        check_detector(self._detector_name, engine.spec, engine.template(job.settings))
        return job

    def _find_speaker(
        self,
        job: Job,
        avatars: AvatarStore | None,
        engine: Engine,
        hearing: Future[Any],
        clock: TimeLeft,
    ) -> Generator[Progress, None, tuple[Speaker, tuple[str, ...]]]:
        """Return who is to speak, as the clip's avatar knows or as is found now; with notes."""
        if avatars is None or job.avatar is None:
            with self._detector(self._detector_name) as detector:
                count = engine.spec.references
                return (yield from find_face(job, detector, count, hearing, clock)), ()
        need = need_of(engine, job.settings, job.clip, self._detector_name)
        lend = partial(self._detector, self._detector_name)
        preparing = complete(avatars, job.avatar, job.clip, need, lend)
        return (yield from recall_face(job, preparing, hearing, clock))

    @staticmethod
    def _hear(
        listening: Callable[[Checkpoint], Audio], clock: TimeLeft, total: int
    ) -> Generator[Progress, None, Audio]:
        with run_beside(listening) as hearing:
            return (yield from await_voice(hearing, clock, total))

    def _judge(self, wish: str) -> Judge:
        return open_judge(choose_judge(wish, self.store), self.residence)

    def _engine(self, name: str) -> Engine:
        with self._lock:
            if name not in self._engines:
                self._engines[name] = create_engine(name, self.residence)
            return self._engines[name]

    @contextmanager
    def _detector(self, name: str = "mediapipe") -> Iterator[Detector]:
        """Lend a detector that nobody else is using; jobs at once get one each."""
        with self._lock:
            idle = self._idle_detectors[name]
            lent = idle.pop() if idle else None
        lent = lent or open_detector(name, self.store)
        try:
            yield lent
        finally:
            with self._lock:
                self._idle_detectors[name].append(lent)


def _recognise(video: Path, avatars: AvatarStore | None) -> Generator[Progress, None, str | None]:
    """Return the key of the avatar that was made from a clip, if there is one."""
    if avatars is None:
        return None
    return (yield from map_steps(lambda _: Progress("probe", 0, 1), avatars.find(video)))
