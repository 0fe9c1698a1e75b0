"""The whole house on one floor: clip and voice in, written file out.

Parts of a result, refusals and scores have files of their own; what happens to jobs that are
killed, cancelled or run side by side stands in test_robustness.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import cv2
import numpy as np
import pytest
from conftest import run_ffmpeg
from watched_jobs import (
    GAP,
    WatchedEngine,
    frames_of,
    run,
    same,
)

import lipsync.face.detect
import lipsync.face.detectors
from lipsync import LipSyncPipeline, Request
from lipsync.errors import InputError
from lipsync.example import example_photo, example_voice
from lipsync.media.probe import probe_clip, probe_voice
from lipsync.types import Frame


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
    monkeypatch.setattr(lipsync.face.detectors, "MediaPipeDetector", CountedDetector)
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


def test_a_scan_teaches_the_pipeline_how_fast_the_machine_is(
    face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    request = Request(face_clip, short_voice, tmp_path / "out.mp4")
    with closing(LipSyncPipeline()) as fresh:
        before = fresh.expect(request)
        assert list(fresh.scan(face_clip))[-1].pace > 0.0
        assert fresh.expect(request) != before
