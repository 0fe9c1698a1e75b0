"""Whole jobs of the LatentSync engine with faces found by InsightFace's networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import Ffmpeg
from insight_networks import write_pack
from standin_models import make_standins
from watched_jobs import frames_of, refuse, run, same

from lipsync import LipSyncPipeline, Request
from lipsync.errors import InputError
from lipsync.residence import Residence
from lipsync.weights import ModelStore

SETTINGS = {"checkpoint": "latentsync-1.5", "resolution": 64, "steps": 1, "guidance": 1.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A store in whose user's folder tiny stand-ins of all networks lie."""
    own = make_standins(tmp_path_factory.mktemp("own"))
    write_pack(own / "insightface-buffalo-l")
    return ModelStore(tmp_path_factory.mktemp("cache"), own)


@pytest.fixture(scope="module")
def made(store: ModelStore) -> Iterator[LipSyncPipeline]:
    residence = Residence(store, device="cpu")
    with closing(LipSyncPipeline(residence=residence, detector="insightface")) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def clip(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red square on grey, which the stand-in takes for a face: 24 frames, gone in the last 6."""
    return ffmpeg(
        *("-f", "lavfi", "-i", "color=0x606060:s=512x512:r=25"),
        *("-f", "lavfi", "-i", "color=red:s=24x24:r=25"),
        *("-filter_complex", "[0][1]overlay=x=192:y=256:enable='lt(n,18)',format=yuv420p"),
        *("-frames:v", 24, "-c:v", "libx264", "-qp", 0, "-preset", "ultrafast"),
        tmp_path_factory.mktemp("clip") / "square.mp4",
    )


def test_a_job_runs_on_106_landmarks(
    made: LipSyncPipeline, clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    request = Request(
        clip,
        short_voice,
        tmp_path / "out.mp4",
        engine="latentsync",
        settings=SETTINGS,
        fit="hold",
        quality="lossless",
    )
    result = run(made, request)
    assert result.num_frames == 30
    assert result.skipped[0].start_seconds == pytest.approx(18 / 25)
    # the judge looks for lips with MediaPipe's mesh, and a square has none
    assert result.score is None
    assert result.score_reason is not None
    assert any("InsightFace" in note for note in result.notes)
    before, after = frames_of(clip), frames_of(result.output)
    assert not any(same(one, other) for one, other in zip(before[:17], after[:17], strict=True))
    assert same(before[20], after[20])
    assert np.array_equal(before[3].y[:60], after[3].y[:60])


def test_the_draft_engine_needs_the_mesh(
    made: LipSyncPipeline, face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    request = Request(face_clip, short_voice, tmp_path / "out.mp4")
    sentence = refuse(made, request)
    assert sentence.startswith("The draft engine needs MediaPipe's 478 landmarks")
    with pytest.raises(InputError, match="The draft engine needs"):
        made.expect(request)


def test_an_absent_pack_is_named(clip: Path, short_voice: Path, tmp_path: Path) -> None:
    bare = Residence(ModelStore(tmp_path / "cache", make_standins(tmp_path / "own")), device="cpu")
    out = tmp_path / "out"
    out.mkdir()
    with closing(LipSyncPipeline(residence=bare, detector="insightface")) as pipeline:
        request = Request(
            clip, short_voice, out / "out.mp4", engine="latentsync", settings=SETTINGS
        )
        assert "models pull insightface-buffalo-l" in refuse(pipeline, request)


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(InputError, match="no face detector called 'dlib'"):
        LipSyncPipeline(detector="dlib")
