"""The detector that goes with SyncNet: its shape, how its answer is read, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lipsync.errors import InputError
from lipsync.nn.s3fd import Heads, prior_boxes
from lipsync.score.sfd import S3FDNet, detect_published, find_boxes, load_sfd

GRIDS = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]
SIZE = (64, 96)


def save_hollow(path: Path) -> dict[str, Tensor]:
    """Write a whole state dict whose tensors all repeat one zero, so that it weighs nothing."""
    with torch.device("meta"):
        state = S3FDNet().state_dict()
    hollow = {name: torch.zeros(1).expand(value.shape) for name, value in state.items()}
    torch.save(hollow, path)
    return hollow


def empty_heads() -> list[Heads]:
    """Six grids that are sure of no face anywhere."""
    heads = []
    for level, (rows, columns) in enumerate(GRIDS):
        classes = torch.zeros(1, 4 if level == 0 else 2, rows, columns)
        classes[:, :-1] = 9.0
        heads.append(Heads(classes, torch.zeros(1, 4, rows, columns)))
    return heads


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> S3FDNet:
    """The whole network, loaded from a file whose weights are all zero."""
    path = tmp_path_factory.mktemp("sfd") / "sfd_face.pth"
    save_hollow(path)
    return load_sfd(path)


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


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.pth"
    state = save_hollow(path)
    del state["extras.2.bias"]
    torch.save(state, path)
    with pytest.raises(InputError, match=r"some.pth lacks 1 of the S3FD's 65 tensors, such as ex"):
        load_sfd(path)
