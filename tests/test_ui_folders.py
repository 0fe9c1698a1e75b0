"""Folders among strangers: what is ours, how old it is, how it goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lipsync.ui.folders import is_ours, list_own_folders, remove_folder, time_written


def test_a_link_a_file_and_what_is_missing_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "file").write_text("x")
    assert is_ours(tmp_path / "folder")
    assert not any(is_ours(tmp_path / name) for name in ("link", "file", "missing"))
    assert list_own_folders(tmp_path) == [tmp_path / "folder"]
    assert list_own_folders(tmp_path / "link") == []
    assert list_own_folders(tmp_path / "missing") == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users here")
def test_a_folder_of_another_user_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert not is_ours(tmp_path)


def test_time_written(tmp_path: Path) -> None:
    os.utime(tmp_path, (5, 7))
    assert time_written(tmp_path) == 7
    assert time_written(tmp_path / "missing") is None


def test_what_cannot_be_removed_is_told_and_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, gone = tmp_path / "kept", tmp_path / "gone"
    (gone / "inner").mkdir(parents=True)
    remove_folder(gone)
    remove_folder(gone)
    assert not gone.exists()
    assert caplog.text == ""
    kept.mkdir()
    (tmp_path / "link").symlink_to(kept)
    remove_folder(tmp_path / "link")  # never through a link
    assert kept.is_dir()
    assert "could not remove" in caplog.text
