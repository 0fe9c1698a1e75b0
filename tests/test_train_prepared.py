"""Prepared videos on the disk: what belongs to training, and what is no longer whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_windows import make_numbered

from lipsync.errors import InputError
from lipsync.train.prepared import (
    NAME_LENGTH,
    SPLITS,
    PreparedVideo,
    choose_split,
    fingerprint,
    is_current,
    open_videos,
)


def videos_of(*beginnings: str) -> list[PreparedVideo]:
    """Return videos that are not on the disk, of contents that begin so, sorted."""
    names = sorted(beginning.ljust(NAME_LENGTH, "0") for beginning in beginnings)
    return [PreparedVideo(Path(name), name, (range(20),), 99) for name in names]


def names_of(videos: list[PreparedVideo]) -> list[list[str]]:
    """Return how the contents of training, validation and test begin."""
    return [[v.name[:2] for v in choose_split(videos, split)] for split in SPLITS]


def test_a_video_stays_where_its_content_puts_it() -> None:
    few = videos_of("02", "0e", "50")
    assert names_of(few) == [["50"], ["02"], ["0e"]]
    more = videos_of("02", "0e", "50", "01", "60", "12", "f0")
    assert names_of(more) == [["50", "60", "f0"], ["01", "02"], ["0e", "12"]]


def test_each_split_is_about_its_share_and_nothing_is_in_two() -> None:
    many = videos_of(*(f"{number:03x}" for number in range(0, 4096, 16)))
    parts = [choose_split(many, split) for split in SPLITS]
    assert [len(part) for part in parts] == [230, 13, 13]
    assert {video.name for part in parts for video in part} == {video.name for video in many}


def test_a_small_set_has_something_to_validate_on() -> None:
    assert names_of(videos_of("50")) == [["50"], [], []]
    assert names_of(videos_of("50", "60")) == [["60"], ["50"], []]
    assert names_of(videos_of("50", "60", "70")) == [["70"], ["50"], ["60"]]
    assert names_of(videos_of("01", "60", "70")) == [["70"], ["01"], ["60"]]


def test_the_fingerprint_is_that_of_the_videos() -> None:
    one = fingerprint(videos_of("50", "60"))
    assert one == fingerprint(videos_of("60", "50"))
    assert one != fingerprint(videos_of("50", "61"))


def test_an_empty_folder_says_what_fills_it(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match=r"holds no prepared video; .*prepare wav2lip"):
        open_videos(tmp_path)


@pytest.mark.parametrize("name", ["faces.npy", "mel.npy", "facts.json"])
def test_a_cut_file_is_named(tmp_path: Path, name: str) -> None:
    video = make_numbered(tmp_path, 1)
    path = video.folder / name
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=f"{name} of the prepared video .* missing or damaged"):
        open_videos(tmp_path)


def test_an_array_of_another_shape_is_named(tmp_path: Path) -> None:
    video = make_numbered(tmp_path, 1)
    np.save(video.folder / "mel.npy", np.array(video.mel()[:-1]))
    with pytest.raises(InputError, match=r"mel\.npy of the prepared video"):
        open_videos(tmp_path)


@pytest.mark.parametrize(("key", "value"), [("format", 0), ("template", "latentsync")])
def test_what_was_prepared_otherwise_is_prepared_anew(
    tmp_path: Path, key: str, value: object
) -> None:
    folder = make_numbered(tmp_path, 1).folder
    assert is_current(folder)
    facts = json.loads((folder / "facts.json").read_text())
    (folder / "facts.json").write_text(json.dumps({**facts, key: value}))
    assert not is_current(folder)
    with pytest.raises(InputError, match="prepared in an older form"):
        open_videos(tmp_path)
