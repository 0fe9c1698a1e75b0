"""A part of a result: the same pictures, sound and words as the whole has there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import run_ffmpeg
from watched_jobs import (
    WatchedEngine,
    frames_of,
    refuse,
    run,
    same,
)

from lipsync import LipSyncPipeline, Request
from lipsync.example import example_voice
from lipsync.media.sound import read_audio
from lipsync.types import FaceChoice


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
    assert "no face at the clicked point" in refuse(pipeline, missed)


def test_a_part_where_nobody_is_seen_says_so(
    pipeline: LipSyncPipeline, gap_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    request = Request(gap_clip, short_voice, tmp_path / "out.mp4", part=(0.6, 0.2))
    assert "No face was found in this part of the clip" in refuse(pipeline, request)


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
