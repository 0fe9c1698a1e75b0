"""The commands, run for real on small files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest

from lipsync.cli.commands import main
from lipsync.cli.job import choose_preset
from lipsync.engines import make_settings
from lipsync.errors import InputError
from lipsync.presets import PRESETS_FOLDER, load_presets

ROOT = Path(__file__).resolve().parents[1]


def test_sync_prints_one_json_object_and_writes_the_file(
    tmp_path: Path, face_clip: Path, short_voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    line = ["sync", str(face_clip), str(short_voice), "-o", str(out), "--json"]
    assert main([*line, "--fit", "hold", "--fps", "30", "--seed", "5"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["output"] == str(out)
    assert (report["frames"], report["fps"]) == (36, 30.0)
    assert report["size"] == {"width": 320, "height": 320}
    assert report["settings"]["fit"] == "hold"
    assert report["settings"]["seed"] == 5
    assert report["settings"]["preset"] == "draft"
    assert {"faces", "voice", "generate", "score"} <= set(report["timings_seconds"])
    if report["score"] is None:
        assert report["score_reason"]
    else:
        assert 0 <= report["score"]["confidence"] <= 1
        assert report["score"]["judge"]
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 36
    # stderr is no terminal here: a few plain lines, nothing redrawn
    assert "moving the mouth" in shown.err
    assert "\r" not in shown.err


def test_sync_talks_to_people_too(
    tmp_path: Path, face_clip: Path, short_voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert main(["sync", str(face_clip), str(short_voice), "-o", str(out), "--no-score"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{out}: 30 frames, 320 x 320 px, 25 fps, 1.20 s"
    assert lines[1] == "no score: scoring was switched off"


def test_sync_makes_a_part_with_a_mark_and_a_hard_edge(
    tmp_path: Path, face_clip: Path, short_voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    line = ["sync", str(face_clip), str(short_voice), "-o", str(out), "--json", "--no-score"]
    assert main([*line, "--part", "0.4:0.4", "--softness", "0.2", "--mark"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["clip"], report["voice"]) == (str(face_clip), str(short_voice))
    assert (report["frames"], report["duration_seconds"]) == (10, 0.4)
    settings = report["settings"]
    assert (settings["part"], settings["softness"], settings["mark"]) == ([0.4, 0.4], 0.2, True)


def test_score_judges_a_clip_against_a_voice(
    tmp_path: Path, face_clip: Path, short_voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A still portrait has no lip movement: the sentence says so, or a score is printed."""
    code = main(["score", str(face_clip), "--audio", str(short_voice), "--json"])
    shown = capsys.readouterr()
    if code == 0:
        assert json.loads(shown.out)["score"]["judge"]
    else:
        assert code == 2
        assert shown.err.strip().endswith(".")


def test_presets_say_what_they_lack(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(["presets"]) == 0
    wanted = "fetch: python -m lipsync models pull latentsync-1.6 sd-vae-ft-mse whisper-tiny"
    assert wanted in capsys.readouterr().out
    (tmp_path / "whisper-tiny").mkdir()
    (tmp_path / "whisper-tiny" / "tiny.pt").write_bytes(b"here")
    monkeypatch.setenv("LIPSYNC_MODELS", str(tmp_path))
    assert main(["presets", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)["presets"]}
    assert listed["draft"]["absent"] == []
    assert listed["latentsync-1.6-hd"]["absent"] == ["latentsync-1.6", "sd-vae-ft-mse"]


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["presets"]
    assert listed[0]["name"] == "draft"
    assert main(["presets"]) == 0
    text = capsys.readouterr().out
    assert all(preset["name"] in text for preset in listed)


def test_the_first_preset_is_the_default() -> None:
    presets, _ = load_presets([PRESETS_FOLDER], make_settings)
    assert choose_preset(None) == presets[0]
    assert choose_preset(presets[1].name) == presets[1]
    with pytest.raises(InputError, match="choose one of"):
        choose_preset("nothing")


def test_presets_of_the_user_can_be_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("title: Mine\nsentence: My own.\nengine: draft\n")
    monkeypatch.setenv("LIPSYNC_PRESETS", str(tmp_path))
    assert choose_preset("mine").title == "Mine"
    assert main(["presets"]) == 0
    assert "Mine: My own." in capsys.readouterr().out


def test_a_fault_of_ours_keeps_its_traceback_and_exits_with_1(
    tmp_path: Path, face_clip: Path, short_voice: Path
) -> None:
    """A broken installation is nothing the user did: here the bundled numbers are missing."""
    code = (
        "import lipsync.assets as a, sys, pathlib;"
        f"a.ASSETS = pathlib.Path({str(tmp_path)!r});"
        "from lipsync.cli.commands import main;"
        f"sys.exit(main(['sync', {str(face_clip)!r}, {str(short_voice)!r},"
        f" '-o', {str(tmp_path / 'out.mp4')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "reinstall" in done.stderr
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    "words",
    [["bench", "draft"], ["bench", "latentsync"], ["bench", "media"], ["train", "articulation"]],
    ids="-".join,
)
def test_measuring_and_fitting_read_their_own_options(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.slow
def test_demo_runs_from_the_entry_point(tmp_path: Path) -> None:
    out = tmp_path / "new" / "demo.mp4"
    done = subprocess.run(
        [sys.executable, "-m", "lipsync", "demo", "-o", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sync confidence" in done.stdout
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == round(5.06 * 25)
