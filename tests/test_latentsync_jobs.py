"""Whole jobs with LatentSync's small networks: clip and voice in, written file out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_ffmpeg
from seen_scenes import SceneNotes, count_changed
from standin_models import make_standins, residence_of
from watched_jobs import GAP, assert_sensible, frames_of, refuse, run, same

from lipsync import LipSyncPipeline, Request
from lipsync.engines.latentsync.engine import LatentSyncEngine
from lipsync.example import example_photo, example_voice
from lipsync.face.align import TEMPLATES
from lipsync.face.mask import template_mask
from lipsync.record import make_record
from lipsync.residence import Residence
from lipsync.types import Progress, Result, Scene
from lipsync.weights import ModelStore

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"
QUICK = {"resolution": 64, "steps": 2, "guidance": 1.5, "checkpoint": "latentsync-1.5"}
pytestmark = pytest.mark.slow  # each takes seconds

LONG = """
import sys
from pathlib import Path
from lipsync import LipSyncPipeline, Request
from lipsync.bench.cost import peak_mb

clip, voice, out = map(Path, sys.argv[1:])
settings = {"resolution": 64, "steps": 1, "guidance": 1.0}
request = Request(clip, voice, out, "latentsync", settings, score=False)
*_, last = LipSyncPipeline().sync(request)
print(last.result.num_frames, peak_mb())
"""


class SeenEngine(SceneNotes, LatentSyncEngine):
    """LatentSync, and which scenes it was shown."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_standins(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def residence(models: Path) -> Iterator[Residence]:
    with closing(residence_of(models)) as made:
        yield made


@pytest.fixture(scope="module")
def engine(residence: Residence) -> SeenEngine:
    return SeenEngine(residence)


@pytest.fixture(scope="module")
def pipeline(residence: Residence, engine: SeenEngine) -> Iterator[LipSyncPipeline]:
    with closing(LipSyncPipeline(engines={"latentsync": engine}, residence=residence)) as made:
        yield made


def ask(clip: Path, voice: Path, output: Path, **changes: Any) -> Request:
    """Return a request for LatentSync that keeps the picture as it is and asks for no score."""
    usual = {"settings": QUICK, "quality": "lossless", "score": False}
    return Request(clip, voice, output, "latentsync", **{**usual, **changes})


def masks_of(scene: Scene) -> list[np.ndarray]:
    """Return the template's mask, (S, S), once for each frame."""
    mask = template_mask(TEMPLATES["latentsync"].mask, scene.alignment.size)
    return [mask] * len(scene.rows)


@pytest.fixture(scope="module")
def gap_job(
    pipeline: LipSyncPipeline,
    engine: SeenEngine,
    gap_clip: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Request, list[Progress], list[Scene]]:
    """A finished job on the clip in which the face is away for a while, and all it told."""
    folder = tmp_path_factory.mktemp("gap")
    voice = run_ffmpeg("-i", example_voice(), "-t", 1.6, folder / "voice.wav")
    request = ask(gap_clip, voice, folder / "out.mp4")
    seen = list(pipeline.sync(request))
    return request, seen, list(engine.scenes)


def result_of(seen: list[Progress]) -> Result:
    assert_sensible(seen)
    result = seen[-1].result
    assert result is not None
    return result


def test_the_result_is_as_long_as_it_says(
    gap_job: tuple[Request, list[Progress], list[Scene]],
) -> None:
    request, seen, _ = gap_job
    result = result_of(seen)
    assert result.num_frames == len(frames_of(request.output)) == 40
    assert result.num_frames == round(Fraction(result.duration).limit_denominator(1000) * 25)


def test_outside_the_mask_every_frame_is_the_source_s(
    gap_job: tuple[Request, list[Progress], list[Scene]],
) -> None:
    """To the last bit; and where nobody is in sight, so is the whole frame."""
    request, _, (first, second) = gap_job
    source, written = frames_of(request.video), frames_of(request.output)
    assert all(same(source[t], written[t]) for t in range(GAP.start, GAP.stop))
    assert (first.first_output, second.first_output) == (0, GAP.stop)
    changed = count_changed(first, masks_of(first), source[: GAP.start], written[: GAP.start])
    changed += count_changed(second, masks_of(second), source[GAP.stop :], written[GAP.stop :])
    assert changed >= 28


def test_progress_goes_on_within_a_window_and_never_back(
    gap_job: tuple[Request, list[Progress], list[Scene]],
) -> None:
    """A window may take a minute: what has gone into it counts."""
    _, seen, _ = gap_job
    shown = [progress for progress in seen if progress.stage == "generate"]
    shares = [progress.share for progress in shown]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shown[-1].begun == 0.0
    # the 14 frames before the gap: one window, two steps, then frames that are no news
    waiting = [progress for progress in shown if progress.done == 0]
    assert len({progress.begun for progress in waiting if progress.begun > 0}) == 2
    assert all(progress.done + progress.begun <= 40 for progress in shown)


def test_the_record_tells_with_what_it_was_made(
    gap_job: tuple[Request, list[Progress], list[Scene]],
) -> None:
    request, seen, _ = gap_job
    record = make_record(request, result_of(seen), preset="latentsync-1.5")
    settings = json.loads(json.dumps(record, allow_nan=False))["settings"]
    assert settings["engine"] == "latentsync"
    assert settings["engine_settings"].items() >= QUICK.items()
    assert settings["engine_settings"].items() >= {"scheduler": "ddim", "overlap": 4}.items()


def test_pipelines_share_what_is_resident(
    pipeline: LipSyncPipeline,
    residence: Residence,
    face_clip: Path,
    short_voice: Path,
    tmp_path: Path,
) -> None:
    """One loads, the other finds it loaded, and they make the same."""
    made = []
    with ExitStack() as others:
        other = others.enter_context(closing(LipSyncPipeline(residence=residence)))
        for number, one in enumerate((pipeline, other, pipeline)):
            request = ask(face_clip, short_voice, tmp_path / f"{number}.mp4", end=0.2, fit="cut")
            run(one, request)
            made.append(frames_of(request.output))
            if number == 0:
                loads = dict(residence.loads)
        assert dict(residence.loads) == loads
        assert set(loads.values()) == {1}
        names = [part.name for part in other.parts()]
        assert len(names) == 3
        assert all(part.users == 0 for part in other.parts())
    for frames in made[1:]:
        assert all(same(a, b) for a, b in zip(made[0], frames, strict=True))


def test_a_job_can_be_cancelled_wherever_it_rests(
    pipeline: LipSyncPipeline,
    residence: Residence,
    face_clip: Path,
    short_voice: Path,
    tmp_path: Path,
) -> None:
    """And nothing of it is left: no file, no part in use, no turn taken."""
    source = ask(face_clip, short_voice, tmp_path / "out.mp4", end=0.2, fit="cut")
    for stop_at in range(1, 6):  # two batches of five frames are encoded, two steps, a picture
        job = pipeline.sync(source)
        generating = (progress for progress in job if progress.stage == "generate")
        for _ in range(stop_at):
            progress = next(generating)
        assert progress.done == (1 if stop_at == 5 else 0)
        assert any(part.users for part in residence.parts())
        job.close()
        assert list(tmp_path.iterdir()) == []
        assert all(part.users == 0 for part in residence.parts())
        assert not residence.turn.locked()


def test_models_that_are_not_here_are_named(
    face_clip: Path, short_voice: Path, tmp_path: Path
) -> None:
    empty = Residence(ModelStore(tmp_path / "cache"), device="cpu")
    request = ask(face_clip, short_voice, tmp_path / "out.mp4")
    with closing(LipSyncPipeline(residence=empty)) as pipeline:
        assert "models pull latentsync-1.5" in refuse(pipeline, request)
    assert not empty.loads


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips in ../shared/clips are not here")
def test_a_real_clip(pipeline: LipSyncPipeline, engine: SeenEngine, tmp_path: Path) -> None:
    clip = CLIPS / "vr_2.mp4"
    engine.scenes.clear()
    request = ask(clip, example_voice(), tmp_path / "out.mp4", part=(0.4, 1.2), mark=False)
    result = run(pipeline, request)
    (scene,) = engine.scenes
    numbers = range(scene.first_output, scene.first_output + result.num_frames)
    source, written = frames_of(clip, numbers), frames_of(request.output)
    assert len(written) == round(1.2 * result.fps)
    assert count_changed(scene, masks_of(scene), source, written) == len(written)


@pytest.mark.slow
def test_a_long_job_takes_no_more_memory_than_a_short_one(models: Path, tmp_path: Path) -> None:
    """Four times as long, within 150 MB."""
    root = Path(__file__).resolve().parents[1]
    ours = {"PYTHONPATH": str(root), "LIPSYNC_MODELS": str(models), "LIPSYNC_DEVICE": "cpu"}
    environment = {**os.environ, **ours}
    peaks = {}
    for seconds in (5, 20):
        clip = run_ffmpeg(
            *("-loop", 1, "-framerate", 25, "-i", example_photo(), "-t", seconds),
            *("-vf", "crop=320:320:80+20*sin(t):20+10*sin(t/3),format=yuv420p"),
            *("-c:v", "libx264", "-preset", "ultrafast"),
            tmp_path / f"{seconds}.mp4",
        )
        voice = run_ffmpeg(
            *("-stream_loop", -1, "-i", example_voice(), "-t", seconds), tmp_path / f"{seconds}.wav"
        )
        out = tmp_path / f"out{seconds}.mp4"
        command = [sys.executable, "-c", LONG, str(clip), str(voice), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        count, peak = done.stdout.split()
        assert int(count) > 24 * seconds
        peaks[seconds] = float(peak)
    assert peaks[20] - peaks[5] < 150, peaks
    print(f"peak of memory: {peaks} MB")
