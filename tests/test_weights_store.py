"""Where checkpoints are looked for, and what is not taken for one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from weights_fixtures import CONTENT, hub_checkpoint, make_store, pack_checkpoint, zip_of
from weights_server import WeightsServer, serve_weights

from lipsync.errors import FetchError, InputError, OutputError
from lipsync.places import cache_folder
from lipsync.steps import exhaust
from lipsync.weights import Checkpoint, ModelStore


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serve_weights() as running:
        yield running


@pytest.fixture
def row(server: WeightsServer) -> Checkpoint:
    return hub_checkpoint(server)


def damage(path: Path, keep_time: bool = False) -> None:
    """Turn one bit over; size stays, and the time too if asked."""
    facts = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    times = (facts.st_atime_ns, facts.st_mtime_ns + (0 if keep_time else 10**9))
    os.utime(path, ns=times)


def test_folders_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LIPSYNC_MODELS", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "lipsync-studio"
    store = ModelStore()
    assert store.folder == tmp_path / "lipsync-studio/models"
    assert store.own_folder == tmp_path / "mine"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_folder() == Path("~/.cache/lipsync-studio").expanduser()


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no model called 'latentsync'.*latentsync-1\.5, latent"):
        ModelStore().state("latentsync")


def test_what_is_not_here_says_how_to_get_it(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    store = make_store(tmp_path, server, row)
    words = r"Tiny net is not on this machine; .*models pull tiny`, or put net.pt into .*/tiny\."
    with pytest.raises(InputError, match=words):
        store.locate("tiny")
    assert list(tmp_path.iterdir()) == []


def test_own_files_are_found_first_and_never_touched(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    """They need not be what was published: a stand-in of any content is taken."""
    own = tmp_path / "own"
    (own / "tiny").mkdir(parents=True)
    mine = own / "tiny/net.pt"
    mine.write_bytes(b"mine")
    os.chmod(mine, 0o444)
    os.chmod(mine.parent, 0o555)
    store = make_store(tmp_path / "cache", server, row, own=own)
    assert store.state("tiny").kind == "own"
    assert store.locate("tiny").path == mine
    assert store.locate("tiny").is_own
    assert exhaust(store.pull("tiny")).path == mine
    assert exhaust(store.verify("tiny")).path == mine
    with pytest.raises(InputError, match="your own folder"):
        store.remove("tiny")
    assert [path.name for path in mine.parent.iterdir()] == ["net.pt"]
    assert server.asked == []


def test_an_own_folder_that_lacks_a_file_is_passed_over(
    server: WeightsServer, tmp_path: Path
) -> None:
    members = {"a_onnx": b"a" * 9, "b_onnx": b"b" * 9}
    row = pack_checkpoint(server, zip_of(**members), **members)
    own = tmp_path / "own"
    (own / "pack").mkdir(parents=True)
    (own / "pack/a.onnx").write_bytes(b"mine")
    store = make_store(tmp_path / "cache", server, row, own=own)
    assert exhaust(store.pull("pack")).folder == tmp_path / "cache/pack"


def test_offline_nothing_is_asked_for(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    store = make_store(tmp_path, server, row, is_offline=True)
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE forbids"):
        exhaust(store.pull("tiny"))
    assert server.asked == []
    exhaust(make_store(tmp_path, server, row).pull("tiny"))
    assert exhaust(store.pull("tiny")).path.read_bytes() == CONTENT


def test_a_damaged_file_is_refused_by_name_and_mended_by_a_pull(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    store = make_store(tmp_path, server, row)
    path = exhaust(store.pull("tiny")).path
    damage(path)
    with pytest.raises(InputError, match=f"^{path} is damaged .*models pull tiny`"):
        store.locate("tiny")
    assert exhaust(store.pull("tiny")).path.read_bytes() == CONTENT
    assert store.locate("tiny").path == path


def test_damage_that_keeps_size_and_time_is_found_by_verify(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    store = make_store(tmp_path, server, row)
    path = exhaust(store.pull("tiny")).path
    exhaust(store.verify("tiny"))
    damage(path, keep_time=True)
    assert store.locate("tiny").path == path  # by design: it reads nothing that looks the same
    with pytest.raises(InputError, match=r"net\.pt is damaged"):
        exhaust(store.verify("tiny"))
    with pytest.raises(InputError, match=r"net\.pt is damaged"):
        store.locate("tiny")  # known from now on


def test_a_file_of_another_size_is_seen_at_a_glance(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    store = make_store(tmp_path, server, row)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/net.pt").write_bytes(b"cut off")
    assert store.state("tiny").kind == "damaged"
    with pytest.raises(InputError, match="7 bytes, 40000 were published"):
        store.locate("tiny")
    assert exhaust(store.pull("tiny")).path.read_bytes() == CONTENT


def test_a_file_put_into_the_cache_by_hand_is_compared_too(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    store = make_store(tmp_path, server, row)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/net.pt").write_bytes(CONTENT)
    assert store.locate("tiny").path.read_bytes() == CONTENT
    damage(tmp_path / "tiny/net.pt")
    with pytest.raises(InputError, match="is damaged"):
        store.locate("tiny")


def test_a_checksum_is_computed_once(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    store = make_store(tmp_path, server, row)
    path = exhaust(store.pull("tiny")).path
    seen = json.loads((tmp_path / "checksums.json").read_text())["seen"]
    assert seen[str(path)]["sha256"] == row.files[0].sha256
    checks = [step for step in store.pull("tiny") if step.stage == "check"]
    assert checks == []


def test_damaged_notes_are_refused_by_name(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    store = make_store(tmp_path, server, row)
    exhaust(store.pull("tiny"))
    (tmp_path / "checksums.json").write_text("{")
    with pytest.raises(InputError, match=r"checksums\.json is damaged; delete it"):
        store.locate("tiny")
    (tmp_path / "checksums.json").unlink()
    assert store.locate("tiny").path.read_bytes() == CONTENT


def test_removing_frees_the_place(server: WeightsServer, tmp_path: Path, row: Checkpoint) -> None:
    store = make_store(tmp_path, server, row)
    exhaust(store.pull("tiny"))
    assert store.remove("tiny") == len(CONTENT)
    assert store.remove("tiny") == 0
    assert store.state("tiny").kind == "absent"
    assert not (tmp_path / "tiny").exists()
    assert json.loads((tmp_path / "checksums.json").read_text())["seen"] == {}


def test_a_place_that_cannot_be_written_to_is_said(
    server: WeightsServer, tmp_path: Path, row: Checkpoint
) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    store = make_store(tmp_path / "models", server, row)
    with pytest.raises(OutputError, match=r"cannot be written to .*XDG_CACHE_HOME"):
        exhaust(store.pull("tiny"))
