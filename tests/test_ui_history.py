"""The store of finished jobs: everybody sees their own, nothing half-written, nothing for ever."""

from __future__ import annotations

import os
import resource
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsync.errors import InputError, OutputError
from lipsync.ui.choices import Choices
from lipsync.ui.history import Entry, History
from lipsync.ui.visitors import new_visitor

CHOICES = Choices(preset="draft", steps=7, guidance=2.0, seed=3, fps="25", fit="loop", mark=True)


def add_job(history: History, visitor: str, folder: Path, **changes: Any) -> Entry:
    """Put a small made-up job into `history`; its files come from `folder`, which is made."""
    folder.mkdir(exist_ok=True, parents=True)
    files = {"result": "out.mp4", "clip": "clip.mov", "voice": "voice.wav"}
    given: dict[str, Any] = {}
    for stem, name in files.items():
        given[stem] = folder / name
        given[stem].write_bytes(stem.encode())
    given |= {
        "thumbnail": np.full((90, 160, 3), 128, np.uint8),
        "record": {"score": None},
        "choices": CHOICES,
        "preset": "Draft",
        "clip_name": "My Holiday.MOV",
        "voice_name": "mémo.wav",
    }
    return history.add(visitor, **(given | changes))


def age(entry: Entry, seconds: float) -> None:
    """Make `entry` look that old."""
    then = time.time() - seconds
    os.utime(entry.folder / "entry.json", (then, then))


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history")


def test_entry_holds_the_job_under_harmless_names(history: History, tmp_path: Path) -> None:
    before = time.time()
    entry = add_job(history, "ada", tmp_path / "job")
    assert entry.choices == CHOICES
    assert (entry.preset, entry.clip_name, entry.voice_name) == (
        "Draft",
        "My Holiday.MOV",
        "mémo.wav",
    )
    assert entry.result.name == "My-Holiday-synced.mp4"
    assert entry.result.read_bytes() == b"result"
    assert (entry.clip.name, entry.clip.read_bytes()) == ("clip.mov", b"clip")
    assert (entry.voice.name, entry.voice.read_bytes()) == ("voice.wav", b"voice")
    assert entry.thumbnail.read_bytes().startswith(b"\xff\xd8")
    assert entry.read_record() == {"score": None}
    assert entry.before is None
    assert before - 1 < entry.created < time.time() + 1
    assert not (tmp_path / "job" / "out.mp4").exists(), "the result is moved, not copied"
    assert sorted(path.name for path in entry.folder.iterdir()) == [
        "My-Holiday-synced.mp4",
        "clip.mov",
        "entry.json",
        "record.json",
        "thumbnail.jpg",
        "voice.wav",
    ]


def test_folders_are_private_and_do_not_tell_the_token(history: History, tmp_path: Path) -> None:
    visitor = new_visitor()
    assert not history.root.exists(), "nothing is made before the first job"
    entry = add_job(history, visitor, tmp_path / "job")
    for folder in (entry.folder, entry.folder.parent, history.root):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert visitor not in str(entry.folder)
    for path in entry.folder.iterdir():
        assert visitor.encode() not in path.read_bytes()


def test_nobody_sees_anothers(history: History, tmp_path: Path) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    assert history.entries("bob") == []
    with pytest.raises(InputError, match="no longer in your history"):
        history.get("bob", entry.id)
    with pytest.raises(InputError):
        history.remove("bob", entry.id)
    assert history.get("ada", entry.id) == entry


@pytest.mark.parametrize("form", ["../{home}/{id}", "{id}/", "./{id}", "{id}\n", "..", ""])
def test_id_is_never_a_path(history: History, tmp_path: Path, form: str) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    add_job(history, "bob", tmp_path / "other")
    wrong = form.format(home=entry.folder.parent.name, id=entry.id)
    for visitor in ("ada", "bob"):
        with pytest.raises(InputError):
            history.remove(visitor, wrong)
    assert history.entries("ada") == [entry]


def test_history_survives_a_restart(history: History, tmp_path: Path) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    assert History(history.root).entries("ada") == [entry]


def test_newest_first_however_quickly_they_came(history: History, tmp_path: Path) -> None:
    made = [add_job(history, "ada", tmp_path / "job").id for _ in range(8)]
    assert [entry.id for entry in history.entries("ada")] == made[::-1]


def test_old_jobs_go_with_their_files(tmp_path: Path) -> None:
    history = History(tmp_path / "history", keep_seconds=100)
    old, young = (add_job(history, "ada", tmp_path / "job") for _ in range(2))
    age(old, 101)
    age(young, 90)
    assert [entry.id for entry in history.entries("ada")] == [young.id]
    assert not old.folder.exists()


def test_sweep_reaches_visitors_who_never_come_back(tmp_path: Path) -> None:
    history = History(tmp_path / "history", keep_seconds=100)
    age(add_job(history, "ada", tmp_path / "job"), 101)
    history.sweep()
    assert list(history.root.iterdir()) == []


def test_number_is_limited_per_visitor(tmp_path: Path) -> None:
    history = History(tmp_path / "history", keep_entries=3)
    other = add_job(history, "bob", tmp_path / "job")
    made = [add_job(history, "ada", tmp_path / "job").id for _ in range(5)]
    assert [entry.id for entry in history.entries("ada")] == made[:1:-1]
    assert history.entries("bob") == [other]


def test_bytes_are_limited_and_the_oldest_goes(tmp_path: Path) -> None:
    size = 100_000
    history = History(tmp_path / "history", keep_bytes=int(2.5 * size))
    made = []
    for visitor in ("ada", "bob", "ada"):
        heavy = tmp_path / "heavy.mp4"
        heavy.write_bytes(b"x" * size)
        made.append(add_job(history, visitor, tmp_path / "job", result=heavy).id)
    assert [entry.id for entry in history.entries("ada")] == made[2:]
    assert [entry.id for entry in history.entries("bob")] == made[1:2]


def test_job_heavier_than_the_limit_stays_while_it_is_the_newest(tmp_path: Path) -> None:
    history = History(tmp_path / "history", keep_bytes=1)
    first = add_job(history, "ada", tmp_path / "job")
    assert history.entries("ada") == [first]
    second = add_job(history, "ada", tmp_path / "job")
    assert history.entries("ada") == [second]


def test_failed_move_leaves_nothing(history: History, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot keep this job"):
        add_job(history, "ada", tmp_path / "job", result=tmp_path / "missing.mp4")
    assert history.entries("ada") == []
    assert list(history.root.iterdir()) == []


@contextmanager
def small_files_only(limit: int) -> Iterator[None]:
    """Let no file grow beyond `limit` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_is_told_and_leaves_the_result_where_it_was(
    history: History, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    with (
        pytest.raises(OutputError, match="free some disk space"),
        small_files_only(1000),
    ):
        add_job(history, "ada", tmp_path / "job", thumbnail=noise)
    assert history.entries("ada") == []
    assert list(history.root.iterdir()) == []
    assert (tmp_path / "job" / "out.mp4").read_bytes() == b"result"


def test_full_disk_keeps_the_old_record(history: History, tmp_path: Path) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    with pytest.raises(OutputError), small_files_only(1000):
        history.update_record(entry, {"text": "x" * 5000})
    assert entry.read_record() == {"score": None}
    assert len(list(entry.folder.iterdir())) == 6, "no scraps"


def test_half_written_job_is_never_shown_and_swept_when_old(
    history: History, tmp_path: Path
) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    half, fresh = (entry.folder.parent / (letter * 32) for letter in "ab")
    for folder in (half, fresh):
        folder.mkdir()
        (folder / "My-Holiday-synced.mp4").write_bytes(b"half")
    os.utime(half, (0, 0))
    assert history.entries("ada") == [entry]
    with pytest.raises(InputError):
        history.get("ada", fresh.name)
    assert not half.exists()
    assert fresh.exists(), "it may be just being written by another process"


def test_job_of_another_version_is_left_out_and_goes_with_its_age(
    history: History, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry, torn, kept = (add_job(history, "ada", tmp_path / "job") for _ in range(3))
    (entry.folder / "entry.json").write_text('{"preset": "Draft", "choices": {"colour": "red"}}')
    (torn.folder / "entry.json").write_text("")
    assert history.entries("ada") == [kept]
    assert "left out" in caplog.text
    age(entry, history.keep_seconds + 1)
    history.sweep()
    assert not entry.folder.exists()


def test_job_whose_result_is_gone_is_not_shown(history: History, tmp_path: Path) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    entry.result.unlink()
    assert history.entries("ada") == []


def test_remove_deletes_the_files(history: History, tmp_path: Path) -> None:
    entry, other = (add_job(history, "ada", tmp_path / "job") for _ in range(2))
    history.remove("ada", entry.id)
    assert not entry.folder.exists()
    assert history.entries("ada") == [other]
    with pytest.raises(InputError):
        history.remove("ada", entry.id)


def test_before_and_record_come_later(history: History, tmp_path: Path) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    source = tmp_path / "prepared.mp4"
    source.write_bytes(b"source")
    with_before = history.attach_before(entry, source)
    history.update_record(entry, {"score": {"confidence": 0.5}})
    assert history.get("ada", entry.id) == with_before
    assert with_before.before is not None
    assert with_before.before.read_bytes() == b"source"
    assert entry.read_record() == {"score": {"confidence": 0.5}}
    assert not source.exists()


def test_what_comes_too_late_for_a_deleted_job_is_told(history: History, tmp_path: Path) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    history.remove("ada", entry.id)
    source = tmp_path / "prepared.mp4"
    source.write_bytes(b"source")
    with pytest.raises(InputError, match="no longer"):
        history.attach_before(entry, source)
    with pytest.raises(InputError, match="no longer"):
        history.update_record(entry, {})
    with pytest.raises(InputError, match="no longer"):
        history.lend(entry)
    with pytest.raises(InputError, match="no longer"):
        entry.read_record()
    assert not entry.folder.exists()


def test_missing_source_of_a_job_that_is_there_is_no_missing_job(
    history: History, tmp_path: Path
) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    with pytest.raises(OutputError):
        history.attach_before(entry, tmp_path / "missing.mp4")
    assert history.get("ada", entry.id).before is None


def test_lent_files_have_the_visitors_names_and_may_vanish(
    history: History, tmp_path: Path
) -> None:
    entry = add_job(history, "ada", tmp_path / "job", clip_name="假期 1.mov")
    lent = history.lend(entry)
    assert (lent.clip.name, lent.clip.read_bytes()) == ("假期 1.mov", b"clip")
    assert (lent.voice.name, lent.voice.read_bytes()) == ("mémo.wav", b"voice")
    assert (lent.result.name, lent.result.read_bytes()) == (entry.result.name, b"result")
    assert lent.record.suffix == ".json"
    for path in (lent.clip, lent.voice, lent.result, lent.record):
        assert path.is_relative_to(history.root)
        path.unlink()
    assert history.entries("ada") == [entry]
    assert entry.clip.read_bytes() == b"clip"


def test_what_was_lent_goes_with_its_age(history: History, tmp_path: Path) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    old, young = history.lend(entry), history.lend(entry)
    os.utime(old.clip.parent.parent, (0, 0))
    assert history.entries("ada") == [entry]
    assert not old.clip.exists()
    assert young.clip.exists()


def test_deleted_result_is_nowhere_but_inputs_in_use_stay(history: History, tmp_path: Path) -> None:
    entry, other = (add_job(history, "ada", tmp_path / "job") for _ in range(2))
    lent, of_other = history.lend(entry), history.lend(other)
    history.remove("ada", entry.id)
    assert not lent.result.exists()
    assert not lent.record.exists()
    assert lent.clip.exists()
    assert lent.voice.exists()
    assert of_other.result.exists()


@pytest.mark.parametrize("name", ["../../x.mov", "..", "", "a" * 300, "x\x00\n.mov", "/etc/passwd"])
def test_lent_names_stay_in_their_folder(history: History, tmp_path: Path, name: str) -> None:
    lent = history.lend(add_job(history, "ada", tmp_path / "job", clip_name=name))
    assert lent.clip.resolve().parent.parent.parent == history.root / "lent"
    assert lent.clip.read_bytes() == b"clip"
    assert lent.result.stem.endswith("-synced")
    assert lent.result.stem == lent.record.stem


def test_many_jobs_at_once(tmp_path: Path) -> None:
    history = History(tmp_path / "history", keep_entries=4)

    def work(visitor: str) -> None:
        for number in range(6):
            entry = add_job(history, visitor, tmp_path / visitor)
            history.update_record(entry, {"number": number})
            assert all(e.result.exists() for e in history.entries(visitor))
            if number % 3 == 2:
                history.remove(visitor, entry.id)

    visitors = [f"visitor-{number}" for number in range(6)]
    with ThreadPoolExecutor(len(visitors)) as threads:
        list(threads.map(work, visitors))  # raises what went wrong in any
    for visitor in visitors:
        assert [e.read_record()["number"] for e in history.entries(visitor)] == [4, 3, 1]


def test_root_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "history").symlink_to(tmp_path / "theirs")
    history = History(tmp_path / "history")
    with pytest.raises(OutputError, match="another user"):
        add_job(history, "ada", tmp_path / "job")
    assert list((tmp_path / "theirs").iterdir()) == []
    assert history.entries("ada") == []


def test_links_inside_are_neither_read_nor_removed(history: History, tmp_path: Path) -> None:
    entry = add_job(history, "ada", tmp_path / "job")
    link = entry.folder.parent / ("c" * 32)
    link.symlink_to(add_job(history, "bob", tmp_path / "job").folder)
    assert history.entries("ada") == [entry]
    with pytest.raises(InputError):
        history.remove("ada", link.name)
    (theirs,) = history.entries("bob")
    assert theirs.result.exists()


def test_root_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot keep this job"):
        add_job(History(tmp_path / "file" / "history"), "ada", tmp_path / "job")
