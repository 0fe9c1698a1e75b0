"""Errands: downloads in the background, one at a time for a checkpoint, seen and stopped by all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from weights_fixtures import CONTENT, hidden_files, hub_checkpoint, make_store
from weights_server import Fault, WeightsServer, serve_weights

from lipsync.errors import InputError
from lipsync.ui.errands import Errand, Errands
from lipsync.weights import Located, ModelStore, PullStep

PATIENCE = 20.0  # s that a wait may take on a busy machine; usually it is over at once


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serve_weights() as running:
        yield running


@pytest.fixture
def store(server: WeightsServer, tmp_path: Path) -> ModelStore:
    other = hub_checkpoint(server, "other")
    return make_store(tmp_path, server, hub_checkpoint(server), other)


@pytest.fixture
def errands(server: WeightsServer, store: ModelStore) -> Iterator[Errands]:
    with closing(Errands(store)) as made:
        yield made
        server.released.set()


def await_truth(tell: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not tell():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.005)


def await_end(errands: Errands, key: str = "tiny") -> Errand:
    await_truth(lambda: not errands.is_any_running())
    found = errands.find(key)
    assert found is not None
    return found


def await_bytes(errands: Errands, key: str = "tiny") -> Errand:
    """Wait until something of the file has arrived, and return how its errand stands."""

    def has_some() -> bool:
        found = errands.find(key)
        return found is not None and found.step is not None and found.step.done > 0

    await_truth(has_some)
    found = errands.find(key)
    assert found is not None
    return found


def test_a_fetch_ends_with_the_checkpoint_here(errands: Errands, store: ModelStore) -> None:
    assert errands.find("tiny") is None
    errands.begin("tiny", "fetch")
    assert await_end(errands) == Errand("fetch", "done")
    assert store.locate("tiny").path.read_bytes() == CONTENT


def test_nobody_waits_and_a_second_wish_changes_nothing(
    errands: Errands, server: WeightsServer
) -> None:
    server.faults = [Fault(stall_after=20_000)]
    errands.begin("tiny", "fetch")
    errands.begin("tiny", "fetch")  # another visitor
    errands.begin("tiny", "verify")
    found = await_bytes(errands)
    assert (found.kind, found.is_running, found.is_stopping) == ("fetch", True, False)
    assert found.share is not None
    assert 0 < found.share < 1
    errands.begin("other", "fetch")  # which does not wait for the first
    await_truth(lambda: errands.find("other") == Errand("fetch", "done"))
    assert errands.is_any_running()
    assert len(server.gets()) == 2


def test_what_was_stopped_goes_on_from_there(
    errands: Errands, server: WeightsServer, store: ModelStore, tmp_path: Path
) -> None:
    server.faults = [Fault(slow=0.02)]
    errands.begin("tiny", "fetch")
    await_bytes(errands)
    errands.stop("tiny")
    found = errands.find("tiny")
    assert found is not None
    assert found.is_stopping or not found.is_running
    assert await_end(errands) == Errand("fetch", "stopped")
    assert store.state("tiny").kind == "partial"
    assert len(hidden_files(tmp_path / "tiny")) == 1
    errands.begin("tiny", "fetch")
    assert await_end(errands).outcome == "done"
    assert server.gets()[-1].range is not None


def test_trouble_is_kept_as_the_stores_sentence(errands: Errands, server: WeightsServer) -> None:
    server.files.clear()
    errands.begin("tiny", "fetch")
    found = await_end(errands)
    assert found.outcome == "failed"
    assert found.trouble is not None
    assert found.trouble.endswith(".")
    errands.begin("tiny", "verify")  # what comes next takes its place
    assert "is not on this machine" in str(await_end(errands).trouble)


def test_a_wrong_byte_is_found_by_verifying(errands: Errands, store: ModelStore) -> None:
    errands.begin("tiny", "fetch")
    await_end(errands)
    errands.begin("tiny", "verify")
    assert await_end(errands) == Errand("verify", "done")
    store.locate("tiny").path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    errands.begin("tiny", "verify")
    assert "is damaged" in str(await_end(errands).trouble)


class BrokenStore(ModelStore):
    """A store with a bug."""

    def pull(self, key: str) -> Generator[PullStep, None, Located]:
        yield PullStep("ask", "net.pt", 0, len(key) // 0)
        raise AssertionError("the bug is above")


def test_a_bug_is_told_from_trouble(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: logged.append(told.exc_type))
    errands = Errands(BrokenStore(tmp_path, checkpoints=store.checkpoints))
    errands.begin("tiny", "fetch")
    assert await_end(errands) == Errand("fetch", "broken")
    await_truth(lambda: logged == [ZeroDivisionError])


def test_what_is_being_fetched_is_not_deleted(
    errands: Errands, server: WeightsServer, store: ModelStore
) -> None:
    server.faults = [Fault(slow=0.02)]
    errands.begin("tiny", "fetch")
    await_bytes(errands)
    with pytest.raises(InputError, match="stop that first"):
        errands.remove("tiny")
    errands.stop("tiny")
    await_end(errands)
    assert errands.remove("tiny") > 0
    assert errands.find("tiny") is None
    assert store.state("tiny").kind == "absent"


def test_an_unknown_checkpoint_is_refused(errands: Errands) -> None:
    for act in (lambda: errands.begin("../x", "fetch"), lambda: errands.remove("../x")):
        with pytest.raises(InputError, match="no model called"):
            act()
    errands.stop("../x")


def test_closing_ends_what_runs(server: WeightsServer, store: ModelStore) -> None:
    server.faults = [Fault(slow=0.02)]
    errands = Errands(store)
    errands.begin("tiny", "fetch")
    await_bytes(errands)
    errands.close()
    assert not errands.is_any_running()


def test_time_left_follows_the_rate() -> None:
    step = PullStep("fetch", "net.pt", 25, 100)
    assert Errand("fetch", step=step, rate=5.0).seconds_left == 15
    assert Errand("fetch", step=step).seconds_left is None
    assert Errand("fetch", step=PullStep("ask", "net.pt", 0, 100)).share is None
    assert Errand("fetch", step=PullStep("fetch", "net.pt", 5, None), rate=5.0).seconds_left is None
