"""Clips for a fit: found in folders, read once, refused in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Ffmpeg
from synthetic_talk import make_talk

from lipsync.errors import InputError
from lipsync.face.detect import MediaPipeDetector
from lipsync.train.clips import TalkingClip, collect_clips, list_clips, matches, read_clip


@pytest.fixture(scope="module")
def long_clip(ffmpeg: Ffmpeg, face_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talk") / "three seconds.mp4"
    return ffmpeg("-stream_loop", 2, "-i", face_clip, "-c", "copy", path)


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeDetector]:
    detector = MediaPipeDetector()
    yield detector
    detector.close()


def test_videos_are_found_by_name_and_only_once(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.MPG", "notes.txt", "c.wav"):
        (tmp_path / name).touch()
    found = list_clips([tmp_path / "b.mp4", tmp_path])
    assert [path.name for path in found] == ["a.MPG", "b.mp4"]


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no video"):
        list_clips([tmp_path])


def test_a_clip_is_read_once_and_then_kept(
    long_clip: Path, tmp_path: Path, detector: MediaPipeDetector
) -> None:
    first = read_clip(long_clip, tmp_path, detector)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    renamed = long_clip.rename(long_clip.with_name("other name.mp4"))
    again = read_clip(renamed, tmp_path, detector)
    renamed.rename(long_clip)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    np.testing.assert_array_equal(first.landmarks, again.landmarks)
    np.testing.assert_array_equal(first.voice.channels, again.voice.channels)
    assert first.seconds == pytest.approx(3, abs=0.1)
    assert first.mouth().shape == (len(first.times), 3)
    assert again.name == "other name"


def test_too_short_a_face_is_left_out_with_its_reason(face_clip: Path, tmp_path: Path) -> None:
    collection = collect_clips([face_clip], tmp_path)
    assert collection.clips == ()
    assert "2 s are needed" in collection.refused[face_clip.name]


def test_times_stay_on_the_grid_of_the_whole_file() -> None:
    whole = make_talk("talk", 1, seconds=4)
    part = TalkingClip(**{**vars(whole), "first_row": 30, "landmarks": whole.landmarks[30:]})
    assert part.times[0] == pytest.approx(1.2)
    assert part.all_times[0] == 0
    np.testing.assert_array_equal(part.seen_part(part.all_times), part.times)
    # the same moments, so the same mouth but for the person's mean face
    opening = np.corrcoef(part.mouth()[:, 0], whole.mouth()[30:, 0])[0, 1]
    assert opening > 0.99


def test_names_match_patterns_in_any_case() -> None:
    assert matches("ve_short_case_AOC", ["*aoc*"])
    assert not matches("grid_1", ["*aoc*", "ve_*"])
