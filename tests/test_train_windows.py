"""Windows: which there are, what is in a sample, and that it follows from seed and number alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from made_windows import RUNS, make_numbered

from lipsync.engines.wav2lip.chunks import chunk_starts
from lipsync.errors import InputError
from lipsync.train.prepared import PreparedVideo
from lipsync.train.windows import Windows, first_column, window_starts

FIRST_ROWS = [*range(8), *range(12, 21)]  # of every window of five frames within a run


@pytest.fixture
def videos(tmp_path: Path) -> list[PreparedVideo]:
    return [make_numbered(tmp_path, number) for number in range(3)]


def rows_of(faces: torch.Tensor) -> list[list[int]]:
    """Return the rows that BGR faces (..., 3, 5, 96, 96) show at the top, where none is hidden."""
    return (faces[..., 2, :, 0, 0] * 255).round().int().tolist()


def frame_of(row: int) -> int:
    return RUNS[0][row] if row < len(RUNS[0]) else RUNS[1][row - len(RUNS[0])]


def test_windows_lie_within_one_run() -> None:
    starts = window_starts(RUNS, num_columns=1000, lead=0)
    assert starts[:, 1].tolist() == FIRST_ROWS
    assert starts[:, 0].tolist() == [frame_of(row) for row in FIRST_ROWS]
    assert window_starts([range(4)], num_columns=1000, lead=0).shape == (0, 2)


@pytest.mark.parametrize(("lead", "frames"), [(0, [0, 1]), (1, [1, 2])])
def test_windows_have_all_of_their_sound(lead: int, frames: list[int]) -> None:
    """The last frame's sound ends with column 32: it begins `lead` frames before frame 5 or 6."""
    starts = window_starts([range(20)], num_columns=32, lead=lead)
    assert starts[:, 0].tolist() == frames


def test_a_frame_hears_in_training_what_the_engine_lets_it_hear() -> None:
    ours = [first_column(frame - 1) for frame in range(200)]
    assert ours == chunk_starts(200, Fraction(25)).tolist()


def test_what_is_in_a_sample(videos: list[PreparedVideo]) -> None:
    batch = Windows(videos, seed=1).batch(step=0, size=6)
    assert batch.faces.shape == (6, 6, 5, 96, 96)
    assert batch.filmed.shape == (6, 3, 5, 96, 96)
    assert batch.own_mels.shape == (6, 5, 1, 80, 16)
    assert batch.mel.shape == (6, 1, 80, 16)
    assert all(part.dtype == torch.float32 for part in vars(batch).values())
    hidden, other = batch.faces[:, :3], batch.faces[:, 3:]
    assert torch.equal(hidden[..., :48, :], batch.filmed[..., :48, :])
    assert not hidden[..., 48:, :].any()
    right, wrong = rows_of(batch.filmed), rows_of(other)
    assert rows_of(other[..., 95:, :]) == wrong  # whole, down to its last line
    for one, two in zip(right, wrong, strict=True):
        assert one != two
        assert {one[0], two[0]} <= set(FIRST_ROWS)
        assert (one, two) == ([*range(one[0], one[0] + 5)], [*range(two[0], two[0] + 5)])
    assert torch.equal(other[:, 0], batch.filmed[:, 0])  # of the same video, by its blue
    for number, rows in enumerate(right):
        frame = frame_of(rows[0])
        assert batch.mel[number, 0, 0].tolist() == [*range(80 * frame // 25, 80 * frame // 25 + 16)]
        own = batch.own_mels[number, :, 0, 0, 0].tolist()
        assert own == [80 * (frame + place - 1) // 25 for place in range(5)]


def test_the_lead_can_be_left_out(videos: list[PreparedVideo]) -> None:
    batch = Windows(videos, seed=1, lead=0).batch(step=0, size=2)
    assert torch.equal(batch.own_mels[:, 0], batch.mel)


def test_batches_follow_from_seed_and_step_alone(videos: list[PreparedVideo]) -> None:
    windows, again, other = (Windows(videos, seed) for seed in (1, 1, 2))
    windows.batch(0, 4)
    for step in (7, 0):
        one, two = vars(windows.batch(step, 4)), vars(again.batch(step, 4))
        assert all(torch.equal(one[part], two[part]) for part in one)
    assert not torch.equal(other.batch(7, 4).filmed, again.batch(7, 4).filmed)
    assert not torch.equal(windows.batch(8, 4).filmed, windows.batch(7, 4).filmed)


def test_every_epoch_takes_each_video_once(videos: list[PreparedVideo]) -> None:
    windows = Windows(videos, seed=1)
    blue = windows.batch(0, 12).filmed[:, 0, 0, 0, 0] * 255
    epochs = blue.round().int().reshape(4, 3).tolist()
    assert all(sorted(epoch) == [0, 1, 2] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [windows.epoch(step, 2) for step in (0, 1, 2, 3)] == [0, 0, 1, 2]


def test_the_expert_gets_right_and_wrong_mouths(videos: list[PreparedVideo]) -> None:
    batch = Windows(videos, seed=1).sync_batch(step=0, size=60)
    assert batch.faces.shape == (60, 3, 5, 96, 96)
    assert batch.mel.shape == (60, 1, 80, 16)
    shown = [first_column(frame_of(rows[0])) for rows in rows_of(batch.faces)]
    heard = batch.mel[:, 0, 0, 0].int().tolist()
    assert [float(a == b) for a, b in zip(shown, heard, strict=True)] == batch.together.tolist()
    assert 15 < batch.together.sum() < 45


def test_no_video_is_one_sentence() -> None:
    with pytest.raises(InputError, match="two or more are needed"):
        Windows([], seed=0)


def test_a_video_without_two_windows_is_one_sentence(tmp_path: Path) -> None:
    video = make_numbered(tmp_path, 5, runs=[range(5, 10)])
    with pytest.raises(InputError, match=r"\(5\.mp4\) has no two windows"):
        Windows([video], seed=0)


def test_mapped_arrays_are_left_alone(videos: list[PreparedVideo]) -> None:
    before = np.array(videos[0].faces())
    Windows(videos[:1], seed=1).batch(0, 4)
    np.testing.assert_array_equal(videos[0].faces(), before)
