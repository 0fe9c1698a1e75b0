"""The real app in its own process, and a real browser to look at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # a microphone that beeps, and nobody to ask for leave
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
_START_SECONDS = 90  # a slow, busy machine with nothing cached


@dataclass(frozen=True)
class ServedApp:
    """Where the app answers and where it keeps its files."""

    url: str
    folder: Path  # everything it writes lies in here
    seconds_to_start: float

    def job_folders(self) -> list[Path]:
        """Return the folders of jobs that are running, or were left behind."""
        return list(self.folder.glob("lipsync-studio-*/job-*"))

    def films(self) -> set[Path]:
        """Return every finished video that is kept or handed out."""
        return set(self.folder.glob("gradio/**/*-synced.mp4"))


@contextmanager
def serve_app(folder: Path, **settings: str) -> Iterator[ServedApp]:
    """Run ``app.py`` on a free port with all its files in `folder`; stop it at the end.

    `settings` are variables of its environment.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "TMPDIR": str(folder),
        "LIPSYNC_PRESETS": str(folder / "no-presets"),  # nobody's own
        "LIPSYNC_HOME": str(folder / "home"),
        # no ffmpeg or ffprobe of the system: a stranger's machine has none
        "PATH": str(Path(sys.executable).parent),
        **settings,
    }
    environment.pop("GRADIO_TEMP_DIR", None)
    url = f"http://127.0.0.1:{port}/"
    started = time.monotonic()
    with (folder / "app.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _await_answer(url, process, folder / "app.log")
            yield ServedApp(url, folder, time.monotonic() - started)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a headless Chromium that calls nobody by itself."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def _await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the app ended at once:\n{log.read_text()}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"the app did not answer in {_START_SECONDS} s:\n{log.read_text()}")
