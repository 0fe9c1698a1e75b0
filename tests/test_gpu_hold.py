"""Memory is really taken, by real processes, and really given back, however they end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch

from lipsync.cli.gpu import describe_loss
from lipsync.device import choose_device, free_memory
from lipsync.gpu.hold import Held, Lost, hold_devices, reserve

pytestmark = pytest.mark.slow  # each takes seconds

ROOT = Path(__file__).resolve().parents[1]
WANTED = 64_000_000

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of processes in /proc")


def share_of(size: int) -> float:
    """Return the share of the free memory that is about `size` bytes."""
    free = free_memory(torch.device("cpu"))
    assert free is not None
    return size / free


def resident(process: int) -> int:
    """Return the bytes of real memory a process has; 0 for one that has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmRSS:\s+(\d+)", text)
    return 1024 * int(found[1]) if found else 0


def wait_until(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < until
        time.sleep(0.02)


@linux
def test_each_device_is_held_until_it_ends() -> None:
    """Three holders: one never opens its device, one is killed, one goes on until told to end."""
    with closing(hold_devices(["cpu", "cuda:77", "cpu:0"], share_of(WANTED))) as events:
        told = [next(events) for _ in range(3)]
        assert {one.device for one in told} == {"cpu", "cuda:77", "cpu:0"}
        (lost,) = (one for one in told if isinstance(one, Lost))
        assert lost.device == "cuda:77"
        assert lost.error or lost.exit_code == 1
        first, second = (one for one in told if isinstance(one, Held))
        for held in (first, second):
            assert WANTED / 2 < held.size < WANTED * 2  # free memory moves while others work
            assert held.size < resident(held.process)
        os.kill(second.process, signal.SIGINT)  # Ctrl-C is the starter's business
        os.kill(first.process, signal.SIGKILL)
        assert next(events) == Lost(first.device, None, -signal.SIGKILL)
        assert resident(second.process) > second.size
    assert resident(second.process) == 0


def start_holding() -> tuple[subprocess.Popen[str], int]:
    """Start a command that holds the processor; return it and its holder's number."""
    code = (
        "import lipsync.__main__ as entry, signal, sys;"
        "signal.signal(signal.SIGTERM, entry._stop);"
        # a shell's background job, as tests may be, is deaf to it otherwise
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from lipsync.cli.gpu import hold_until_stopped;"
        f"sys.exit(hold_until_stopped(['cpu'], {share_of(WANTED)}, None))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.fullmatch(
        r"cpu: \S+ MB held of \S+ GB that were free, busy for 2% of the time, process (\d+);"
        r" Ctrl-C frees it\n",
        said,
    )
    assert found, (said, process.communicate(timeout=30))
    return process, int(found[1])


@linux
def test_no_holder_outlives_its_starter() -> None:
    process, holder = start_holding()
    assert resident(holder) > WANTED / 2
    process.kill()
    process.communicate(timeout=30)
    wait_until(lambda: resident(holder) == 0)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_frees_all(number: int) -> None:
    process, holder = start_holding()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "All memory is free again.\n", "")
    assert resident(holder) == 0


@linux
@pytest.mark.slow
def test_time_over_ends_it() -> None:
    assert list(hold_devices(["cpu"], share_of(WANTED), 0.0)) == []
    (held,) = hold_devices(["cpu"], share_of(WANTED), 15.0)
    assert isinstance(held, Held)
    assert resident(held.process) == 0


def test_reserved_is_what_was_asked_for() -> None:
    blocks = reserve(torch.device("cpu"), 3_000_001)
    assert sum(map(len, blocks)) == 3_000_001
    assert reserve(torch.device("cpu"), 0) == []


def test_a_loss_is_one_line() -> None:
    assert describe_loss(Lost("cuda:1", "out of memory", None)) == (
        "cuda:1 cannot be held: out of memory"
    )
    killed = describe_loss(Lost("cuda:1", None, -9))
    assert killed == "cuda:1 is held no more: its process was ended by signal 9"
    assert describe_loss(Lost("cuda:0", None, 1)).endswith("exit code 1")


@pytest.mark.gpu
def test_a_card_is_held_and_free_again() -> None:
    card = choose_device("cuda")
    before = free_memory(card)
    assert before is not None
    with closing(hold_devices([str(card)], 0.5)) as events:
        held = next(events)
        assert isinstance(held, Held)
        assert held.size == pytest.approx(held.free / 2, rel=0.01)
        during = free_memory(card)
        assert during is not None
        assert before - during >= held.size
    after = free_memory(card)
    assert after is not None
    assert after > before - 100_000_000
