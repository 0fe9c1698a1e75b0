"""Pasting back: identities first, then that only the mask is touched and no rim appears."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import astronaut

from lipsync.composite.paste import paste_back
from lipsync.face.align import crop_face
from lipsync.face.mask import template_mask
from lipsync.media.colour import frame_from_rgb, rgb_image
from lipsync.types import Frame

FRAME = frame_from_rgb(astronaut())
TURNED = np.array([[2.0, 0.3, -420.0], [-0.3, 2.0, -60.0]], np.float32)
SHRUNK = np.array([[0.6, 0.1, -80.0], [-0.1, 0.6, 0.0]], np.float32)


def _moved(left: int, top: int) -> np.ndarray:
    return np.array([[1, 0, -left], [0, 1, -top]], np.float32)


def _changed(one: Frame, other: Frame) -> np.ndarray:
    """Return (H, W) bool: luma or chroma of the pixel differs."""
    chroma = (one.u != other.u) | (one.v != other.v)
    return (one.y != other.y) | np.repeat(np.repeat(chroma, 2, 0), 2, 1)


@pytest.mark.parametrize("corner", [(140, 60), (-40, -30), (420, 450), (-600, 0)])
def test_native_crop_pasted_back_is_the_frame(corner: tuple[int, int]) -> None:
    matrix = _moved(*corner)
    crop = crop_face(FRAME, matrix, 160)
    part = np.zeros((160, 160), np.float32)
    part[31:120, 17:130] = 0.6
    for mask in (np.ones((160, 160), np.float32), part):
        result = paste_back(FRAME, crop, mask, matrix)
        assert not _changed(result, FRAME).any()


@pytest.mark.parametrize("matrix", [TURNED, SHRUNK, _moved(141, 61)])
def test_resampled_crop_pasted_back_is_nearly_the_frame(matrix: np.ndarray) -> None:
    crop = crop_face(FRAME, matrix, 256)
    result = paste_back(FRAME, crop, template_mask("lower_face", 256), matrix)
    changed = _changed(result, FRAME)
    assert changed.any()
    difference = np.abs(rgb_image(result).astype(int) - rgb_image(FRAME))
    assert difference[changed].mean() < 6


@pytest.mark.parametrize("matrix", [_moved(140, 60), _moved(-30, 400), TURNED, SHRUNK])
def test_only_the_mask_is_touched(matrix: np.ndarray) -> None:
    size = 200
    mask = np.zeros((size, size), np.float32)
    mask[51:150, 40:161] = 0.7
    face = np.full((size, size, 3), (0, 255, 0), np.uint8)
    result = paste_back(FRAME, face, mask, matrix)
    assert result.index == FRAME.index
    changed = _changed(result, FRAME)
    y, x = np.nonzero(changed)
    places = np.stack([x, y], axis=1) @ matrix[:, :2].T + matrix[:, 2]
    # a frame pixel covers this many crop px, and resampling looks one px further
    reach = 2 * np.sqrt(abs(np.linalg.det(matrix[:, :2]))) + 1
    assert len(y) > 100
    assert (places[:, 0] > 40 - reach).all()
    assert (places[:, 0] < 160 + reach).all()
    assert (places[:, 1] > 51 - reach).all()
    assert (places[:, 1] < 149 + reach).all()


def test_the_frame_given_is_not_written_to() -> None:
    before = FRAME.y.copy()
    face = np.zeros((160, 160, 3), np.uint8)
    result = paste_back(FRAME, face, np.ones((160, 160), np.float32), _moved(140, 60))
    assert np.array_equal(FRAME.y, before)
    assert not np.array_equal(result.y, before)


def test_no_dark_rim_where_the_crop_ends() -> None:
    grey = frame_from_rgb(np.full((256, 256, 3), 180, np.uint8))
    face = np.full((100, 100, 3), 180, np.uint8)
    angle = np.radians(17)
    matrix = np.array(
        [[np.cos(angle), -np.sin(angle), -20.3], [np.sin(angle), np.cos(angle), -60.7]], np.float32
    )
    result = paste_back(grey, face, np.ones((100, 100), np.float32), matrix)
    assert np.abs(result.y.astype(int) - grey.y).max() <= 1


def test_empty_mask_and_faraway_crop_change_nothing() -> None:
    face = np.zeros((64, 64, 3), np.uint8)
    for matrix in (_moved(100, 100), TURNED):
        result = paste_back(FRAME, face, np.zeros((64, 64), np.float32), matrix)
        assert not _changed(result, FRAME).any()
    ones = np.ones((64, 64), np.float32)
    for matrix in (_moved(900, 100), np.array([[1, 0, -900.5], [0, 1, 0]], np.float32)):
        assert not _changed(paste_back(FRAME, face, ones, matrix), FRAME).any()
