"""Fetching from a real server that misbehaves: what arrives is whole, or it is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from weights_fixtures import (
    CONTENT,
    QUICK,
    hidden_files,
    hub_checkpoint,
    make_store,
    pack_checkpoint,
    sha256_of,
    web_checkpoint,
    weight_file,
    zip_of,
)
from weights_server import Fault, Served, WeightsServer, serve_weights

from lipsync.errors import FetchError, InputError, OutputError
from lipsync.steps import exhaust
from lipsync.weights import Patience, PullStep, WeightFile


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serve_weights() as running:
        yield running


def pull_from(server: WeightsServer, folder: Path) -> bytes:
    """Pull the usual checkpoint and return what its file holds."""
    store = make_store(folder, server, hub_checkpoint(server))
    return exhaust(store.pull("tiny")).path.read_bytes()


def assert_refused(server: WeightsServer, folder: Path, words: str) -> None:
    """The usual checkpoint is refused with these words, and nothing got its name."""
    with pytest.raises(FetchError, match=words):
        pull_from(server, folder)
    assert not (folder / "tiny/net.pt").exists()


def test_a_hub_file_arrives_whole_and_once(server: WeightsServer, tmp_path: Path) -> None:
    store = make_store(tmp_path, server, hub_checkpoint(server))
    assert store.state("tiny").kind == "absent"
    steps: list[PullStep] = list(store.pull("tiny"))
    assert [step.stage for step in steps if step.stage != "fetch"] == ["ask", "check", "done"]
    counts = [step.done for step in steps if step.stage == "fetch"]
    assert counts == sorted(counts)
    assert counts[-1] == len(CONTENT)
    assert steps[-2].total == len(CONTENT)
    located = store.locate("tiny")
    assert located.path == tmp_path / "tiny/net.pt"
    assert located.path.read_bytes() == CONTENT
    assert hidden_files(tmp_path / "tiny") == []
    assert store.state("tiny").kind == "here"
    asked = len(server.asked)
    exhaust(store.pull("tiny"))
    assert len(server.asked) == asked


def test_a_token_stays_with_the_hub(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second host, to which the hub sends on, never sees it."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull_from(server, tmp_path) == CONTENT
    hub = [one.authorization for one in server.asked if "/content/" not in one.path]
    assert set(hub) == {"Bearer hf_secret"}
    assert [one.authorization for one in server.gets()] == [None]


def test_a_cut_connection_goes_on_where_it_broke(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut_after=15_000), Fault(cut_after=10_000)]
    assert pull_from(server, tmp_path) == CONTENT
    ranges = [one.range for one in server.gets()]
    assert ranges == [None, "bytes=15000-", "bytes=25000-"]
    assert server.sent == len(CONTENT)


def test_a_server_that_never_goes_on_is_given_up(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut_after=15_000)] + [Fault(cut_after=0)] * 9
    words = r"broke off at 15 kB of 40 kB .*what came is kept"
    assert_refused(server, tmp_path, words)
    assert len(server.gets()) == 1 + QUICK.tries - 1
    server.faults = []
    assert pull_from(server, tmp_path) == CONTENT
    assert server.sent == len(CONTENT)


def test_a_server_without_ranges_begins_anew(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut_after=15_000), Fault(ignore_range=True)]
    assert pull_from(server, tmp_path) == CONTENT
    assert server.sent == 15_000 + len(CONTENT)


def test_closing_keeps_what_came_for_the_next_time(server: WeightsServer, tmp_path: Path) -> None:
    store = make_store(tmp_path, server, hub_checkpoint(server))
    server.faults = [Fault(stall_after=20_000)]
    steps = store.pull("tiny")
    while next(steps).done < 20_000:
        pass
    # as a screen does: begun by one thread, closed by another
    with ThreadPoolExecutor(1) as other:
        other.submit(steps.close).result()
    state = store.state("tiny")
    assert (state.kind, state.arrived) == ("partial", 20_000)
    assert not (tmp_path / "tiny/net.pt").exists()
    assert pull_from(server, tmp_path) == CONTENT
    assert server.gets()[-1].range == "bytes=20000-"
    assert store.state("tiny").kind == "here"


def test_a_failure_in_another_thread_holds_nobody_up(server: WeightsServer, tmp_path: Path) -> None:
    """Not even while the failure, and with it the frames it came from, is kept somewhere."""
    server.faults = [Fault(wrong_byte=3)]
    steps = make_store(tmp_path, server, hub_checkpoint(server)).pull("tiny")
    while next(steps).stage != "fetch":
        pass
    with ThreadPoolExecutor(1) as other:
        failure = other.submit(exhaust, steps).exception(20)
    again = make_store(tmp_path, server, hub_checkpoint(server)).pull("tiny")
    assert next(again).stage == "ask"
    assert isinstance(failure, FetchError)
    assert exhaust(again).path.read_bytes() == CONTENT


def test_a_part_that_is_all_there_is_not_fetched_again(
    server: WeightsServer, tmp_path: Path
) -> None:
    store = make_store(tmp_path, server, hub_checkpoint(server))
    steps = store.pull("tiny")
    while next(steps).done < len(CONTENT):
        pass
    steps.close()
    assert pull_from(server, tmp_path) == CONTENT
    assert len(server.gets()) == 1


def test_a_silent_server_is_left_and_asked_again(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(stall_after=5_000)]
    row = hub_checkpoint(server)
    store = make_store(tmp_path, server, row, patience=Patience(0.3, 3, 0.01))
    assert exhaust(store.pull("tiny")).path.read_bytes() == CONTENT
    assert server.gets()[-1].range == "bytes=5000-"


def test_a_slow_server_is_waited_for(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(slow=0.01)]
    row = hub_checkpoint(server)
    store = make_store(tmp_path, server, row, patience=Patience(0.3, 1, 0.01))
    steps = list(store.pull("tiny"))
    guesses = [step.seconds_left for step in steps if step.seconds_left is not None]
    assert guesses[0] > guesses[-1] == 0
    assert len(server.gets()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: WeightsServer, tmp_path: Path, status: int) -> None:
    server.head_faults = [Fault(status)]
    server.faults = [Fault(status, retry_after="0")]
    assert pull_from(server, tmp_path) == CONTENT


def test_a_long_wait_is_not_waited(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(429, retry_after="3600")]
    assert_refused(server, tmp_path, "asks to wait 3600 s, HTTP 429")
    assert len(server.gets()) == 1


def test_waiting_can_be_cancelled(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(429, retry_after="50")]
    steps = make_store(tmp_path, server, hub_checkpoint(server)).pull("tiny")
    while not server.gets():
        next(steps)
    next(steps)
    steps.close()
    assert pull_from(server, tmp_path) == CONTENT


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, r"not found \(HTTP 404\); update"), (403, r"may not be read .*hf auth login")],
)
def test_a_refusal_is_final(server: WeightsServer, tmp_path: Path, status: int, words: str) -> None:
    server.head_faults = [Fault(status)]
    assert_refused(server, tmp_path, words)
    server.faults = [Fault(status)]
    assert_refused(server, tmp_path, words)
    assert len(server.gets()) == 1


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with serve_weights() as gone:
        row = hub_checkpoint(gone)
    with pytest.raises(FetchError, match=r"tiny/net\.pt could not be fetched .no conn"):
        exhaust(make_store(tmp_path, gone, row).pull("tiny"))


def test_a_mirror_without_a_scheme_is_said(server: WeightsServer, tmp_path: Path) -> None:
    row = hub_checkpoint(server)
    store = make_store(tmp_path, server, row)
    store = type(store)(tmp_path, checkpoints=[row], endpoint="mirror.example", is_offline=False)
    with pytest.raises(FetchError, match="HF_ENDPOINT needs the form https"):
        exhaust(store.pull("tiny"))


def test_another_size_is_refused_before_anything_is_fetched(
    server: WeightsServer, tmp_path: Path
) -> None:
    row = hub_checkpoint(server, served=Served(CONTENT, size=39_999))
    with pytest.raises(FetchError, match=r"offers net\.pt with 39999 bytes, 40000 were published"):
        exhaust(make_store(tmp_path, server, row).pull("tiny"))
    assert server.gets() == []


def test_another_published_checksum_is_refused_before_anything_is_fetched(
    server: WeightsServer, tmp_path: Path
) -> None:
    row = hub_checkpoint(server, served=Served(CONTENT, sha256="e" * 64))
    with pytest.raises(FetchError, match=r"offers another net\.pt .*eeeeeeee"):
        exhaust(make_store(tmp_path, server, row).pull("tiny"))
    assert server.gets() == []


def test_more_than_promised_is_refused(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(extra=b"more")]
    assert_refused(server, tmp_path, "sends 40004 bytes where 40000 were promised")
    assert hidden_files(tmp_path / "tiny") == []


def test_less_than_promised_is_refused(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(short=10)] * 9
    assert_refused(server, tmp_path, "broke off at 40 kB of 40 kB")
    server.faults = []
    assert pull_from(server, tmp_path) == CONTENT


def test_one_wrong_byte_is_refused(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(wrong_byte=31_000)]
    assert_refused(server, tmp_path, "someone/nets/tiny/net.pt arrived damaged .*was deleted")
    assert hidden_files(tmp_path / "tiny") == []
    assert pull_from(server, tmp_path) == CONTENT


def test_the_hubs_own_checksum_is_held_against_the_file(
    server: WeightsServer, tmp_path: Path
) -> None:
    """A file that our table knows nothing of is still compared, with what the hub published."""
    server.faults = [Fault(wrong_byte=5)]
    store = make_store(tmp_path, server, hub_checkpoint(server, is_published=False))
    with pytest.raises(FetchError, match="arrived damaged"):
        exhaust(store.pull("tiny"))


def test_a_checksum_nobody_published_is_recorded(server: WeightsServer, tmp_path: Path) -> None:
    served = Served(CONTENT, sha256=None)
    row = hub_checkpoint(server, is_published=False, served=served)
    path = exhaust(make_store(tmp_path, server, row).pull("tiny")).path
    path.write_bytes(b"something else")
    again = make_store(tmp_path, server, row)
    with pytest.raises(InputError, match=r"net.pt is damaged \(checksum"):
        again.locate("tiny")
    # another file under the old name does not pass either; deleting the model forgets it
    served.content = b"a new edition"
    with pytest.raises(FetchError, match="arrived damaged"):
        exhaust(again.pull("tiny"))
    again.remove("tiny")
    assert exhaust(again.pull("tiny")).path.read_bytes() == b"a new edition"


def test_parts_of_two_editions_are_never_mixed(server: WeightsServer, tmp_path: Path) -> None:
    served = Served(CONTENT, sha256=None)
    row = hub_checkpoint(server, is_published=False, served=served)
    server.faults = [Fault(cut_after=15_000)] + [Fault(cut_after=0)] * 2
    with pytest.raises(FetchError, match="what came is kept"):
        exhaust(make_store(tmp_path, server, row).pull("tiny"))
    served.content = CONTENT[::-1]
    path = exhaust(make_store(tmp_path, server, row).pull("tiny")).path
    assert path.read_bytes() == CONTENT[::-1]
    assert hidden_files(tmp_path / "tiny") == []


def test_a_plain_address_serves_too(server: WeightsServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut_after=15_000)]
    row = web_checkpoint(server, Served(CONTENT), weight_file("net.pt", CONTENT))
    assert exhaust(make_store(tmp_path, server, row).pull("web")).path.read_bytes() == CONTENT
    assert server.sent == len(CONTENT)


def test_a_full_disk_is_said_before_anything_is_fetched(
    server: WeightsServer, tmp_path: Path
) -> None:
    size = 10**15
    row = web_checkpoint(server, Served(CONTENT, size=size), WeightFile("net.pt", size, "a" * 64))
    with pytest.raises(OutputError, match=r"needs 1e\+06 GB|needs 1000000 GB"):
        exhaust(make_store(tmp_path, server, row).pull("web"))
    assert server.gets() == []


def test_only_the_members_wanted_of_an_archive_are_kept(
    server: WeightsServer, tmp_path: Path
) -> None:
    wanted = {"detect_onnx": b"d" * 5000, "points_onnx": b"p" * 300}
    row = pack_checkpoint(server, zip_of(**wanted, gender_onnx=b"g"), **wanted)
    store = make_store(tmp_path, server, row)
    located = exhaust(store.pull("pack"))
    assert located.path == tmp_path / "pack"
    assert [path.read_bytes() for path in located.files] == list(wanted.values())
    names = {path.name for path in located.folder.iterdir() if path.suffix != ".lock"}
    assert names == {"detect.onnx", "points.onnx"}
    asked = len(server.asked)
    exhaust(store.pull("pack"))
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    "archive",
    [zip_of(other_onnx=b"d"), zip_of(detect_onnx=b"e" * 10), zip_of(detect_onnx=b"d" * 9)],
    ids=["lacking", "another", "shorter"],
)
def test_an_archive_with_another_member_is_refused(
    server: WeightsServer, tmp_path: Path, archive: bytes
) -> None:
    row = pack_checkpoint(server, archive, detect_onnx=b"d" * 10)
    with pytest.raises(FetchError, match=r"does not hold the detect\.onnx"):
        exhaust(make_store(tmp_path, server, row).pull("pack"))
    assert not (tmp_path / "pack/detect.onnx").exists()
    assert not (tmp_path / "pack/.detect.onnx.half").exists()


def test_what_is_no_archive_is_refused(server: WeightsServer, tmp_path: Path) -> None:
    row = pack_checkpoint(server, b"<html>" * 50, detect_onnx=b"d")
    with pytest.raises(FetchError, match="no ZIP archive"):
        exhaust(make_store(tmp_path, server, row).pull("pack"))


def test_two_at_once_fetch_it_once(server: WeightsServer, tmp_path: Path) -> None:
    """The second waits for the first; neither disturbs the other."""
    row = hub_checkpoint(server)
    server.faults = [Fault(stall_after=10_000)]
    first = make_store(tmp_path, server, row).pull("tiny")
    while next(first).done < 10_000:
        pass
    waited = threading.Event()
    seen: list[PullStep] = []

    def pull_too() -> None:
        for step in make_store(tmp_path, server, row).pull("tiny"):
            seen.append(step)
            waited.set()

    with ThreadPoolExecutor(1) as other:
        second = other.submit(pull_too)
        assert waited.wait(10)
        with pytest.raises(InputError, match="being fetched by another process"):
            make_store(tmp_path, server, row).remove("tiny")
        server.released.set()
        exhaust(first)
        second.result(20)
    assert seen[0].stage == "wait"
    assert (tmp_path / "tiny/net.pt").read_bytes() == CONTENT
    assert server.sent == len(CONTENT)


def test_checksums_are_those_of_the_files(server: WeightsServer) -> None:
    """The tests' own rows: what they call published is what the server sends."""
    row = hub_checkpoint(server)
    assert row.files[0].sha256 == sha256_of(CONTENT)
