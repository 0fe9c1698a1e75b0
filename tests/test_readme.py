"""What the README promises must run as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lipsync.cli.arguments import build_parser
from lipsync.doctor import REQUIREMENTS, read_pins
from lipsync.example import example_photo

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def code_block(language: str, word: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    return next(block for block in blocks if word in block)


def test_python_use_takes_six_lines_and_works(tmp_path: Path, short_voice: Path) -> None:
    code = code_block("python", "LipSyncPipeline")
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    # the names in the README; a shorter sentence keeps the test quick
    shutil.copy(example_photo(), tmp_path / "photo.png")
    shutil.copy(short_voice, tmp_path / "voice.m4a")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 0
    assert "SyncScore" in done.stdout or "None" in done.stdout


def test_command_lines_are_accepted() -> None:
    lines = [
        line for line in code_block("sh", "-m lipsync sync").splitlines() if "-m lipsync" in line
    ]
    lines += re.findall(r"`(python -m lipsync [^`]+)`", TEXT)
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line, comments=True)
        build_parser().parse_args(words[words.index("lipsync") + 1 :])


def test_every_option_of_sync_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["sync", "--help"])
    options = set(re.findall(r"--[a-z-]{2,}", capsys.readouterr().out)) - {"--help", "--output"}
    assert options <= set(re.findall(r"--[a-z-]+", TEXT))


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", TEXT, flags=re.MULTILINE))
    assert {"run", "demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_front_matter_matches_what_is_pinned() -> None:
    front = yaml.safe_load(TEXT.split("---\n")[1])
    assert front["sdk_version"] == read_pins(REQUIREMENTS)["gradio"]
    assert front["python_version"] == "3.12"  # a string: as a number it would lose its zero
    assert (front["sdk"], front["license"]) == ("gradio", "apache-2.0")
    assert (ROOT / front["app_file"]).is_file()


def test_files_it_names_are_there() -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / name).is_file(), name
    tree = TEXT.split("```\napp.py")[1].split("```")[0]
    for name in re.findall(r"^  ([a-z_.]+(?:/[a-z]+)?/?(?: +[a-z_]+\.py)*)", tree, re.MULTILINE):
        for part in name.split():
            assert (ROOT / "lipsync" / part).exists(), part
