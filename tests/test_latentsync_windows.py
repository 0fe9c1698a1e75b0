"""Cutting a scene into windows and joining them: every frame once, and no border to be seen."""

from __future__ import annotations

import itertools

import pytest
import torch

from lipsync.engines.latentsync.windows import (
    WINDOW,
    Place,
    join_windows,
    pad_window,
    plan_windows,
)


@pytest.mark.parametrize("overlap", range(9))
def test_every_frame_is_finished_once_and_neighbours_share(overlap: int) -> None:
    for total in range(1, 71):
        places = list(plan_windows(total, overlap))
        finished = [frame for place in places for frame in range(place.start, place.until)]
        assert finished == list(range(total))
        assert all(place.length == WINDOW for place in places)
        assert all(0 < place.stop - place.start <= WINDOW for place in places)
        assert all(one.stop - two.start == overlap for one, two in itertools.pairwise(places))
        assert all(place.stop - place.start == WINDOW for place in places[:-1])
        assert places[-1].stop == total
        # no window that has nothing new to show
        assert len(places) == 1 or places[-1].stop > places[-2].stop


def test_windows_of_the_published_program() -> None:
    assert list(plan_windows(40, 0, is_padded=False)) == [
        Place(0, 16, 16, 16),
        Place(16, 32, 16, 32),
        Place(32, 40, 8, 40),
    ]
    assert [place.length for place in plan_windows(32, 0, is_padded=False)] == [16, 16]
    assert [place.length for place in plan_windows(5, 0, is_padded=False)] == [5]


def test_windows_with_shared_frames() -> None:
    assert list(plan_windows(40, 4)) == [
        Place(0, 16, 16, 12),
        Place(12, 28, 16, 24),
        Place(24, 40, 16, 40),
    ]


@pytest.mark.parametrize("overlap", [-1, 9])
def test_a_frame_has_two_windows_at_most(overlap: int) -> None:
    with pytest.raises(ValueError, match=f"cannot share {overlap}"):
        next(plan_windows(40, overlap))


@pytest.mark.parametrize("overlap", range(1, 9))
def test_one_window_passes_into_the_next(overlap: int) -> None:
    before, after = torch.zeros(overlap, 2, 3, 3), torch.ones(WINDOW, 2, 3, 3)
    joined = join_windows(before, after)
    shares = joined[:, 0, 0, 0]
    assert torch.equal(joined, shares[:, None, None, None].expand_as(joined))
    assert torch.equal(shares[overlap:], torch.ones(WINDOW - overlap))
    # the first and the last are even steps from the pure windows on either side
    torch.testing.assert_close(shares[:overlap], torch.arange(1, overlap + 1) / (overlap + 1))


def test_where_windows_agree_nothing_changes() -> None:
    after = torch.arange(16.0).view(16, 1, 1, 1)
    assert torch.equal(join_windows(after[:4], after), after)
    assert torch.equal(join_windows(after[:0], after), after)


def test_a_short_window_repeats_its_last_frame() -> None:
    values = torch.arange(6.0).view(3, 2)
    padded = pad_window(values, 5)
    assert padded.tolist() == [[0, 1], [2, 3], [4, 5], [4, 5], [4, 5]]
    assert pad_window(values, 3) is values
