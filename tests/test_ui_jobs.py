"""Job folders: private, unguessable, gone at the end; names of visitors never get in."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from pathlib import Path

import pytest

from lipsync.errors import OutputError
from lipsync.steps import exhaust
from lipsync.ui.jobs import Jobs, bring_in, hand_out, name_result


def test_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "root")
    assert not jobs.root.exists(), "nothing is made before the first job"
    with jobs.open("ada", jobs.begin("ada")) as folder:
        (folder / "clip.mp4").write_bytes(b"x")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(folder.name) > len("job-") + 6
    assert list(jobs.root.iterdir()) == []


def test_folder_is_gone_after_a_crash(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)

    def crash() -> None:
        with jobs.open("ada", jobs.begin("ada")) as folder:
            (folder / "half").write_bytes(b"x")
            raise KeyError

    with pytest.raises(KeyError):
        crash()
    assert list(tmp_path.iterdir()) == []


def test_two_jobs_have_two_folders(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    with (
        jobs.open("ada", jobs.begin("ada")) as first,
        jobs.open("ada", jobs.begin("ada")) as second,
    ):
        assert first != second
        assert first.is_dir()


def test_old_leftovers_are_swept_and_busy_folders_stay(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, keep_seconds=100)
    leftover, fresh, foreign = tmp_path / "job-old", tmp_path / "job-new", tmp_path / "mine"
    for folder in (leftover, fresh, foreign):
        folder.mkdir()
    with jobs.open("ada", jobs.begin("ada")) as busy:
        for folder in (leftover, foreign, busy):
            os.utime(folder, (0, 0))
        with jobs.open("bob", jobs.begin("bob")):
            assert busy.is_dir()
    assert not leftover.exists()
    assert fresh.exists()
    assert foreign.exists()


def test_cancel_reaches_waiting_and_running_jobs_of_one_visitor(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    running, other = jobs.begin("ada"), jobs.begin("bob")
    waiting = jobs.announce("ada")
    assert jobs.cancel("ada") == [running, waiting]
    assert running.is_cancelled
    assert waiting.is_cancelled
    assert not other.is_cancelled
    assert jobs.cancel("ada") == []


def test_announced_job_is_the_one_claimed(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    announced = jobs.announce("ada")
    assert jobs.claim("ada") is announced
    assert jobs.claim("ada") is None  # a second click, while the first job runs


def test_job_begun_unannounced_takes_nobodys_place(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    announced = jobs.announce("ada")
    assert jobs.begin("ada") is not announced
    assert jobs.claim("ada") is announced


def test_second_announcement_cancels_the_first(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    first = jobs.announce("ada")
    second = jobs.announce("ada")
    assert first.is_cancelled
    assert jobs.claim("ada") is second


def test_forged_announcements_are_forgotten_and_running_jobs_are_not(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    running = jobs.begin("ada")
    for number in range(1001):
        jobs.announce(f"forged {number}", 1.0)
    assert jobs.seconds_left(["forged 0"]) is None
    assert jobs.seconds_left(["forged 1", "forged 1000"]) == 2.0
    assert jobs.cancel("ada") == [running]


def test_finished_job_is_forgotten(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    with jobs.open("ada", jobs.begin("ada")):
        pass
    assert jobs.cancel("ada") == []


def test_next_wish_stops_extras_of_a_delivered_job_but_no_running_one(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    running, delivered = jobs.begin("ada"), jobs.begin("ada")
    delivered.is_delivered = True
    jobs.announce("ada")
    assert delivered.is_cancelled
    assert not running.is_cancelled


def test_wait_is_the_sum_of_what_is_left_where_all_is_known(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    jobs.announce("ada", 20.0)
    jobs.announce("bob", 5.0)
    assert jobs.seconds_left(["ada", "bob"]) == 25.0
    running = jobs.claim("ada")
    assert running is not None
    running.seconds_left = 3.0
    assert jobs.seconds_left(["ada"]) == 3.0
    jobs.announce("eve")
    assert jobs.seconds_left(["ada", "eve"]) is None
    assert jobs.seconds_left(["ada", "a program"]) is None


def test_followed_steps_end_with_their_result_or_closed_by_a_cancel(tmp_path: Path) -> None:
    closed = []

    def count() -> Generator[int, None, str]:
        try:
            yield from range(3)
            return "counted"
        finally:
            closed.append(True)

    assert exhaust(Jobs(tmp_path).begin("ada").follow(count())) == "counted"
    job = Jobs(tmp_path).begin("ada")
    steps = job.follow(count())
    assert next(steps) == 0
    job.cancel()
    assert list(steps) == []
    assert closed == [True, True]


def test_root_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "theirs")
    jobs = Jobs(tmp_path / "root")
    with pytest.raises(OutputError, match="another user"), jobs.open("ada", jobs.begin("ada")):
        pass
    assert list((tmp_path / "theirs").iterdir()) == []


def test_root_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    jobs = Jobs(tmp_path / "file" / "root")
    with pytest.raises(OutputError, match="No folder for the job"), jobs.open("a", jobs.begin("a")):
        pass


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("My Holiday.MP4", "clip.mp4"),
        ("-rf; $(reboot) 😀.mov", "clip.mov"),
        ("photo.jpeg", "clip.jpeg"),
        ("no suffix", "clip"),
        ("trick.m$4", "clip"),
        ("long." + "a" * 60, "clip"),
    ],
)
def test_upload_gets_a_name_of_ours(tmp_path: Path, name: str, inside: str) -> None:
    upload = tmp_path / name
    upload.write_bytes(b"data")
    folder = tmp_path / "job"
    folder.mkdir()
    brought = bring_in(upload, folder, "clip")
    assert brought == folder / inside
    assert brought.read_bytes() == b"data"
    assert upload.exists()


def test_missing_upload_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="upload it once more"):
        bring_in(tmp_path / "gone.mp4", tmp_path, "clip")


@pytest.mark.parametrize(
    ("clip", "result"),
    [
        ("holiday.mp4", "holiday-synced.mp4"),
        ("My Holiday (2).mov", "My-Holiday-2-synced.mp4"),
        ("../../etc/passwd", "passwd-synced.mp4"),
        ("-rf $(reboot);😀.mp4", "rf-reboot-synced.mp4"),
        ("Ünïcode.mp4", "Unicode-synced.mp4"),
        ("日本語.mp4", "clip-synced.mp4"),
        ("", "clip-synced.mp4"),
        ("a" * 10_000 + ".mp4", "a" * 40 + "-synced.mp4"),
        ("a\r\nX: y\x00.mp4", "a-X-y-synced.mp4"),
    ],
)
def test_result_name_is_harmless(clip: str, result: str) -> None:
    assert name_result(clip) == result


def test_handed_out_file_lies_where_nobody_can_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    finished = tmp_path / "result.mp4"
    finished.write_bytes(b"film")
    handed = hand_out(finished, "a-synced.mp4")
    assert handed.read_bytes() == b"film"
    assert handed.name == "a-synced.mp4"
    assert handed.parent.parent == tmp_path / "served"
    assert len(handed.parent.name) == 64
    assert not finished.exists()
