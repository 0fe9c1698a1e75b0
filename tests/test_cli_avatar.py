"""``python -m lipsync avatar``, run for real; killed in the middle; two at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_ffmpeg
from kept_avatars import copy_home, count_work, files_of, parts_of

from lipsync.avatar.store import AvatarStore
from lipsync.cli.commands import main
from lipsync.cli.progress import STAGES
from lipsync.example import example_voice

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_ffmpeg("-i", example_voice(), "-t", 0.4, tmp_path_factory.mktemp("s") / "voice.wav")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, face_clip: Path) -> Path:
    """A home in which the command has created the avatar "My Face"."""
    place = tmp_path_factory.mktemp("avatars") / "home"
    line = ["avatar", "create", "My Face", "--video", str(face_clip), "--home", str(place)]
    assert main(line) == 0
    return place


@pytest.fixture
def in_home(home: Path) -> list[str]:
    return ["--home", str(home)]


def test_create_tells_what_was_made(
    home: Path, face_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = copy_home(home, tmp_path / "home")
    line = ["avatar", "create", "my face", "--video", str(face_clip), "--home", str(store.home)]
    assert main(line) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("My Face: 320 x 320 px, 1.00 s, prepared for draft, ")
    assert STAGES["check"] in shown.err
    assert main([*line, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "My Face"
    assert told["engines"] == ["draft"]
    assert told["size"] == {"width": 320, "height": 320}
    assert Path(told["video"]).is_file()


def test_speak_writes_the_file_and_looks_for_nothing(
    in_home: list[str],
    said: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = count_work(monkeypatch)
    out = tmp_path / "out.mp4"
    line = ["avatar", "speak", "MY FACE", "--audio", str(said), "-o", str(out), *in_home]
    chosen = ["--preset", "draft", "--set", "amplitude=1.2"]
    assert main([*line, "--no-score", "--json", *chosen]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["output"], report["frames"]) == (str(out), 10)
    assert report["settings"]["engine_settings"]["amplitude"] == 1.2
    assert out.is_file()
    assert counted.take() == (0, 0)


def test_sync_knows_the_avatars_of_the_usual_home(
    home: Path,
    face_clip: Path,
    said: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIPSYNC_HOME", str(home))
    counted = count_work(monkeypatch)
    assert (
        main(["sync", str(face_clip), str(said), "-o", str(tmp_path / "o.mp4"), "--no-score"]) == 0
    )
    assert counted.take() == (0, 0)
    assert "10 frames" in capsys.readouterr().out


def test_list_and_rm_tell_people_and_programs(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = copy_home(home, tmp_path / "home")
    where = ["--home", str(store.home)]
    assert main(["avatar", "list", *where]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].startswith("My Face: 320 x 320 px")
    assert shown.err == ""
    short = next(
        part / "codes.npy" for part in parts_of(store.get("My Face")) if "faces" in str(part)
    )
    short.write_bytes(b"")
    assert main(["avatar", "list", *where]) == 0
    shown = capsys.readouterr()
    assert "My Face" not in shown.out
    assert "The avatar My Face is damaged" in shown.err
    assert main(["avatar", "list", "--json", *where]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["avatars"] == []
    assert told["folder"] == str(store.folder)
    assert "codes.npy" in told["troubles"][0]
    assert main(["avatar", "rm", "my face", *where]) == 0
    assert capsys.readouterr().out.startswith("My Face: removed, ")
    assert files_of(store.home) == []
    assert main(["avatar", "list", *where]) == 0
    assert "There is no avatar yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["rm", "Nobody"], "There is no avatar called 'Nobody'; choose one of: My Face."),
        (["speak", "../x", "--audio", "v.wav", "-o", "o.mp4"], "cannot be an avatar's name"),
        (["create", "a/b", "--video", "v.mp4"], "There is no file v.mp4"),
        (["create", "New", "--video", "v.mp4", "--engine", "none"], "no engine called 'none'"),
    ],
    ids=["unknown", "path", "no file", "no engine"],
)
def test_what_cannot_be_done_is_one_sentence(
    line: list[str],
    sentence: str,
    in_home: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["avatar", *line, *in_home]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def start(name: str, clip: Path, home: Path) -> subprocess.Popen[str]:
    words = ["avatar", "create", name, "--video", str(clip), "--home", str(home)]
    return subprocess.Popen(
        [sys.executable, "-m", "lipsync", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["check", "copy", "faces", "align"])
def test_a_killed_create_is_never_listed_and_can_be_run_again(
    stage: str, gap_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("Ada", gap_clip, tmp_path)
    assert process.stderr is not None
    words = STAGES[stage]
    while (said := process.stderr.readline()) and not said.startswith(words):
        pass
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, f"{stage}: the avatar was made too soon"
    store = AvatarStore(tmp_path)
    assert main(["avatar", "list", "--home", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["avatars"] == told["troubles"] == []
    again = start("Ada", gap_clip, tmp_path)
    _, complaint = again.communicate()
    assert again.returncode == 0, complaint
    (avatar,) = store.list()
    assert store.troubles() == ()
    assert avatar.video.read_bytes() == gap_clip.read_bytes()
    assert list((store.folder / "building").iterdir()) == []
    assert [folder.name for folder in (store.folder / "clips").iterdir()] == [avatar.key]


@pytest.mark.slow
def test_two_processes_create_at_once(gap_clip: Path, face_clip: Path, tmp_path: Path) -> None:
    """The same clip under two names, and another one, into one home."""
    jobs = [("Ada", gap_clip), ("Beth", gap_clip), ("Cleo", face_clip), ("ADA", gap_clip)]
    running = [start(name, clip, tmp_path) for name, clip in jobs]
    for process in running:
        _, complaint = process.communicate()
        assert process.returncode == 0, complaint
    store = AvatarStore(tmp_path)
    assert sorted(avatar.name.casefold() for avatar in store.list()) == ["ada", "beth", "cleo"]
    assert store.troubles() == ()
    assert len(list((store.folder / "clips").iterdir())) == 2
    assert list((store.folder / "building").iterdir()) == []
