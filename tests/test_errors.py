"""Everything a person can hand in wrong: one sentence, exit code 2, and no file left behind.

What can be wrong with the files and options themselves stands in `bad_orders`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_orders import CASES, Desk

from lipsync.cli.commands import main

ROOT = Path(__file__).resolve().parents[1]
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def desk(
    tmp_path: Path, face_clip: Path, short_voice: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    folder, scratch = tmp_path / "desk", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    shutil.copy(face_clip, folder / "clip.mp4")
    shutil.copy(short_voice, folder / "voice.wav")
    # wherever a job keeps its own folder, it must be gone afterwards
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield Desk(folder)
    assert list(scratch.iterdir()) == []


def assert_refused(
    desk: Desk, line: list[str], pattern: str, capsys: pytest.CaptureFixture[str]
) -> str:
    before = {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(line) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    # progress may come first; the sentence is the last thing said, on one line
    sentence = shown.err.strip().splitlines()[-1]
    assert re.search(pattern, sentence), sentence
    assert "Traceback" not in shown.err
    assert sentence.endswith(".")
    assert len(sentence) > 40
    after = {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()}
    assert after == before
    return sentence


@pytest.mark.parametrize(("case", "pattern"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_one_sentence_and_nothing_left_behind(
    case: Callable[[Desk], list[str]],
    pattern: str,
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert_refused(desk, case(desk), pattern, capsys)


@pytest.mark.skipif(IS_ROOT, reason="root may read and write everything")
def test_permissions_are_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    locked = desk.folder / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    line = [*desk.line(), "-o", str(locked / "out.mp4")]
    assert_refused(desk, line, r"locked.*permission", capsys)
    secret = shutil.copy(desk.clip, desk.folder / "secret.mp4")
    secret.chmod(0)
    assert main(desk.line(video=secret)) == 2
    assert "secret.mp4 may not be read" in capsys.readouterr().err


def run_command(line: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "lipsync", *line]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, **options)


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_an_output_error(desk: Desk) -> None:
    """A quota stops the file half-way: the same thing as a full disk, and needs no rights."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = run_command(desk.line(), preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert re.search(
        r"no room left for the result in .*desk; free some space", done.stderr.splitlines()[-1]
    )
    assert sorted(path.name for path in desk.folder.iterdir()) == ["clip.mp4", "voice.wav"]


MOUNT = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = [*MOUNT, "mount -t tmpfs -o size=64k none /mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount a tiny disk")
def test_a_full_disk_is_one_sentence(desk: Desk) -> None:
    full = desk.folder / "full"
    full.mkdir()
    script = (
        'mount -t tmpfs -o size=16k none "$0" && cd "$1" && shift && "$@"; code=$?; '
        'ls -A "$0"; exit $code'
    )
    line = [*desk.line(), "-o", str(full / "out.mp4")]
    words = [*MOUNT, script, str(full), str(ROOT), sys.executable, "-m", "lipsync", *line]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert re.search(
        r"no room left for the result in .*full; free some space", done.stderr.splitlines()[-1]
    )
    assert done.stdout == ""  # `ls` found nothing on the little disk


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for line in (["sync", "only-one"], ["nonsense"], ["sync", "a", "b", "-o", "c", "--face", "0"]):
        with pytest.raises(SystemExit) as refused:
            main(line)
        assert refused.value.code == 2
        assert "Traceback" not in capsys.readouterr().err


def test_hostile_names_are_harmless(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spaces, quotes, semicolons, substitutions, emoji, percent signs, a leading dash and `..`."""
    monkeypatch.chdir(desk.folder)
    (desk.folder / "in side").mkdir()
    clip = Path("-a b'c\"d;e$(touch pwned)`touch pwned`%03d.mp4")
    voice = Path("in side/../-🎙️ http:\\\\x;&|*?.wav")
    out = Path("-önly one %d 'x'; touch pwned.mp4")
    desk.clip.rename(clip)
    desk.voice.rename(voice)
    assert main(["sync", f"--output={out}", "--", str(clip), str(voice)]) == 0, capsys.readouterr()
    assert out.stat().st_size > 0
    names = {path.name for path in desk.folder.iterdir()}
    assert names == {clip.name, voice.name, out.name, "in side"}
