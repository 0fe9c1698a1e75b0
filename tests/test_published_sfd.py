"""The detector that goes with SyncNet: its shape, and how its answer is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from published_grids import Heads, prior_boxes
from published_sfd import S3FDNet, detect_published, find_boxes
from torch import Tensor

GRIDS = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]
SIZE = (64, 96)


def empty_heads() -> list[Heads]:
    """Six grids that are sure of no face anywhere."""
    heads = []
    for level, (rows, columns) in enumerate(GRIDS):
        classes = torch.zeros(1, 4 if level == 0 else 2, rows, columns)
        classes[:, :-1] = 9.0
        heads.append(Heads(classes, torch.zeros(1, 4, rows, columns)))
    return heads


@pytest.fixture(scope="module")
def network() -> S3FDNet:
    """The whole network, its weights all zero."""
    with torch.device("meta"):
        network = S3FDNet()
    hollow = {n: torch.zeros(1).expand(w.shape) for n, w in network.state_dict().items()}
    network.load_state_dict(hollow, assign=True)
    return network


@torch.inference_mode()
def test_it_looks_at_six_grids(network: S3FDNet) -> None:
    heads = network(torch.zeros(2, 3, *SIZE))
    assert [tuple(head.boxes.shape) for head in heads] == [(2, 4, *grid) for grid in GRIDS]
    assert [head.classes.shape[1] for head in heads] == [4, 2, 2, 2, 2, 2]
    state = network.state_dict()
    assert len(state) == 65
    assert state["vgg.31.weight"].shape == (1024, 512, 3, 3)
    assert state["L2Norm4_3.weight"].shape == (512,)


@torch.inference_mode()
def test_an_odd_height_is_rounded_up_once(network: S3FDNet) -> None:
    """The third pooling keeps a last row that the others would drop."""
    heads = network(torch.zeros(1, 3, 60, 100))
    assert [tuple(head.boxes.shape[2:]) for head in heads[:3]] == [(15, 25), (8, 13), (4, 6)]


def test_priors_are_squares_around_their_places() -> None:
    priors = prior_boxes(GRIDS, SIZE)
    assert priors.shape == (16 * 24 + 96 + 24 + 6 + 2 + 1, 4)
    np.testing.assert_allclose(priors[25] * [96, 64, 96, 64], [6, 6, 16, 16], rtol=1e-6)
    np.testing.assert_allclose(priors[-1] * [96, 64, 96, 64], [64, 64, 512, 512], rtol=1e-6)


def test_a_box_is_its_prior_moved_and_stretched() -> None:
    heads = empty_heads()
    heads[1].classes[0, :, 2, 5] = torch.tensor([0.0, 3.0])
    heads[1].boxes[0, :, 2, 5] = torch.tensor([1.0, -2.0, np.log(2) / 0.2, 0.0])
    (found,) = find_boxes(heads, SIZE)
    assert found[0] == pytest.approx(1 / (1 + np.exp(-3)))
    x, y = 5.5 * 8 + 0.1 * 32, 2.5 * 8 - 0.2 * 32
    np.testing.assert_allclose(
        found[1:] * [96, 64, 96, 64], [x - 32, y - 16, x + 32, y + 16], rtol=1e-4, atol=1e-3
    )


def test_the_finest_grid_needs_more_than_its_likeliest_background() -> None:
    heads = empty_heads()
    heads[0].classes[0, :, 3, 4] = torch.tensor([0.0, 1.0, 2.5, 3.0])
    (found,) = find_boxes(heads, SIZE)
    assert found[0] == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_it_sees_colours_less_their_mean_and_answers_in_px(network: S3FDNet) -> None:
    """Without weights all places are as likely as not, and every box is its prior."""
    seen: list[Tensor] = []
    network.vgg[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image = np.zeros((128, 192, 3), np.uint8)
    image[...] = (200, 120, 10)
    assert len(detect_published(network, image, min_score=0.6, scale=0.5)) == 0
    assert seen[0].shape == (1, 3, *SIZE)
    assert seen[0][0, :, 9, 9].tolist() == [77.0, 3.0, -94.0]
    found = detect_published(network, image, min_score=0.4, scale=0.5)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[:, 4], 0.5)
    np.testing.assert_allclose(found[0, :4], [-12, -12, 20, 20], atol=1e-3)  # 16 px, twice
