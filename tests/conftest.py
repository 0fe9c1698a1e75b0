"""What several test files share: the one ffmpeg a stranger has, and a short talking example."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from lipsync.example import example_photo, example_voice

# one process of tests per core: threads of their own would only get in each other's way
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from watched_jobs import WatchedEngine

    from lipsync.pipeline import LipSyncPipeline

Ffmpeg = Callable[..., Path]


def run_ffmpeg(*arguments: object) -> Path:
    """Run the bundled ffmpeg; the last argument is the file it makes, which is returned."""
    words = [get_ffmpeg_exe(), "-v", "error", "-y", "-nostdin", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return Path(str(arguments[-1]))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests would leave in the user's own folders, and what they would find, out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LIPSYNC_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("LIPSYNC_MODELS", raising=False)
        yield


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    return run_ffmpeg


@pytest.fixture(scope="session")
def face_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a still portrait: 320 x 320 px, 25 fps, with a faint tone as its sound."""
    path = tmp_path_factory.mktemp("shared") / "face.mp4"
    return run_ffmpeg(
        *("-loop", 1, "-framerate", 25, "-i", example_photo()),
        *("-f", "lavfi", "-i", "sine=f=200:r=24000"),
        *("-t", 1, "-vf", "crop=400:400:30:0,scale=320:320,format=yuv420p"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
        path,
    )


@pytest.fixture(scope="session")
def short_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 1.2 s of the example voice, as WAV 24 kHz mono."""
    path = tmp_path_factory.mktemp("shared") / "voice.wav"
    return run_ffmpeg("-i", example_voice(), "-t", 1.2, path)


@pytest.fixture(scope="session")
def gap_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait, drifting, 240 x 240 px, 40 frames, nobody in sight from frame 14 to 23."""
    graph = (
        "zoompan=z='1.25+0.002*on':x='20+20*sin(on/4)':y='on/2':d=1:s=320x320:fps=25,"
        "scale=240:240,drawbox=c=gray:t=fill:enable='between(n,14,23)',format=yuv420p"
    )
    return run_ffmpeg(
        *("-loop", 1, "-framerate", 25, "-i", example_photo(), "-vf", graph, "-frames:v", 40),
        *("-c:v", "libx264", "-preset", "ultrafast"),
        tmp_path_factory.mktemp("shared") / "gap.mp4",
    )


@pytest.fixture(scope="module")
def pipeline() -> Iterator[LipSyncPipeline]:
    """A pipeline for all tests of a file; models load once."""
    from lipsync.pipeline import LipSyncPipeline

    with closing(LipSyncPipeline()) as made:
        yield made


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[WatchedEngine]:
    """The engine called "watched", with nothing written down yet."""
    from watched_jobs import watch_engine

    return watch_engine(monkeypatch)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; tests that want it skip where there is none."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    from served_app import CHROMIUM, open_browser

    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with open_browser() as opened:
        yield opened
