"""Who lends a mouth: the likest one, without flicker."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync.engines.draft.choice import OWN, choose_lenders, likeness_cost


def _main(cost: np.ndarray) -> list[int]:
    """The state with the largest share in each frame."""
    return [max(lenders, key=lambda one: one.share).state for lenders in choose_lenders(cost)]


def _costs(wanted: list[float], shapes: list[float]) -> np.ndarray:
    mouths = np.column_stack([wanted, np.full(len(wanted), 0.55)])
    lent = np.column_stack([shapes, np.full(len(shapes), 0.55)])
    return likeness_cost(mouths, np.zeros((len(wanted), 3)), lent, np.zeros((len(shapes), 3)))


def test_likeness_is_best_where_shape_and_angle_agree() -> None:
    cost = _costs([0.1], [0.0, 0.1, 0.2])[0]
    assert cost.argmin() == 1
    assert cost[1] == 0.0
    # a closed mouth stretched open shows no teeth; an open one can be closed
    assert cost[0] > cost[2]
    turned = likeness_cost(
        np.array([[0.1, 0.55]]),
        np.array([[20.0, 0.0, 0.0]]),
        np.array([[0.1, 0.55], [0.1, 0.55], [0.1, 0.62]]),
        np.array([[20.0, 0.0, 30.0], [0.0, 0.0, 0.0], [20.0, 0.0, 0.0]]),
    )[0]
    assert turned[0] == 0.0  # roll is undone by the warp
    assert turned[1] > 1.0
    assert turned[2] > 1.0


def test_a_lasting_change_is_followed() -> None:
    cost = _costs([0.0] * 10 + [0.2] * 10, [0.0, 0.2])
    assert _main(cost) == [0] * 10 + [1] * 10


def test_a_moment_s_advantage_is_not() -> None:
    cost = np.zeros((20, 2))
    cost[:, 1] = 0.4
    cost[10] = (0.6, 0.0)
    assert _main(cost) == [0] * 20


def test_noise_does_not_make_it_flicker() -> None:
    rng = np.random.default_rng(0)
    chosen = np.array(_main(0.3 * rng.random((300, 12))))
    assert np.count_nonzero(np.diff(chosen)) < 10
    # the cheapest of each frame alone would change nearly every time
    assert np.count_nonzero(np.diff((0.3 * rng.random((300, 12))).argmin(axis=1))) > 200


@pytest.mark.parametrize("seed", range(5))
def test_no_path_is_cheaper(seed: int) -> None:
    """Against every path there is, on a small case."""
    cost = np.random.default_rng(seed).random((5, 3)) * 3
    paths = np.stack(np.meshgrid(*[range(3)] * 5), axis=-1).reshape(-1, 5)

    def price(path: np.ndarray) -> float:
        return float(cost[np.arange(5), path].sum() + 1.2 * np.count_nonzero(np.diff(path)))

    assert price(np.array(_main(cost))) == pytest.approx(min(map(price, paths)))


def test_shares_add_up_and_neighbours_fade() -> None:
    cost = np.random.default_rng(2).random((60, 4)) * 4
    for lenders in choose_lenders(cost):
        assert sum(one.share for one in lenders) == pytest.approx(1.0)
        assert 1 <= len(lenders) <= 2
        assert len({one.state for one in lenders}) == len(lenders)
    frames = list(choose_lenders(_costs([0.0] * 5 + [0.2] * 5, [0.0, 0.2])))
    assert [len(lenders) for lenders in frames] == [1] * 4 + [2, 2] + [1] * 4
    assert [one.state for one in frames[4]] == [0, 1]
    assert [one.state for one in frames[5]] == [1, 0]


def test_only_the_own_mouth_and_a_single_frame() -> None:
    assert _main(np.ones((5, 1))) == [OWN] * 5
    assert _main(np.array([[2.0, 1.0]])) == [1]
