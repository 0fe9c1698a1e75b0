"""Jobs that are killed, cancelled or run side by side: no half file, nothing left, same result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import av
import pytest
from conftest import run_ffmpeg

from lipsync import LipSyncPipeline, Request
from lipsync.cli.progress import STAGES
from lipsync.example import example_photo, example_voice

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of the portrait drifting slowly, 400 x 400 px: a job of a few seconds."""
    path = tmp_path_factory.mktemp("long") / "clip.mp4"
    return run_ffmpeg(
        *("-loop", 1, "-framerate", 25, "-i", example_photo(), "-t", 5),
        *("-vf", "crop=400:400:40+20*sin(t):20*t/5,format=yuv420p"),
        *("-c:v", "libx264", "-preset", "ultrafast"),
        path,
    )


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Send every temporary file of this process and its children to a folder we can look into."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def run_job(pipeline: LipSyncPipeline, request: Request) -> bytes:
    for _ in pipeline.sync(request):
        pass
    return request.output.read_bytes()


def start_command(clip: Path, out: Path) -> subprocess.Popen[str]:
    words = ["sync", str(clip), str(example_voice()), "-o", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "lipsync", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background ignores Ctrl-C and would hand that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for_stage(process: subprocess.Popen[str], stage: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(STAGES[stage]):
            return
    raise AssertionError(f"the job ended before {stage}")


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.slow
def test_a_killed_job_never_leaves_the_final_name(
    tmp_path: Path, long_clip: Path, scratch: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    out = folder / "out.mp4"
    for stage, pause in (("faces", 0.3), ("generate", 0.0), ("generate", 1.0), ("score", 0.0)):
        process = start_command(long_clip, out)
        wait_for_stage(process, stage)
        time.sleep(pause)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"{stage}: the job was over too soon"
        assert not out.exists(), f"killed in {stage}"
    second = start_command(long_clip, out)
    _, said = second.communicate()
    assert second.returncode == 0, said
    assert count_frames(out) == round(5.06 * 25)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_cleans_up(
    number: signal.Signals, tmp_path: Path, long_clip: Path, scratch: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    process = start_command(long_clip, folder / "out.mp4")
    wait_for_stage(process, "generate")
    process.send_signal(number)
    began = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.endswith("Interrupted; nothing was kept.\n")
    assert "Traceback" not in said
    assert time.monotonic() - began < 5
    assert list(folder.iterdir()) == list(scratch.iterdir()) == []


def test_two_jobs_at_once_give_the_same_files(
    tmp_path: Path, face_clip: Path, short_voice: Path
) -> None:
    """Also: one pipeline serves both, and the two jobs ask for different things."""
    photo = run_ffmpeg("-i", example_photo(), "-vf", "crop=400:400:30:0", tmp_path / "photo.png")
    other = run_ffmpeg("-ss", 1.5, "-i", example_voice(), "-t", 1.2, tmp_path / "other.wav")

    def requests(name: str) -> list[Request]:
        return [
            Request(face_clip, short_voice, tmp_path / f"{name}-clip.mp4"),
            Request(photo, other, tmp_path / f"{name}-photo.mp4", score=False, seed=3),
        ]

    with closing(LipSyncPipeline()) as pipeline:
        alone = [run_job(pipeline, request) for request in requests("alone")]
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(run_job, pipeline, request) for request in requests("together")]
            together = [job.result() for job in jobs]
    assert together == alone
    assert alone[0] != alone[1]


def _after(stage: str, steps: int) -> Callable[[list[str]], bool]:
    return lambda seen: seen.count(stage) >= steps


@pytest.mark.parametrize(
    ("stage", "steps"), [("probe", 1), ("faces", 3), ("voice", 1), ("generate", 4), ("score", 1)]
)
def test_closing_the_iterator_cancels_at_once_and_leaves_nothing(
    stage: str,
    steps: int,
    tmp_path: Path,
    face_clip: Path,
    short_voice: Path,
    scratch: Path,
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    video, audio = face_clip, short_voice
    if stage == "voice":  # what a job waits for whose faces are found at once and that hears much
        looped = ("-stream_loop", -1, "-i", example_voice(), "-t", 120)
        video, audio = example_photo(), run_ffmpeg(*looped, tmp_path / "long.wav")
    with closing(LipSyncPipeline()) as pipeline:
        job = pipeline.sync(Request(video, audio, folder / "out.mp4"))
        enough, seen = _after(stage, steps), list[str]()
        for progress in job:
            seen.append(progress.stage)
            if enough(seen):
                break
        assert seen.count(stage) == steps, seen
        began = time.monotonic()
        job.close()
        assert time.monotonic() - began < 1
        assert list(folder.iterdir()) == list(scratch.iterdir()) == []
        # the same pipeline still serves the next job
        if stage == "generate":
            assert run_job(pipeline, Request(face_clip, short_voice, folder / "out.mp4"))


@pytest.mark.slow
def test_no_step_of_a_job_keeps_a_cancel_waiting(
    tmp_path: Path, long_clip: Path, short_voice: Path
) -> None:
    """A cancel arrives between two steps, so no step may take a second once all is loaded."""
    with closing(LipSyncPipeline()) as pipeline:
        run_job(pipeline, Request(long_clip, short_voice, tmp_path / "first.mp4"))
        job = pipeline.sync(Request(long_clip, example_voice(), tmp_path / "second.mp4"))
        gaps, began = [], time.thread_time()
        for progress in job:
            gaps.append((time.thread_time() - began, progress.stage))
            began = time.thread_time()
    assert max(gaps)[0] < 1.0


def test_a_finished_job_leaves_only_its_result(
    tmp_path: Path, face_clip: Path, short_voice: Path, scratch: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    with closing(LipSyncPipeline()) as pipeline:
        run_job(pipeline, Request(face_clip, short_voice, folder / "out.mp4"))
    assert [path.name for path in folder.iterdir()] == ["out.mp4"]
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_a_result_replaces_an_older_one_whole(
    tmp_path: Path, face_clip: Path, short_voice: Path
) -> None:
    """Whoever reads the final name meanwhile sees the old file or the new one, never a part."""
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    before = os.stat(out).st_ino
    with closing(LipSyncPipeline()) as pipeline:
        for progress in pipeline.sync(Request(face_clip, short_voice, out)):
            if progress.stage in ("probe", "faces", "voice"):
                assert out.read_bytes() == b"old"
    assert os.stat(out).st_ino != before
    assert count_frames(out) == 30
