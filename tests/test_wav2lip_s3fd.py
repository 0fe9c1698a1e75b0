"""The detector that goes with Wav2Lip: its grids, its colours, and which box it settles on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lipsync.engines.wav2lip.s3fd import S3FD, detect_faces, load_s3fd, pick_box
from lipsync.errors import InputError


def save_hollow(path: Path) -> dict[str, Tensor]:
    """Write a whole state dict whose tensors all repeat one zero, so that it weighs nothing."""
    with torch.device("meta"):
        state = S3FD().state_dict()
    hollow = {name: torch.zeros(1).expand(value.shape) for name, value in state.items()}
    torch.save(hollow, path)
    return hollow


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> S3FD:
    """The whole network, loaded from a file whose weights are all zero."""
    path = tmp_path_factory.mktemp("s3fd") / "s3fd-619a316812.pth"
    save_hollow(path)
    return load_s3fd(path)


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
    bias = network.get_submodule("conv4_3_norm_mbox_conf").bias
    with torch.no_grad():
        network.get_submodule("conv4_3_norm_mbox_conf").bias = torch.nn.Parameter(
            torch.tensor([0.0, 2.0]), requires_grad=False
        )
    try:
        faces = detect_faces(network, np.zeros((2, 64, 96, 3), np.uint8))
    finally:
        network.get_submodule("conv4_3_norm_mbox_conf").bias = bias
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


def test_the_other_lineage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sfd_face.pth"
    torch.save({"vgg.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(InputError, match=r"sfd_face.pth lacks 65 of the Wav2Lip face detector's"):
        load_s3fd(path)
