"""The detector that goes with Wav2Lip: its grids, its colours, and which box it settles on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from published_s3fd import S3FD, detect_faces, pick_box
from torch import Tensor


@pytest.fixture(scope="module")
def network() -> S3FD:
    """The whole network, its weights all zero."""
    with torch.device("meta"):
        network = S3FD()
    network.to_empty(device="cpu").eval().requires_grad_(False)
    for weight in network.parameters():
        weight.zero_()
    return network


@torch.inference_mode()
def test_it_looks_at_six_grids_of_which_the_last_are_larger_than_the_picture(
    network: S3FD,
) -> None:
    heads = network(torch.zeros(2, 3, 64, 96))
    assert [tuple(head.boxes.shape) for head in heads] == [
        (2, 4, *grid) for grid in [(16, 24), (8, 12), (4, 6), (6, 7), (3, 4), (2, 2)]
    ]
    assert [head.classes.shape[1] for head in heads] == [4, 2, 2, 2, 2, 2]


def test_it_sees_red_green_blue_less_the_means_of_blue_green_red(network: S3FD) -> None:
    seen: list[Tensor] = []
    hook = network.conv1_1.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    pictures = np.full((1, 64, 96, 3), (200, 120, 10), np.uint8)
    try:
        (faces,) = detect_faces(network, pictures)
    finally:
        hook.remove()
    assert seen[0][0, :, 5, 5].tolist() == [96.0, 3.0, -113.0]
    assert faces.shape == (0, 5)  # at zero weights nothing is likelier than not


def test_it_finds_what_its_heads_are_sure_of(network: S3FD) -> None:
    """Of the finest grid only the fourth class is a face; every picture has its own boxes."""
    bias = network.get_parameter("conv4_3_norm_mbox_conf.bias")
    bias[1] = 2.0
    try:
        faces = detect_faces(network, np.zeros((2, 64, 96, 3), np.uint8))
    finally:
        bias.zero_()
    assert len(faces) == 2
    for found in faces:
        assert found.dtype == np.float64
        np.testing.assert_allclose(found[:, 4], 1 / (1 + np.exp(-2.0)), rtol=1e-5)
        # squares of 32 px around places 8 px apart; those that stay cover less than 0.3
        np.testing.assert_allclose(found[0, :4], [-12, -12, 20, 20], atol=1e-4)
        assert len(found) < 8 * 12
        np.testing.assert_allclose(found[:, 2:4] - found[:, :2], 32, atol=1e-3)


def test_the_surest_face_is_the_one_cut_off_at_the_edge() -> None:
    faces = np.array([[-3.2, 4.9, 80.7, 99.99, 0.97], [10, 10, 60, 60, 0.9]])
    box = pick_box(faces)
    assert box is not None
    assert box.tolist() == [0, 4, 80, 99]
    assert pick_box(faces[:0]) is None
