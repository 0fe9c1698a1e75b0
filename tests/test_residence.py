"""Parts of models: loaded once for all who need them, kept while used, and let go of."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import torch
from torch import nn

from lipsync.residence import Residence
from lipsync.weights import ModelStore

PATIENCE = 20.0  # s that a wait may take on a busy machine; usually it is over at once


class Small(nn.Module):
    """A module with three weights of one dtype, and buffers of others."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 3, dtype=torch.float16))
        self.register_buffer("table", torch.zeros(5, dtype=torch.float32))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


@pytest.fixture
def residence(tmp_path: Path) -> Iterator[Residence]:
    with closing(Residence(ModelStore(tmp_path), device="cpu")) as made:
        yield made


def forbidden() -> Small:
    raise AssertionError("it was loaded again")


def await_truth(tell: Callable[[], bool]) -> None:
    """Wait until `tell` says so."""
    deadline = time.monotonic() + PATIENCE
    while not tell():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


def test_nothing_is_loaded_before_it_is_used(residence: Residence) -> None:
    assert residence.parts() == ()
    assert not residence.loads


def test_a_part_loads_once_for_all_who_wait_for_it(residence: Residence) -> None:
    loading, ready = threading.Event(), threading.Event()

    def load_slowly() -> Small:
        loading.set()
        assert ready.wait(PATIENCE)
        return Small()

    def take() -> Small:
        with residence.use("net", load_slowly) as part:
            return part

    with ThreadPoolExecutor(8) as threads:
        takers = [threads.submit(take) for _ in range(8)]
        assert loading.wait(PATIENCE)
        # meanwhile, other parts load and what is here can be listed
        with residence.use("other", Small):
            assert [part.name for part in residence.parts()] == ["other"]
        assert not any(taker.done() for taker in takers)
        ready.set()
        taken = {id(taker.result(PATIENCE)) for taker in takers}
    assert len(taken) == 1
    assert residence.loads == {"net": 1, "other": 1}


def test_a_second_use_loads_nothing(residence: Residence) -> None:
    with residence.use("net", Small) as first:
        pass
    with residence.use("net", forbidden) as second, residence.use("net", forbidden) as third:
        assert first is second is third
    assert residence.loads == {"net": 1}


def test_a_loader_that_fails_leaves_nothing_and_may_try_again(residence: Residence) -> None:
    def fail() -> Small:
        raise OSError("no such file")

    for _ in range(2):
        with pytest.raises(OSError, match="no such file"), residence.use("net", fail):
            raise AssertionError("a part was lent that never loaded")
        assert residence.parts() == ()
    assert not residence.loads
    with residence.use("net", Small):
        assert [part.users for part in residence.parts()] == [1]
    assert residence.loads == {"net": 1}
    assert residence.release() == 1


def test_others_try_for_themselves_when_a_loader_failed(residence: Residence) -> None:
    """The one who waits for a loader in vain loads with its own."""
    loading, fails = threading.Event(), threading.Event()

    def fail() -> Small:
        loading.set()
        assert fails.wait(PATIENCE)
        raise OSError("no such file")

    def take(load: Callable[[], Small]) -> bool:
        with residence.use("net", load):
            return True

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(take, fail)
        assert loading.wait(PATIENCE)
        second = threads.submit(take, Small)
        fails.set()
        assert second.result(PATIENCE)
        assert isinstance(first.exception(PATIENCE), OSError)
    assert residence.loads == {"net": 1}


def test_release_frees_what_nobody_uses_and_nothing_else(residence: Residence) -> None:
    with residence.use("idle", Small) as idle, residence.use("kept", Small) as kept:
        ghosts = weakref.ref(idle), weakref.ref(kept)
    del idle, kept
    with residence.use("kept", forbidden):
        assert residence.release() == 1
        assert ghosts[0]() is None
        assert ghosts[1]() is not None
        assert [part.name for part in residence.parts()] == ["kept"]
        assert residence.release() == 0
    assert residence.release() == 1
    assert ghosts[1]() is None
    assert residence.release() == 0


def test_a_part_that_was_just_used_is_not_idle(residence: Residence) -> None:
    with residence.use("net", Small):
        pass
    assert residence.release(idle_seconds=3600.0) == 0
    assert len(residence.parts()) == 1


def test_an_error_within_the_block_gives_the_part_back(residence: Residence) -> None:
    with pytest.raises(ZeroDivisionError), residence.use("net", Small):
        raise ZeroDivisionError
    (part,) = residence.parts()
    assert part.users == 0
    assert residence.release() == 1


def test_parts_are_described(residence: Residence) -> None:
    with residence.use("B", Small), residence.use("A", lambda: nn.Linear(3, 2, bias=False)):
        with residence.use("B", Small):
            b, a = residence.parts()
        assert (b.name, b.device, b.users, b.idle_seconds) == ("B", "cpu", 2, 0.0)
        assert b.dtype == "float16 and float32"
        assert b.size == 2 * 6 + 4 * 5 + 8
        assert (a.name, a.dtype, a.size, a.users) == ("A", "float32", 4 * 6, 1)
    await_truth(lambda: residence.parts()[0].idle_seconds > 0)


def test_the_device_and_its_dtype_are_those_that_were_wished_for(residence: Residence) -> None:
    assert residence.device == torch.device("cpu")
    assert residence.dtype == torch.float32


def watchers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.daemon}


def test_idle_parts_are_released_by_themselves(tmp_path: Path) -> None:
    before = watchers()
    with closing(Residence(ModelStore(tmp_path), device="cpu", idle_release=0.05)) as residence:
        assert watchers() == before
        with residence.use("kept", Small), residence.use("idle", Small) as idle:
            ghost = weakref.ref(idle)
            del idle
            assert len(watchers() - before) == 1
        with residence.use("kept", Small):
            await_truth(lambda: ghost() is None)
            assert [part.name for part in residence.parts()] == ["kept"]
        await_truth(lambda: residence.parts() == ())
        with residence.use("idle", Small):
            assert residence.loads["idle"] == 2
        (watcher,) = watchers() - before
    assert not watcher.is_alive()


def test_without_a_wish_parts_stay(residence: Residence) -> None:
    before = watchers()
    with residence.use("net", Small):
        pass
    assert watchers() == before


def test_it_can_be_used_again_after_it_was_closed(tmp_path: Path) -> None:
    before = watchers()
    residence = Residence(ModelStore(tmp_path), device="cpu", idle_release=0.05)
    for round_ in (1, 2):
        with residence.use("net", Small) as net:
            ghost = weakref.ref(net)
            del net
            assert residence.loads["net"] == round_
            (watcher,) = watchers() - before
            residence.close()  # not from under the feet of whoever uses it
            assert ghost() is not None
            assert not watcher.is_alive()
        with residence.use("net", forbidden):  # and somebody looks after what was left
            assert len(watchers() - before) == 1
        residence.close()
        residence.close()
        gc.collect()
        assert ghost() is None
        assert residence.parts() == ()
    assert watchers() == before
