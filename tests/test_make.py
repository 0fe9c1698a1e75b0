"""`make` on a bare machine: with a copy of the Makefile and nothing to install, so no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make") or pytest.skip("make is not installed", allow_module_level=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "constraints.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "app.py").write_text("import sys; print('APP', sys.prefix, sys.argv[1:])")
    return tmp_path


def make(folder: Path, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    # an empty PYTHONPATH and no user site: what make installs is all there is
    variables = {
        "PATH": path or f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
    }
    return subprocess.run(
        [MAKE, *words], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


def test_run_sets_up_once_and_starts_the_app(folder: Path) -> None:
    first = make(folder, "run", f"PYTHON={sys.executable}", "PORT=7999")
    assert first.returncode == 0, first.stderr
    assert f"APP {folder / '.venv'} ['--host', '127.0.0.1', '--port', '7999']" in first.stdout
    assert (folder / ".venv" / ".installed").is_file()
    again = make(folder, "run")
    assert again.stdout.splitlines() == [
        f"APP {folder / '.venv'} ['--host', '127.0.0.1', '--port', '7860']"
    ]
    # a new pin is noticed
    stamp = (folder / ".venv" / ".installed").stat().st_mtime
    os.utime(folder / "requirements.txt", (stamp + 5, stamp + 5))
    assert "Installing" in make(folder, "install").stdout


def test_no_suitable_python_is_one_clear_sentence(folder: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "uname"):
        (tools / name).symlink_to(shutil.which(name) or "")
    # a dead shim, as version managers leave them
    (tools / "python3.12").write_text("#!/bin/sh\nexit 127\n")
    (tools / "python3.12").chmod(0o755)
    done = make(folder, "run", path=str(tools))
    assert done.returncode == 2
    assert "No Python 3.11 or 3.12" in done.stderr
    assert "make run PYTHON=" in done.stderr
    assert not (folder / ".venv").exists()


def test_a_dry_run_names_what_each_target_does(folder: Path) -> None:
    for target, words in {
        "run": "app.py --host 127.0.0.1 --port 7860",
        "demo": "-m lipsync demo",
        "test": "-m pytest",
        "check": "-m mypy",
    }.items():
        assert words in make(folder, "-n", target).stdout


def test_a_build_of_pytorch_can_be_asked_for(folder: Path) -> None:
    tools = folder / "tools"
    tools.mkdir()
    place = "--extra-index-url https://download.pytorch.org/whl/cu126"
    # what pip would be told, seen without a network
    (tools / "python").write_text('#!/bin/sh\necho "PIP $@"\n')
    (tools / "python").chmod(0o755)
    done = make(
        folder, "install", "TORCH=cu126", f"VENV={folder / 'env'}", f"PY={tools / 'python'}"
    )
    assert place in done.stdout
    assert place not in make(folder, "-n", "install").stdout.replace("$(TORCH)", "")


def test_help_is_the_default(folder: Path) -> None:
    assert "make demo" in make(folder).stdout


def test_ci_runs_the_tests_and_can_be_executed() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()
