"""The published program's crop and paste-back, against the plain whole-picture way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from lipsync.engines.latentsync.reference_crop import (
    ReferenceTemplate,
    crop_reference,
    paste_reference,
    reference_matrices,
    reference_weight,
    stretch_reference,
)
from lipsync.face.align import fit_similarities

ANCHORS = np.array([[197.0, 95.0], [247.0, 93.0], [224.0, 122.0]])


def matrix_at(x: float = 0.0, y: float = 0.0, resolution: int = 64) -> np.ndarray:
    template = ReferenceTemplate(resolution)
    return reference_matrices((ANCHORS + np.array([x, y]))[None], template)[0]


def face_of(value: float, side: int = 64) -> torch.Tensor:
    return torch.full((3, side, side), value)


@pytest.mark.parametrize(
    ("resolution", "width", "height"),
    [(64, 52, 70), (256, 210, 280), (384, 314, 419), (512, 420, 560)],
)
def test_crops_have_the_published_sizes(resolution: int, width: int, height: int) -> None:
    template = ReferenceTemplate(resolution)
    assert (template.width, template.height) == (width, height)


def test_the_drift_remembers_a_fifth() -> None:
    template = ReferenceTemplate(256)
    turned = ANCHORS + np.array([[0.0, 0.0], [0.0, 0.0], [9.0, -4.0]])
    run = np.stack([ANCHORS, turned, turned])
    plain = fit_similarities(run, template.places)
    drift = (reference_matrices(run, template) - plain)[:, :, 2]
    alone = (reference_matrices(run, template, memory=0.0) - plain)[:, :, 2]
    assert np.allclose(drift[0], alone[0], atol=1e-4)
    assert np.allclose(drift[1], 0.2 * alone[0] + 0.8 * alone[1], atol=1e-4)
    assert np.allclose(drift[2], 0.2 * drift[1] + 0.8 * alone[2], atol=1e-4)
    assert np.abs(alone[0] - alone[1]).max() > 0.05
    assert np.abs(drift).max() < 1.0


def test_a_crop_is_a_bilinear_look_up() -> None:
    image = astronaut()
    template = ReferenceTemplate(256)
    matrix = matrix_at(resolution=256)
    crop = crop_reference(image, matrix, template)
    assert crop.shape == (280, 210, 3)
    plain = cv2.warpAffine(image.astype(np.float32), matrix, (210, 280), flags=cv2.INTER_LINEAR)
    inside = np.abs(crop[5:-5, 5:-5] - plain[5:-5, 5:-5])  # OpenCV's positions are coarser
    assert inside.mean() < 0.8
    face = stretch_reference(crop, template)
    assert face.shape == (256, 256, 3)
    assert face.dtype == np.uint8


def test_beyond_the_picture_a_crop_is_grey() -> None:
    template = ReferenceTemplate(64)
    white = np.full((512, 512, 3), 255, np.uint8)
    crop = crop_reference(white, matrix_at(x=-195), template)
    assert (crop[:, 0] == 127).all()
    assert (crop[:, -5:] == 255).all()
    assert (crop_reference(white, matrix_at(x=-5000), template) == 127).all()


@pytest.mark.parametrize("place", [(0.0, 0.0), (-190.0, -80.0), (280.0, 20.0), (100.0, 395.0)])
def test_pasting_near_the_face_is_pasting_over_the_whole_picture(
    place: tuple[float, float],
) -> None:
    """The same steps over all pixels, with the sampling written out anew."""
    image, template, matrix = astronaut(), ReferenceTemplate(64), matrix_at(*place)
    x, y = np.meshgrid(np.arange(512.0), np.arange(512.0))
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    across = np.clip(np.minimum(u + 1, template.width - u), 0, 1)
    down = np.clip(np.minimum(v + 1, template.height - v), 0, 1)
    covered = (across * down).astype(np.float32)
    mask = cv2.erode(covered, np.ones((2, 2)))
    edge = int(np.sqrt(mask.sum())) // 20
    small = cv2.erode(mask, np.ones((2 * edge, 2 * edge)) if edge else np.ones((3, 3)))
    soft = cv2.GaussianBlur(small, (2 * edge + 1, 2 * edge + 1), 0.3 * (edge - 1) + 0.8)
    level = 255 * np.clip((0.5 * covered + (1 - covered) * 127) / 2 + 0.5, 0, 1)
    wanted = soft[:, :, None] * (mask * level)[:, :, None] + (1 - soft[:, :, None]) * image
    found = paste_reference(image, face_of(0.5), matrix, template)
    assert np.abs(found - wanted).max() < 1.1  # truncation
    assert np.array_equal(found[soft == 0], image[soft == 0])
    assert np.allclose(reference_weight((512, 512), matrix, template), soft, atol=1e-3)


def test_a_sliver_of_a_face_at_the_very_edge_is_pasted() -> None:
    """However little of the crop lies inside the picture, nothing but that is touched."""
    image, template = astronaut(), ReferenceTemplate(64)
    for x in np.arange(300.0, 360.0, 3.0):
        pasted = paste_reference(image, face_of(1.0), matrix_at(x=x), template)
        assert np.array_equal(pasted[:, :400], image[:, :400])


def test_a_face_outside_the_picture_changes_nothing() -> None:
    image, template = astronaut(), ReferenceTemplate(64)
    matrix = matrix_at(x=3000)
    assert np.array_equal(paste_reference(image, face_of(1.0), matrix, template), image)
    assert not reference_weight((512, 512), matrix, template).any()


def test_the_picture_given_is_left_as_it_was() -> None:
    image = astronaut()
    paste_reference(image, face_of(-1.0), matrix_at(), ReferenceTemplate(64))
    assert np.array_equal(image, astronaut())


def test_crop_and_paste_give_the_picture_back() -> None:
    image, template = astronaut(), ReferenceTemplate(512)
    matrix = matrix_at(resolution=512)
    face = stretch_reference(crop_reference(image, matrix, template), template)
    values = torch.from_numpy(face).permute(2, 0, 1).float() / 127.5 - 1
    pasted = paste_reference(image, values, matrix, template)
    assert np.abs(pasted.astype(int) - image).mean() < 0.2
