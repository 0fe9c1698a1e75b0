"""Judging clips: what cannot be judged, in steps and in parts, and the example."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_ffmpeg
from watched_jobs import (
    run,
)

from lipsync import LipSyncPipeline, Request
from lipsync.errors import InputError
from lipsync.example import example_photo, example_voice
from lipsync.steps import exhaust


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
