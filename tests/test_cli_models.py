"""``models`` as people run it: real processes, a real server, and a kill in the middle."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from weights_fixtures import CONTENT, hub_checkpoint, make_store
from weights_server import Fault, WeightsServer, serve_weights

from lipsync.cli import models
from lipsync.cli.commands import main
from lipsync.cli.models import describe_step
from lipsync.steps import exhaust
from lipsync.weights import CHECKPOINTS, Checkpoint, PullStep

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serve_weights() as running:
        yield running


@pytest.fixture
def row(server: WeightsServer) -> Checkpoint:
    return hub_checkpoint(server)


@pytest.fixture
def folder(
    server: WeightsServer, row: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of commands run in this process; their table is `row` alone."""
    made = partial(make_store, tmp_path / "models", server, row)
    monkeypatch.setattr(models, "ModelStore", made)
    return tmp_path / "models"


class Commands:
    """Runs ``python -m lipsync`` in processes whose table is one row of the test's."""

    def __init__(self, server: WeightsServer, row: Checkpoint, cache: Path) -> None:
        self.file = cache / "lipsync-studio/models/tiny/net.pt"
        # a dataclass prints itself as the code that makes it
        self._code = (
            "import sys; from functools import partial;"
            "from lipsync.weights import *; from lipsync.cli import models;"
            f"models.ModelStore = partial(ModelStore, checkpoints=[{row!r}]);"
            "from lipsync.cli.commands import main; sys.exit(main(sys.argv[1:]))"
        )
        self.environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(cache),
            "HF_ENDPOINT": server.endpoint,
            "HF_HUB_DOWNLOAD_TIMEOUT": "20",
        }
        self.environment.pop("LIPSYNC_MODELS", None)

    def prepend(self, code: str) -> None:
        """Run `code` first in every process."""
        self._code = code + self._code

    def line(self, *words: str) -> list[str]:
        return [sys.executable, "-c", self._code, "models", *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.line(*words),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def arrived(self) -> int:
        return sum(part.stat().st_size for part in self.file.parent.glob(".net.pt.*.part"))

    def start_and_wait_for(self, count: int) -> subprocess.Popen[str]:
        """Start a pull and return when `count` bytes of it lie on the disk."""
        process = self.start("pull", "tiny")
        until = time.monotonic() + 60
        while self.arrived() < count:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        return process


@pytest.fixture
def commands(server: WeightsServer, row: Checkpoint, tmp_path: Path) -> Commands:
    return Commands(server, row, tmp_path)


def test_a_killed_pull_goes_on_and_is_checked(server: WeightsServer, commands: Commands) -> None:
    server.faults = [Fault(stall_after=20_000)]
    process = commands.start_and_wait_for(20_000)
    process.kill()
    assert process.wait(120) == -signal.SIGKILL
    process.communicate()
    assert not commands.file.exists()
    code, out, err = commands.run("pull", "tiny")
    assert code == 0, err
    assert out.splitlines() == [
        f"Tiny net: 40 kB into {commands.file.parent}",
        "licence: Test licence. Do as you like.",
        f"tiny: {commands.file}",
    ]
    assert "fetching net.pt" in err
    assert [one.range for one in server.gets()] == [None, "bytes=20000-"]
    assert commands.file.read_bytes() == CONTENT


def test_a_killed_pull_whose_part_was_damaged_is_refused(
    server: WeightsServer, commands: Commands
) -> None:
    server.faults = [Fault(stall_after=20_000)]
    process = commands.start_and_wait_for(20_000)
    process.kill()
    process.communicate()
    part = next(commands.file.parent.glob(".net.pt.*.part"))
    part.write_bytes(b"\0" * 20_000)
    code, _, err = commands.run("pull", "tiny")
    assert code == 2
    assert "arrived damaged" in err
    assert not commands.file.exists()
    assert commands.run("pull", "tiny")[0] == 0
    assert commands.file.read_bytes() == CONTENT


def test_an_interrupted_pull_says_what_is_kept(server: WeightsServer, commands: Commands) -> None:
    server.faults = [Fault(stall_after=20_000)]
    # what a shell starts in the background, as tests may be, is deaf to it otherwise
    commands.prepend("import signal; signal.signal(signal.SIGINT, signal.default_int_handler);")
    process = commands.start_and_wait_for(20_000)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "what arrived is kept: `models pull tiny` goes on from there." in err
    assert "Traceback" not in err
    assert commands.arrived() == 20_000


def test_two_processes_fetch_it_once(server: WeightsServer, commands: Commands) -> None:
    server.faults = [Fault(slow=0.05)]
    both = [commands.start("pull", "tiny"), commands.start("pull", "tiny")]
    for process in both:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert commands.file.read_bytes() == CONTENT
    assert server.sent == len(CONTENT)


def test_a_disk_that_takes_no_more_is_said_and_the_part_kept(
    server: WeightsServer, commands: Commands
) -> None:
    """Files may not grow beyond 16 kB here, which the system reports as it does a full disk."""
    commands.prepend("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (16000, -1));")
    code, _, err = commands.run("pull", "tiny")
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"{commands.file.parent} cannot be written to (File too large)")
    assert not commands.file.exists()
    assert commands.arrived() == 16_000


def test_offline_is_respected(server: WeightsServer, commands: Commands) -> None:
    commands.environment["HF_HUB_OFFLINE"] = "1"
    code, _, err = commands.run("pull", "tiny")
    assert code == 2
    assert err.strip().endswith("put the files into the folder LIPSYNC_MODELS names.")
    assert server.asked == []


def test_a_person_is_asked_first(server: WeightsServer, commands: Commands) -> None:
    """On a terminal only; the licence is read before the answer is given."""
    terminal, far_end = pty.openpty()
    process = subprocess.Popen(
        commands.line("pull", "tiny"),
        cwd=ROOT,
        env=commands.environment,
        stdin=far_end,
        stdout=far_end,
        stderr=far_end,
    )
    os.close(far_end)
    said = b""
    while b"[Y/n]" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, b"n\n")
    assert process.wait(120) == 0
    assert b"licence: Test licence. Do as you like." in said
    os.close(terminal)
    assert server.asked == []


def test_the_list_holds_every_row_and_its_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LIPSYNC_MODELS", str(tmp_path / "own"))
    own = tmp_path / "own/whisper-tiny"
    own.mkdir(parents=True)
    (own / "tiny.pt").write_bytes(b"stand-in")
    assert main(["models", "list", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["folder"] == str(tmp_path / "lipsync-studio/models")
    listed = {one["name"]: one for one in report["models"]}
    assert list(listed) == [row.key for row in CHECKPOINTS]
    assert listed["whisper-tiny"]["state"] == "own"
    assert listed["whisper-tiny"]["folder"] == str(own)
    assert listed["latentsync-1.6"]["state"] == "absent"
    assert listed["latentsync-1.6"]["bytes_to_fetch"] == 5_072_222_488
    assert listed["wav2lip"]["licence"]["allows_commercial"] is False
    assert listed["latentsync-1.6"]["sources"][0]["repository"] == "ByteDance/LatentSync-1.6"
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    assert all(row.key in text and row.licence.meaning in text for row in CHECKPOINTS)
    assert "5.07 GB" in text
    assert "your own" in text


def test_path_prints_where_it_lies_or_how_to_get_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "path", "tiny"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "`python -m lipsync models pull tiny`" in shown.err
    assert main(["models", "pull", "tiny", "--yes"]) == 0
    capsys.readouterr()
    assert main(["models", "path", "tiny"]) == 0
    assert capsys.readouterr().out == f"{folder / 'tiny/net.pt'}\n"


@pytest.mark.parametrize("kind", ["pull", "verify", "rm", "path"])
def test_an_unknown_name_does_nothing(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", kind, "huge"]) == 2
    assert "no model called 'huge'; choose one of: tiny." in capsys.readouterr().err
    assert not folder.exists()


def test_a_list_of_names_is_checked_before_the_first_is_fetched(
    folder: Path, server: WeightsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", "tiny", "huge"]) == 2
    assert server.asked == []


def test_verify_names_what_is_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify"]) == 0
    assert "No model is here yet" in capsys.readouterr().out
    assert main(["models", "pull", "tiny"]) == 0
    capsys.readouterr()
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out == "tiny: whole\n"
    path = folder / "tiny/net.pt"
    path.write_bytes(CONTENT[:-1] + b"x")
    assert main(["models", "verify"]) == 2
    assert f"{path} is damaged" in capsys.readouterr().out
    assert main(["models", "verify", "tiny", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)["models"]
    assert found[0]["name"] == "tiny"
    assert "`python -m lipsync models pull tiny`" in found[0]["fault"]
    assert main(["models", "pull", "tiny"]) == 0
    assert main(["models", "verify", "--json"]) == 0


def test_rm_frees_and_says_how_much(
    folder: Path, server: WeightsServer, row: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    exhaust(make_store(folder, server, row).pull("tiny"))
    assert main(["models", "rm", "tiny"]) == 0
    assert capsys.readouterr().out == "tiny: 40 kB freed\n"
    assert main(["models", "rm", "tiny"]) == 0
    assert capsys.readouterr().out == "tiny: nothing to delete\n"


def test_one_line_says_how_far_it_is() -> None:
    step = PullStep("fetch", "net.pt", 1_500_000_000, 5_072_222_488, 190.0)
    assert describe_step(step) == "fetching net.pt 1.5 GB of 5.07 GB (29 %)  3 min 10 s left"
    assert describe_step(PullStep("fetch", "net.pt", 547)) == "fetching net.pt 547 B"
    told = describe_step(PullStep("wait", "net.pt"), bar=False)
    assert told == "waiting for another process that fetches net.pt"
