"""The whole house on one floor: clip and voice in, written file and score out.

What happens to jobs that are killed, cancelled or run side by side stands in test_robustness.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import cv2
import numpy as np
import pytest
import torch
from conftest import run_ffmpeg

import lipsync.face.detect
from lipsync import LipSyncPipeline, Request, Result
from lipsync.engines import ENGINES
from lipsync.engines.draft.engine import DraftEngine
from lipsync.errors import InputError, LipsyncError, OutputError
from lipsync.example import example_photo, example_voice
from lipsync.media.frames import read_frames
from lipsync.media.probe import probe_clip, probe_voice
from lipsync.media.sound import read_audio
from lipsync.steps import exhaust
from lipsync.types import FaceChoice, Frame, Generated, Progress, Scene, Window

GAP = slice(14, 24)  # frames of `gap_clip` in which a grey board hides everything


@pytest.fixture(scope="module")
def pipeline() -> Iterator[LipSyncPipeline]:
    with closing(LipSyncPipeline()) as made:
        yield made


@pytest.fixture(scope="module")
def gap_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait, drifting, 240 x 240 px, 40 frames, nobody in sight from frame 14 to 23."""
    graph = (
        "zoompan=z='1.25+0.002*on':x='20+20*sin(on/4)':y='on/2':d=1:s=320x320:fps=25,"
        "scale=240:240,drawbox=c=gray:t=fill:enable='between(n,14,23)',format=yuv420p"
    )
    return run_ffmpeg(
        *("-loop", 1, "-framerate", 25, "-i", example_photo(), "-vf", graph, "-frames:v", 40),
        *("-c:v", "libx264", "-preset", "ultrafast"),
        tmp_path_factory.mktemp("gap") / "gap.mp4",
    )


def run(pipeline: LipSyncPipeline, request: Request) -> Result:
    """Run a job and check that its progress makes sense."""
    seen = list(pipeline.sync(request))
    assert_sensible(seen)
    assert seen[-1].result is not None
    assert request.output.is_file()
    return seen[-1].result


def assert_sensible(seen: list[Progress]) -> None:
    stages = list(dict.fromkeys(progress.stage for progress in seen))
    allowed = ["probe", "faces", "voice", "generate", "score", "done"]
    assert stages == [stage for stage in allowed if stage in stages]
    assert all(progress.result is None for progress in seen[:-1])
    for progress in seen:
        assert 0 <= progress.done <= progress.total
        assert progress.seconds_left is None or progress.seconds_left >= 0
        if progress.preview is not None:
            assert progress.preview.dtype == np.uint8
            assert max(progress.preview.shape) <= 360
    assert seen[-1].seconds_left == 0.0


def frames_of(path: Path, numbers: Iterable[int] | None = None) -> list[Frame]:
    return list(read_frames(probe_clip(path), numbers))


def same(one: Frame, other: Frame) -> bool:
    pairs = ((one.y, other.y), (one.u, other.u), (one.v, other.v))
    return all(np.array_equal(a, b) for a, b in pairs)


class WatchedEngine(DraftEngine):
    """The draft engine, written down: which crops it was shown and which masks it gave."""

    spec = dataclasses.replace(DraftEngine.spec, name="watched")
    made: ClassVar[int] = 0
    scenes: ClassVar[list[Scene]] = []
    masks: ClassVar[list[np.ndarray]] = []

    def __init__(self) -> None:
        type(self).made += 1

    def generate(
        self, scene: Scene, windows: Iterable[Window], settings: Any, rng: torch.Generator
    ) -> Iterator[Generated]:
        self.scenes.append(scene)
        for generated in super().generate(scene, windows, settings, rng):
            assert generated.masks is not None
            self.masks.extend(generated.masks)
            yield generated


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[WatchedEngine]:
    monkeypatch.setitem(ENGINES, "watched", "test_pipeline:WatchedEngine")
    WatchedEngine.made = 0
    WatchedEngine.scenes.clear()
    WatchedEngine.masks.clear()
    return WatchedEngine


def test_a_photo_speaks(pipeline: LipSyncPipeline, short_voice: Path, tmp_path: Path) -> None:
    result = run(pipeline, Request(example_photo(), short_voice, tmp_path / "out.mp4"))
    assert result.num_frames == 30
    assert result.fps == 25
    assert result.size == (512, 512)
    assert result.duration == pytest.approx(1.2)
    assert result.skipped == result.notes == ()
    assert result.score is not None
    assert result.score_reason is None
    assert 0.0 <= result.score.confidence <= 1.0
    assert set(result.timings) == {"faces", "voice", "generate", "score"}
    clip, voice = probe_clip(result.output), probe_voice(result.output)
    assert (clip.num_frames, clip.fps, clip.size) == (30, 25, (512, 512))
    assert clip.duration == pytest.approx(voice.duration, abs=0.04)
    frames = frames_of(result.output)
    mouth, brow = (slice(170, 240), slice(190, 270)), (slice(40, 80), slice(190, 270))
    moved = np.mean([np.abs(f.y[mouth].astype(int) - frames[0].y[mouth]).mean() for f in frames])
    still = np.mean([np.abs(f.y[brow].astype(int) - frames[0].y[brow]).mean() for f in frames])
    assert moved > 4 * still


def test_frames_without_the_face_are_the_source_s(
    pipeline: LipSyncPipeline, gap_clip: Path, tmp_path: Path, watched: type[WatchedEngine]
) -> None:
    """And outside the masks, every frame is, down to the last bit of the written file."""
    voice = run_ffmpeg("-i", example_voice(), "-t", 1.6, tmp_path / "voice.wav")
    request = Request(
        gap_clip, voice, tmp_path / "out.mp4", engine="watched", quality="lossless", score=False
    )
    result = run(pipeline, request)
    (skipped,) = result.skipped
    assert (skipped.start_seconds, skipped.end_seconds) == (GAP.start / 25, GAP.stop / 25)
    assert "no face was found" in skipped.reason
    assert result.score is None
    assert result.score_reason
    source, written = frames_of(gap_clip), frames_of(result.output)
    assert len(source) == len(written) == 40
    hidden = range(GAP.start, GAP.stop)
    assert all(same(source[t], written[t]) for t in hidden)

    first, second = watched.scenes
    assert first.rows.tolist() == list(range(GAP.start))
    assert second.rows.tolist() == list(range(GAP.stop, 40))
    assert second.first_output == GAP.stop
    matrices = np.concatenate([first.alignment.matrices, second.alignment.matrices])
    shown = [t for t in range(40) if t not in hidden]
    changed = 0
    for t, matrix, mask in zip(shown, matrices, watched.masks, strict=True):
        left, top = (-matrix[:, 2]).astype(int)
        covered = np.zeros((240 + 800, 240 + 800), bool)
        covered[400 + top : 400 + top + len(mask), 400 + left : 400 + left + len(mask)] = mask > 0
        covered = covered[400:640, 400:640]
        differs = source[t].y != written[t].y
        assert not (differs & ~covered).any()
        blocks = covered.reshape(120, 2, 120, 2).any(axis=(1, 3))
        for plane in ("u", "v"):
            differs_here = getattr(source[t], plane) != getattr(written[t], plane)
            assert not (differs_here & ~blocks).any()
        changed += int(differs.any())
    assert changed > 20  # and something was done at all
    # beside the gap the new mouth fades in and out
    strength = [np.abs(source[t].y.astype(int) - written[t].y).sum() for t in shown]
    assert strength[GAP.start - 1] < strength[GAP.start - 5]


def test_a_result_in_which_the_face_is_never_seen(
    pipeline: LipSyncPipeline, gap_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    """The face comes only after the voice has ended: the picture stays, and it is said."""
    half = run_ffmpeg("-i", short_voice, "-t", 0.36, tmp_path / "half.wav")
    result = run(
        pipeline,
        Request(gap_clip, half, tmp_path / "out.mp4", start=0.56, quality="lossless"),
    )
    assert result.score is None
    assert result.score_reason is not None
    assert result.score_reason.startswith("No frame of the result shows the face")
    (skipped,) = result.skipped
    assert (skipped.start_seconds, skipped.end_seconds) == (0.0, pytest.approx(0.36))
    assert "left alone for 0.4 of 0.4 s" in result.notes[0]
    source = frames_of(gap_clip, range(14, 23))
    assert all(same(a, b) for a, b in zip(source, frames_of(result.output), strict=True))


def test_trims_choose_the_source_frames(
    pipeline: LipSyncPipeline,
    gap_clip: Path,
    short_voice: Path,
    tmp_path: Path,
    watched: type[WatchedEngine],
) -> None:
    result = run(
        pipeline,
        Request(
            *(gap_clip, short_voice, tmp_path / "out.mp4", "watched"),
            **{"start": 0.96, "end": 1.36, "quality": "lossless", "score": False},
        ),
    )
    assert result.num_frames == 30
    (scene,) = watched.scenes
    assert len(scene.track.present) == 10  # nothing else was looked at
    assert scene.rows.tolist()[:12] == [*range(10), 8, 7]  # there and back again
    source, written = frames_of(gap_clip), frames_of(result.output)
    corner = (slice(0, 30), slice(0, 30))
    for t, row in enumerate(scene.rows.tolist()):
        assert np.array_equal(written[t].y[corner], source[24 + row].y[corner])


@pytest.mark.parametrize(
    ("fit", "frames"), [("bounce", 30), ("loop", 30), ("hold", 30), ("stretch", 30), ("cut", 10)]
)
def test_fits(
    fit: Any,
    frames: int,
    pipeline: LipSyncPipeline,
    gap_clip: Path,
    short_voice: Path,
    tmp_path: Path,
) -> None:
    """Ten frames of picture, thirty of voice."""
    result = run(
        pipeline,
        Request(gap_clip, short_voice, tmp_path / "out.mp4", fit=fit, end=0.4, score=False),
    )
    assert result.num_frames == frames
    assert probe_clip(result.output).num_frames == frames
    assert probe_voice(result.output).duration == pytest.approx(frames / 25, abs=0.04)


def test_a_part_is_what_the_whole_would_show_there(
    pipeline: LipSyncPipeline,
    face_clip: Path,
    gap_clip: Path,
    tmp_path: Path,
    watched: type[WatchedEngine],
) -> None:
    """Only the part's source frames are looked at; sound and skipped stretches are the part's."""
    voice = run_ffmpeg("-i", example_voice(), "-t", 3, tmp_path / "voice.wav")
    request = Request(
        *(gap_clip, voice, tmp_path / "out.mp4", "watched"),
        **{"part": (0.4, 0.4), "quality": "lossless"},
    )
    seen = list(pipeline.sync(request))
    result = seen[-1].result
    assert result is not None
    assert (result.num_frames, result.duration) == (10, pytest.approx(0.4))
    assert {p.total for p in seen if p.stage == "faces"} == {10}
    (skipped,) = result.skipped
    assert (skipped.start_seconds, skipped.end_seconds) == (pytest.approx(0.16), 0.4)
    assert result.score is None
    assert "only 0.2 s" in str(result.score_reason)
    source, written = frames_of(gap_clip, range(10, 20)), frames_of(result.output)
    assert len(written) == 10
    assert all(same(a, b) for a, b in zip(source[4:], written[4:], strict=True))
    heard, whole = read_audio(result.output).samples, read_audio(voice).samples
    assert len(heard) == pytest.approx(0.4 * 16000, abs=1024)
    offsets = range(6400 - 400, 6400 + 401, 16)
    likeness = [
        float(np.corrcoef(heard[800:4800], whole[o + 800 : o + 4800])[0, 1]) for o in offsets
    ]
    assert max(likeness) > 0.9
    assert abs(offsets[int(np.argmax(likeness))] - 6400) <= 32  # 2 ms


def test_a_part_may_cross_a_loop_s_seam_and_run_over_the_end(
    pipeline: LipSyncPipeline, face_clip: Path, tmp_path: Path, watched: type[WatchedEngine]
) -> None:
    voice = run_ffmpeg("-i", example_voice(), "-t", 2.2, tmp_path / "voice.wav")
    request = Request(
        *(face_clip, voice, tmp_path / "out.mp4", "watched"),
        **{"fit": "loop", "part": (1.8, 9.0), "score": False},
    )
    seen = list(pipeline.sync(request))
    assert seen[-1].result is not None
    assert seen[-1].result.num_frames == 10
    assert {p.total for p in seen if p.stage == "faces"} == {10}
    first, second = watched.scenes
    assert (first.rows.tolist(), second.rows.tolist()) == ([5, 6, 7, 8, 9], [0, 1, 2, 3, 4])


def test_a_part_of_a_clip_in_fast_motion_follows_the_face_between(
    pipeline: LipSyncPipeline, tmp_path: Path, short_voice: Path, face_clip: Path
) -> None:
    long = run_ffmpeg("-stream_loop", 19, "-i", face_clip, "-c", "copy", tmp_path / "long.mp4")
    request = Request(
        *(long, short_voice, tmp_path / "out.mp4"),
        **{"fit": "stretch", "part": (0.4, 0.16), "score": False},
    )
    seen = list(pipeline.sync(request))
    assert {p.total for p in seen if p.stage == "faces"} == {53}  # four frames
    assert seen[-1].result is not None
    assert seen[-1].result.skipped == ()


def test_a_face_clicked_elsewhere_in_the_clip_is_meant_in_a_part(
    pipeline: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    request = Request(
        *(face_clip, short_voice, tmp_path / "out.mp4"),
        **{"part": (0.8, 0.16), "score": False},
    )
    found = dataclasses.replace(request, face=FaceChoice(click=(150.0, 100.0), click_seconds=0.2))
    seen = list(pipeline.sync(found))
    assert seen[-1].result is not None
    assert seen[-1].result.skipped == ()
    assert {p.total for p in seen if p.stage == "faces"} == {4 + 11}
    missed = dataclasses.replace(request, face=FaceChoice(click=(5.0, 5.0), click_seconds=0.2))
    assert "no face at the clicked point" in _refusal(pipeline, missed)


def test_a_part_where_nobody_is_seen_says_so(
    pipeline: LipSyncPipeline, gap_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    request = Request(gap_clip, short_voice, tmp_path / "out.mp4", part=(0.6, 0.2))
    assert "No face was found in this part of the clip" in _refusal(pipeline, request)


def test_a_silent_part_of_a_voice_is_at_rest(
    pipeline: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    late = run_ffmpeg("-i", short_voice, "-af", "adelay=8000:all=1", tmp_path / "late.wav")
    request = Request(
        *(face_clip, late, tmp_path / "out.mp4"), **{"part": (0.2, 0.4), "score": False}
    )
    result = run(pipeline, request)
    assert result.notes == (
        "No speech was found in this part of the voice, so the mouth stays at rest.",
    )


def test_softness_changes_the_edge_and_nothing_outside(
    pipeline: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    made = {}
    for softness in (0.0, 1.0, 2.0):
        request = Request(
            *(face_clip, short_voice, tmp_path / f"{softness}.mp4"),
            **{"part": (0.2, 0.2), "softness": softness, "quality": "lossless", "score": False},
        )
        run(pipeline, request)
        made[softness] = frames_of(request.output)
    plain = run_request_without_softness(pipeline, face_clip, short_voice, tmp_path)
    assert all(same(a, b) for a, b in zip(made[1.0], plain, strict=True))
    source = frames_of(face_clip, range(5, 10))
    outside = [(a.y == b.y) for a, b in zip(source, made[1.0], strict=True)]
    for softness in (0.0, 2.0):
        assert not all(same(a, b) for a, b in zip(made[softness], plain, strict=True))
        for before, after, kept in zip(source, made[softness], outside, strict=True):
            grown = cv2.erode(kept.astype(np.uint8), np.ones((5, 5))) > 0
            assert np.array_equal(before.y[grown], after.y[grown])


def run_request_without_softness(
    pipeline: LipSyncPipeline, clip: Path, voice: Path, folder: Path
) -> list[Frame]:
    request = Request(
        *(clip, voice, folder / "plain.mp4"),
        **{"part": (0.2, 0.2), "quality": "lossless", "score": False},
    )
    run(pipeline, request)
    return frames_of(request.output)


def test_the_mark_is_by_choice_and_the_tag_always_there(
    pipeline: LipSyncPipeline, gap_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    made = []
    for mark in (False, True):
        request = Request(
            *(gap_clip, short_voice, tmp_path / f"{mark}.mp4"),
            **{"part": (0.4, 0.36), "mark": mark, "quality": "lossless", "score": False},
        )
        run(pipeline, request)
        with av.open(str(request.output)) as container:
            assert container.metadata["comment"].startswith("AI-generated lip sync")
        made.append(frames_of(request.output))
    for plain, marked in zip(*made, strict=True):  # with a face and without
        differs = np.argwhere(plain.y != marked.y)
        assert len(differs)
        assert differs.min() >= 200


def test_another_rate_may_be_asked_for(
    pipeline: LipSyncPipeline, short_voice: Path, tmp_path: Path
) -> None:
    result = run(
        pipeline,
        Request(example_photo(), short_voice, tmp_path / "out.mp4", fps=Fraction(12), score=False),
    )
    assert (result.fps, result.num_frames) == (12, 14)
    assert probe_clip(result.output).fps == 12


def test_settings_reach_the_engine(
    pipeline: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    files = []
    for amplitude in ("0.3", 1.8):
        out = tmp_path / f"{amplitude}.mp4"
        settings = {"amplitude": amplitude}
        run(pipeline, Request(face_clip, short_voice, out, settings=settings, score=False))
        files.append(frames_of(out))
    assert not all(same(a, b) for a, b in zip(*files, strict=True))


def test_a_voice_without_speech_keeps_the_mouth_at_rest(
    pipeline: LipSyncPipeline, tmp_path: Path
) -> None:
    noise = run_ffmpeg(
        *("-f", "lavfi", "-i", "anoisesrc=a=0.1:r=16000:seed=1", "-t", 0.6), tmp_path / "noise.wav"
    )
    request = Request(example_photo(), noise, tmp_path / "out.mp4", quality="lossless", score=False)
    result = run(pipeline, request)
    assert result.notes == ("No speech was found in the voice, so the mouth stays at rest.",)
    frames = frames_of(result.output)
    changes = [np.abs(f.y.astype(int) - frames[0].y).max() for f in frames]
    assert max(changes) <= 8


class CountedDetector(lipsync.face.detect.MediaPipeDetector):
    """The detector, counted."""

    opened: ClassVar[int] = 0
    closed: ClassVar[int] = 0

    def __init__(self, max_faces: int = 4) -> None:
        type(self).opened += 1
        super().__init__(max_faces)

    def close(self) -> None:
        type(self).closed += 1
        super().close()


def test_parts_load_once_and_close_together(
    face_clip: Path,
    short_voice: Path,
    tmp_path: Path,
    watched: type[WatchedEngine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lipsync.face.detect, "MediaPipeDetector", CountedDetector)
    CountedDetector.opened = CountedDetector.closed = 0
    pipeline = LipSyncPipeline()
    request = Request(face_clip, short_voice, tmp_path / "out.mp4", "watched", score=False)
    assert (watched.made, CountedDetector.opened) == (0, 0)
    run(pipeline, request)
    job = pipeline.sync(request)
    while next(job).stage != "faces":
        pass
    job.close()  # a cancelled job gives its detector back
    with pytest.raises(InputError):
        run(pipeline, dataclasses.replace(request, settings={"amplitude": "nan"}))
    run(pipeline, request)
    assert (watched.made, CountedDetector.opened, CountedDetector.closed) == (1, 1, 0)
    pipeline.close()
    pipeline.close()
    assert CountedDetector.closed == 1
    run(pipeline, request)  # and it can be used again
    assert CountedDetector.opened == 2
    pipeline.close()


def test_an_engine_handed_in_stands_in_for_its_namesake(
    face_clip: Path, short_voice: Path, tmp_path: Path, watched: type[WatchedEngine]
) -> None:
    request = Request(face_clip, short_voice, tmp_path / "out.mp4", end=0.2, fit="cut", score=False)
    with closing(LipSyncPipeline(engines={"draft": watched()})) as pipeline:
        run(pipeline, request)
        pipeline.close()
        run(pipeline, request)
    assert len(watched.scenes) == 2


def _refusal(
    pipeline: LipSyncPipeline, request: Request, kind: type[LipsyncError] = InputError
) -> str:
    before = sorted(request.output.parent.iterdir())
    with pytest.raises(kind) as refused:
        list(pipeline.sync(request))
    assert sorted(request.output.parent.iterdir()) == before
    sentence = str(refused.value)
    assert sentence.endswith(".")
    return sentence


def test_the_inputs_are_never_overwritten(
    pipeline: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    clip = Path(shutil.copy(face_clip, tmp_path / "clip.mp4"))
    voice = run_ffmpeg("-i", example_voice(), "-t", 1, tmp_path / "voice.mp4")
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    before = clip.read_bytes()
    for output in (clip, voice, link, tmp_path / "." / "clip.mp4"):
        sentence = _refusal(pipeline, Request(clip, voice, output), OutputError)
        assert "is one of the inputs and would be overwritten" in sentence
    assert clip.read_bytes() == before


def test_mistakes_are_found_before_any_work(
    pipeline: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    plain = Request(face_clip, short_voice, tmp_path / "out.mp4")
    wrong: dict[str, dict[str, Any]] = {
        "no engine called": {"engine": "magic"},
        "has no setting": {"settings": {"loudness": 1}},
        "Setting amplitude": {"settings": {"amplitude": float("nan")}},
        "trim start": {"start": 99.0},
        "lies beyond the clip": {"end": 99.0},
        "frames per second": {"fps": Fraction(0)},
        "part begins at 5 s, but the result lasts 1.20 s": {"part": (5.0, 3.0)},
        "length above 0": {"part": (0.0, 0.0)},
        "part of nan s": {"part": (0.0, float("nan"))},
        "from -1 s was": {"part": (-1.0, 3.0)},
        "number from 0 to 2": {"softness": 2.1},
        "softness of the mask": {"softness": float("nan")},
    }
    for words, change in wrong.items():
        job = pipeline.sync(dataclasses.replace(plain, **change))
        assert next(job).stage == "probe"
        with pytest.raises(InputError, match=words):
            next(job)
    assert not plain.output.exists()


def test_a_clip_without_a_face(
    pipeline: LipSyncPipeline, short_voice: Path, tmp_path: Path
) -> None:
    clip = run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.4", "-pix_fmt", "yuv420p"),
        tmp_path / "nobody.mp4",
    )
    sentence = _refusal(pipeline, Request(clip, short_voice, tmp_path / "out.mp4"))
    assert "No face was found" in sentence


def test_a_score_needs_a_moving_mouth_and_a_sound(
    pipeline: LipSyncPipeline, face_clip: Path, gap_clip: Path
) -> None:
    with pytest.raises(InputError, match=r"astronaut\.png is a single picture; a score needs"):
        pipeline.score(example_photo(), example_voice())
    with pytest.raises(InputError, match="has no sound"):
        pipeline.score(gap_clip)
    with pytest.raises(InputError, match=r"No speech was found in face\.mp4, so"):
        pipeline.score(face_clip)
    with pytest.raises(InputError, match="mouth does not move"):
        pipeline.score(face_clip, example_voice())


def test_scoring_in_steps_may_stop_early_and_look_at_a_part(
    pipeline: LipSyncPipeline, face_clip: Path, tmp_path: Path
) -> None:
    talk = run_ffmpeg(
        *("-stream_loop", 2, "-i", face_clip, "-i", example_voice()),
        *("-map", "0:v", "-map", "1:a", "-t", 3, tmp_path / "talk.mp4"),
    )
    with pytest.raises(InputError, match=r"visible for only 0\.4 s"):
        exhaust(pipeline.score_steps(talk, start=1.0, end=1.4))
    steps = pipeline.score_steps(talk)
    while next(steps).stage != "score":
        pass
    steps.close()
    late = run_ffmpeg("-i", talk, "-c:v", "copy", "-af", "adelay=2000", tmp_path / "late.mp4")
    with pytest.raises(InputError, match=r"No speech was found in this part of late\.mp4"):
        exhaust(pipeline.score_steps(late, start=0.0, end=1.5))
    with pytest.raises(InputError, match="trim end of 9 s lies beyond"):
        exhaust(pipeline.score_steps(talk, end=9.0))


def test_the_time_of_a_job_is_expected_before_it_and_learned_from_it(
    face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    request = Request(face_clip, short_voice, tmp_path / "out.mp4", score=False)
    with closing(LipSyncPipeline()) as fresh:
        before = fresh.expect(request)
        assert 1.0 < before < 60.0
        assert fresh.expect(dataclasses.replace(request, part=(0.0, 0.2))) < before
        assert not request.output.exists()
        result = run(fresh, request)
        spent = sum(result.timings.values())
        assert fresh.expect(request) == pytest.approx(spent, rel=0.5)
        with pytest.raises(InputError, match="part begins"):
            fresh.expect(dataclasses.replace(request, part=(9.0, 1.0)))


@pytest.mark.slow
def test_the_example_is_in_sync(pipeline: LipSyncPipeline, tmp_path: Path) -> None:
    result = run(pipeline, Request(example_photo(), example_voice(), tmp_path / "out.mp4"))
    assert result.score is not None
    assert result.score.confidence > 0.7
    assert abs(result.score.offset_frames) <= 2
    # the same file judged again, and against its voice from outside, says the same
    again = pipeline.score(result.output)
    assert again.offset_frames == result.score.offset_frames
    assert again.confidence == pytest.approx(result.score.confidence, abs=0.01)
    apart = pipeline.score(result.output, example_voice())
    assert apart.confidence == pytest.approx(again.confidence, abs=0.05)
    late = run_ffmpeg("-i", result.output, "-vn", "-af", "adelay=240:all=1", tmp_path / "late.wav")
    assert abs(pipeline.score(result.output, late).offset_frames - again.offset_frames + 6) <= 1
