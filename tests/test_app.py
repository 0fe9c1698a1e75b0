"""The entry point: small, quick to import, obedient to its arguments."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app import parse_arguments

ROOT = Path(__file__).resolve().parents[1]


def test_app_is_short() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) < 60


def test_importing_app_loads_nothing_heavy() -> None:
    code = (
        "import sys, app;"
        "print([n for n in ('gradio', 'torch', 'mediapipe', 'cv2') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_defaults_stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    monkeypatch.delenv("LIPSYNC_IDLE_RELEASE", raising=False)
    found = parse_arguments([])
    assert vars(found) == {"host": "127.0.0.1", "port": 7860, "idle_release": ""}


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "9000")
    monkeypatch.setenv("LIPSYNC_IDLE_RELEASE", "20")
    found = parse_arguments([])
    assert vars(found) == {"host": "0.0.0.0", "port": 9000, "idle_release": "20"}
    found = parse_arguments(["--host", "::1", "--port", "1", "--idle-release", "0.5"])
    assert vars(found) == {"host": "::1", "port": 1, "idle_release": "0.5"}


def test_a_taken_port_is_a_sentence_and_garbage_is_collected_by_then() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code = (
            "import atexit, gc, app;"
            "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 100_000));"
            f"app.main(['--port', '{port}'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert done.stdout.strip() == "True True"
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be served" in done.stderr
    assert "Traceback" not in done.stderr
