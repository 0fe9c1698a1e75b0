"""Nothing leaves the machine: the whole app runs where every way out is closed and watched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from served_app import serve_app

ROOT = Path(__file__).resolve().parents[1]

# Python imports a module of this name by itself at its start, in the app and in what it starts
WATCH = """
import ipaddress, os, socket, sys, traceback

def _is_near(host):
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified

def _watch(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event in ("socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    if not _is_near(host):
        with open(os.environ["WAYS_OUT"], "a") as log:
            log.write(f"{event} {host!r}\\n" + "".join(traceback.format_stack()[-6:-1]))
        raise OSError(f"the way out to {host!r} is closed")

sys.addaudithook(_watch)
with open(os.environ["WAYS_OUT"] + ".watched", "a") as log:
    log.write(" ".join(sys.orig_argv) + "\\n")
"""


@pytest.fixture
def ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of every attempt to leave; empty so far."""
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WATCH)
    log = folder / "ways-out.log"
    log.write_text("")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("WAYS_OUT", str(log))
    return log


def test_the_watch_sees_who_leaves(ways_out: Path) -> None:
    code = "import urllib.request as r; r.urlopen('http://192.0.2.1/', timeout=2)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "is closed" in done.stderr
    assert "192.0.2.1" in ways_out.read_text()
    ways_out.write_text("")
    code = "import socket; socket.getaddrinfo('example.com', 80)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "example.com" in ways_out.read_text()


@pytest.mark.slow
def test_a_job_from_start_to_result_calls_nobody(
    tmp_path: Path, face_clip: Path, short_voice: Path, ways_out: Path
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    with serve_app(served) as app:
        client = Client(app.url, verbose=False, download_files=tmp_path / "got")
        video, record = client.predict(
            handle_file(face_clip), handle_file(short_voice), api_name="/sync"
        )
        assert Path(video).stat().st_size > 0
        assert record["frames"] == 30
    assert "app.py" in Path(f"{ways_out}.watched").read_text()
    assert ways_out.read_text() == ""


def test_building_the_screen_loads_no_model() -> None:
    code = (
        "import sys\n"
        "from functools import partial\n"
        "from lipsync.presets import PRESETS_FOLDER\n"
        "from lipsync.ui import hosting\n"
        "from lipsync.ui.launch import launch_options\n"
        "from lipsync.ui.layout import build_ui\n"
        "deployment = hosting.read_deployment()\n"
        "residence = hosting.make_residence('')\n"
        "make = partial(hosting.make_pipeline, deployment=deployment, residence=residence)\n"
        "build_ui(make, [PRESETS_FOLDER], residence=residence)\n"
        "launch_options(deployment)\n"
        "heavy = ('torch', 'mediapipe', 'silero_vad', 'pocketsphinx', 'moviepy')\n"
        "heavy += ('diffusers', 'einops', 'safetensors', 'scipy', 'lipsync.pipeline')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stdout + done.stderr
