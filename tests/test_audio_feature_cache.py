"""The feature cache gives back what it was given, or nothing; and it stays small."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lipsync.audio.feature_cache import FeatureCache


def numbers(seed: int, count: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3, 2)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_it_gives_back_what_it_was_given(tmp_path: Path, dtype: type) -> None:
    cache = FeatureCache(tmp_path / "not" / "there")
    assert cache.read("ab12") is None
    cache.write("ab12", numbers(1).astype(dtype))
    found = cache.read("ab12")
    assert found is not None
    assert found.dtype == dtype
    assert np.array_equal(found, numbers(1).astype(dtype))
    assert cache.read("ab13") is None


def test_it_lies_in_the_programs_own_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    FeatureCache().write("a", numbers(1))
    (folder,) = tmp_path.glob("*/features")
    assert [entry.stem for entry in folder.iterdir()] == ["a"]


def test_changing_what_was_read_changes_no_entry(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.write("a", numbers(1))
    found = cache.read("a")
    assert found is not None
    found[:] = 0
    again = cache.read("a")
    assert again is not None
    assert np.array_equal(again, numbers(1))


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "grow", "foreign"])
def test_a_damaged_entry_is_removed(
    tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FeatureCache(tmp_path)
    cache.write("a", numbers(1))
    (entry,) = tmp_path.iterdir()
    data = entry.read_bytes()
    flipped = bytes([*data[:200], data[200] ^ 1, *data[201:]])
    harmed = {
        "flip": flipped,
        "cut": data[:-100],
        "empty": b"",
        "grow": data + b"x",
        "foreign": b"some other program's file, long enough to hold a checksum at its end",
    }
    entry.write_bytes(harmed[harm])
    assert cache.read("a") is None
    assert "damaged" in caplog.text
    assert not entry.exists()


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    size = 1000 * 6 * 4
    cache = FeatureCache(tmp_path, limit=3 * size + 3 * 500)
    for second, key in enumerate("abc"):
        cache.write(key, numbers(second))
        (entry,) = tmp_path.glob(f"{key}.*")
        os.utime(entry, (second, second))
    assert cache.read("a") is not None  # used just now
    cache.write("d", numbers(4))
    assert [key for key in "abcd" if cache.read(key) is not None] == ["a", "c", "d"]


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, limit=10_000)
    cache.write("small", numbers(1, 100))
    cache.write("large", numbers(2, 1000))
    assert cache.read("large") is None
    assert cache.read("small") is not None


def test_a_folder_that_takes_nothing_is_told_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = FeatureCache(tmp_path / "file")
    cache.write("a", numbers(1))
    assert "cannot be written" in caplog.text
    assert cache.read("a") is None


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    with pytest.raises(ValueError, match="Object arrays"):
        cache.write("a", np.array([object()]))
    assert list(tmp_path.iterdir()) == []
