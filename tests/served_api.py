"""The endpoints alone, served for real, with a pipeline of known length behind them."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lipsync.engines import make_settings
from lipsync.media.probe import probe_clip, probe_voice
from lipsync.presets import PRESETS_FOLDER, load_presets
from lipsync.scan import Scan
from lipsync.types import FaceChoice, Progress, Request, Result, SyncScore
from lipsync.ui.api import lay_out_api
from lipsync.ui.hosting import Deployment, launch_extras
from lipsync.ui.jobs import Jobs
from lipsync.weights import ModelStore

UPLOAD_LIMIT = 2**20  # bytes of one file
SCORE = SyncScore("correlate", "A simple judge.", 0.5, 2, Fraction(25), "good")


class Walker:
    """A pipeline that takes as many steps as it is told and hands the clip back as the result.

    With `may_finish` unset it walks on the spot, so that a test can leave in the middle.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.may_finish = threading.Event()
        self.started = threading.Event()
        self.closed = threading.Event()
        self.may_finish.set()

    def sync(self, request: Request) -> Generator[Progress, None, None]:
        clip = probe_clip(request.video)
        voice = probe_voice(request.audio)
        self.requests.append(request)
        yield from self._walk()
        request.output.write_bytes(request.video.read_bytes())
        result = Result(
            request.output, 1, clip.fps, clip.size, voice.duration, SCORE, None, (), {"faces": 1.0}
        )
        yield Progress("done", 1, 1, result=result)

    def scan(self, video: Path) -> Generator[Scan, None, None]:
        raise AssertionError("the endpoints do not scan")
        yield

    def score_steps(
        self,
        video: Path,
        audio: Path | None = None,
        face: FaceChoice | None = None,
        *,
        start: float | None = None,
        end: float | None = None,
    ) -> Generator[Progress, None, SyncScore]:
        probe_clip(video)
        yield from self._walk()
        return SCORE

    def _walk(self) -> Generator[Progress, None, None]:
        try:
            yield Progress("faces", 0, 2, seconds_left=1.5)
            self.started.set()
            while not self.may_finish.wait(0.02):
                yield Progress("faces", 1, 2)
        finally:
            self.closed.set()


@dataclass
class ServedApi:
    """Where the endpoints answer, and what lies behind them."""

    url: str
    folder: Path  # everything the server writes lies in here
    walker: Walker
    jobs: Path = field(init=False)
    uploads: Path = field(init=False)

    def __post_init__(self) -> None:
        self.jobs, self.uploads = self.folder / "jobs", self.folder / "uploads"

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, str]:
        """Send JSON, or the very bytes, and return status and text of the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json", **headers}
        )
        return _read(request)

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Return status and text of the answer."""
        return _read(urllib.request.Request(self.url + path, headers=headers))

    def upload(self, content: bytes, name: str = "clip.mp4", **options: str) -> tuple[int, Any]:
        """Upload one file; return the status and the server's path, or the text of a refusal."""
        status, text = self.post("gradio_api/upload", form(content, name, **options), **FORM)
        return status, json.loads(text)[0] if status == 200 else text

    def start(self, endpoint: str, **values: Any) -> str:
        """Call over plain HTTP; return the path at which the answer can be read."""
        status, text = self.post(f"gradio_api/call/v2/{endpoint}", values)
        assert status == 200, text
        return f"gradio_api/call/{endpoint}/{json.loads(text)['event_id']}"

    def call(self, endpoint: str, **values: Any) -> tuple[str, Any]:
        """Call over plain HTTP; return the last event's name and its data."""
        _, stream = self.get(self.start(endpoint, **values))
        *_, name, data = (line for line in stream.splitlines() if line)
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


FORM = {"Content-Type": "multipart/form-data; boundary=cut"}


def form(content: bytes, name: str, field_name: str = "files") -> bytes:
    """Return the body of an upload, with the file's name as it stands, however odd."""
    head = f'--cut\r\nContent-Disposition: form-data; name="{field_name}"; filename="'
    kind = "Content-Type: application/octet-stream"
    return (
        head.encode()
        + name.encode()
        + f'"\r\n{kind}\r\n\r\n'.encode()
        + content
        + b"\r\n--cut--\r\n"
    )


def as_file(path: Any) -> dict[str, Any]:
    """Return how a request names an uploaded file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@contextmanager
def serve_api(folder: Path, is_hosted: bool = False) -> Iterator[ServedApi]:
    """Serve the endpoints behind the guard, with all their files in `folder`."""
    walker = Walker()
    presets, _ = load_presets([PRESETS_FOLDER], make_settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        with gr.Blocks(analytics_enabled=False) as screen:
            jobs, by_name = Jobs(folder / "jobs"), {p.name: p for p in presets}
            lay_out_api(screen, lambda: walker, jobs, by_name, ModelStore())
        screen.queue(api_open=False)
        _, url, _ = screen.launch(
            prevent_thread_lock=True,
            quiet=True,
            server_name="127.0.0.1",
            **launch_extras(Deployment(is_hosted, 60.0, UPLOAD_LIMIT)),
        )
        try:
            yield ServedApi(url, folder, walker)
        finally:
            walker.may_finish.set()
            screen.close()


def everything_in(folder: Path) -> set[str]:
    """Return the relative path of every file and folder, however deep."""
    return {os.path.relpath(path, folder) for path in folder.rglob("*")}


def _read(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
