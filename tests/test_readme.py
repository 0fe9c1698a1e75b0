"""What the README promises must run as it stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from served_api import ServedApi, serve_api

from lipsync.cli.arguments import build_parser
from lipsync.doctor import REQUIREMENTS, read_pins
from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.example import example_photo
from lipsync.presets import load_presets
from lipsync.ui.hosting import read_deployment

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MEGABYTE = 2**20


def code_block(language: str, word: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    return next(block for block in blocks if word in block)


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def run(words: list[str], folder: Path, **variables: str) -> str:
    """Return what the command prints; it must succeed."""
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    with serve_api(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path, face_clip: Path, short_voice: Path) -> Path:
    """A folder with the files that the README names; a shorter sentence keeps the tests quick."""
    shutil.copy(example_photo(), tmp_path / "photo.png")
    shutil.copy(short_voice, tmp_path / "voice.m4a")
    shutil.copy(face_clip, tmp_path / "talk.mp4")
    shutil.copy(short_voice, tmp_path / "voice.wav")
    return tmp_path


def test_python_use_takes_six_lines_and_works(folder: Path) -> None:
    code = code_block("python", "LipSyncPipeline")
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    said = run([sys.executable, "-c", code], folder, PYTHONPATH=str(ROOT))
    assert (folder / "out.mp4").stat().st_size > 0
    assert "SyncScore" in said or "None" in said


def test_python_client_works(api: ServedApi, folder: Path) -> None:
    code = code_block("python", "gradio_client").replace("http://127.0.0.1:7860", api.url)
    said = run([sys.executable, "-c", code], folder, GRADIO_TEMP_DIR=str(folder / "got"))
    *_, last = said.splitlines()
    assert last.split()[0].endswith("talk-synced.mp4")
    assert "'judge': 'correlate'" in last
    assert last.endswith(" good")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_plain_http_works(api: ServedApi, folder: Path) -> None:
    code = code_block("sh", "curl").replace("http://127.0.0.1:7860/", api.url)
    *_, name, data = (line for line in run(["sh", "-c", code], folder).splitlines() if line)
    assert name == "event: complete"
    video, record = json.loads(data.removeprefix("data: "))
    with urllib.request.urlopen(video["url"], timeout=30) as answer:
        assert answer.read() == (folder / "talk.mp4").read_bytes()
    assert record["score"]["judge"] == "correlate"


def test_command_lines_are_accepted() -> None:
    lines = [
        line for line in code_block("sh", "-m lipsync sync").splitlines() if "-m lipsync" in line
    ]
    lines += re.findall(r"`(python -m lipsync [^`]+)`", TEXT)
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line, comments=True)
        build_parser().parse_args(words[words.index("lipsync") + 1 :])


@pytest.mark.parametrize("command", ["sync", "score"])
def test_every_option_is_in_the_table(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args([command, "--help"])
    options = set(re.findall(r"--[a-z-]{2,}", capsys.readouterr().out)) - {"--help", "--output"}
    within = section("Use it from the command line").split(f"| option of `{command}` |")[1]
    table = "".join(re.findall(r"^\| `--.*", within.split("\n\n")[0], re.MULTILINE))
    assert options <= set(re.findall(r"--[a-z-]+", table))


def test_example_of_a_preset_loads(tmp_path: Path) -> None:
    (tmp_path / "whisper.yaml").write_text(code_block("yaml", "# whisper.yaml"), encoding="utf-8")
    (preset,), problems = load_presets([tmp_path], make_settings)
    assert problems == []
    assert (preset.title, preset.title_in("zh-CN")) == ("Whisper", "耳语")
    settings = make_settings(preset.engine, preset.settings)
    assert (settings.amplitude, settings.width) == (0.5, 0.8)


def test_bounds_of_the_settings_are_those_of_the_engine() -> None:
    stated = re.findall(r"`(\w+)` \([^)]*?([\d.]+) to ([\d.]+)\)", section("Presets"))
    assert {name for name, *_ in stated} == set(vars(make_settings("draft", {})))
    for name, low, high in stated:
        for bound in (low, high):
            make_settings("draft", {name: bound})
        for beyond in (float(low) - 0.1, float(high) + 0.1):
            with pytest.raises(InputError, match=name):
                make_settings("draft", {name: beyond})


@pytest.mark.parametrize("title", ["LatentSync", "Wav2Lip"])
def test_every_setting_of_an_engine_is_in_its_table(title: str) -> None:
    table = "".join(re.findall(r"^\| `.*?\|", section(title), re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", table)) == set(vars(make_settings(title.lower(), {})))


def test_limits_of_a_host_are_those_stated() -> None:
    said = section("Host it")
    deployment, own = read_deployment({"LIPSYNC_HOSTED": "1"}), read_deployment({})
    assert f"{deployment.max_seconds:.0f} seconds" in said
    assert f"{deployment.max_upload // MEGABYTE} MB each" in said
    assert f"an hour and {own.max_upload // MEGABYTE} MB" in said
    assert own.max_seconds == 3600
    assert read_deployment({"LIPSYNC_MAX_SECONDS": "21600"}).max_seconds == 21600


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", TEXT, flags=re.MULTILINE))
    assert {"run", "demo", "test", "screenshots"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_front_matter_matches_what_is_pinned() -> None:
    front = yaml.safe_load(TEXT.split("---\n")[1])
    assert front["sdk_version"] == read_pins(REQUIREMENTS)["gradio"]
    assert front["python_version"] == "3.12"  # a string: as a number it would lose its zero
    assert (front["sdk"], front["license"]) == ("gradio", "apache-2.0")
    assert (ROOT / front["app_file"]).is_file()


def test_files_it_names_are_there() -> None:
    named = re.findall(r"\]\(([^)#:]+)\)", TEXT) + re.findall(r'src(?:set)?="([^"]+)"', TEXT)
    assert any(name.endswith(".png") for name in named)
    for name in named:
        assert (ROOT / name).is_file(), name


def test_tree_names_what_is_there() -> None:
    tree = TEXT.split("```\napp.py")[1].split("```")[0]
    name = r"[a-z_]+(?:\.py|\.css|/(?:[a-z]+/)?)"
    listed = re.findall(rf"^(  (?:  )?)({name}(?: +{name})*)", tree, re.MULTILINE)
    assert len(listed) > 15
    for indent, names in listed:
        within = ROOT / "lipsync" if len(indent) == 2 else ROOT / "lipsync" / "ui"
        for part in names.split():
            assert (within / part).exists(), part


def test_pictures_are_small_and_all_are_shown() -> None:
    pictures = list((ROOT / "assets" / "screenshots").iterdir())
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 300_000, picture.name
        assert f"assets/screenshots/{picture.name}" in TEXT
