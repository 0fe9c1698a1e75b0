"""Faces become numbers, the mask erases what is to be filled, and the surroundings come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from lipsync.engines.latentsync.prepare import (
    keep_mask,
    paste_surroundings,
    prepare_faces,
    scale_faces,
    shrink_mask,
)
from lipsync.face.mask import template_mask


def faces(size: int = 64, count: int = 3) -> np.ndarray:
    return np.stack([astronaut()[k : k + size, 150 : 150 + size] for k in range(count)])


def test_the_mask_keeps_a_frame_around_the_lower_face() -> None:
    mask = keep_mask(256)
    assert mask.shape == (256, 256)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    erased = (mask == 0).nonzero()
    assert erased.amin(dim=0).tolist() == [95, 9]
    assert erased.amax(dim=0).tolist() == [242, 247]
    assert len(erased) == 26673
    assert mask[110, 128] == 1.0  # between the eyes, down to the nose
    ours = torch.from_numpy(template_mask("lower_face", 256, feather=0.0)) > 0.5
    assert (ours == (mask == 0)).double().mean() > 0.98  # the outline others fill in


@pytest.mark.parametrize("resolution", [64, 384, 512])
def test_the_mask_at_other_sizes_is_the_same_shape(resolution: int) -> None:
    mask = keep_mask(resolution)
    assert mask.shape == (resolution, resolution)
    assert ((mask > 0) & (mask < 1)).any()
    assert float(mask.mean()) == pytest.approx(float(keep_mask(256).mean()), abs=2e-3)
    latent = shrink_mask(mask)
    assert latent.shape == (resolution // 8, resolution // 8)
    assert torch.equal(latent[3, 5], mask[24, 40])


def test_a_mask_without_whole_latents_is_refused() -> None:
    with pytest.raises(ValueError, match="60, 60"):
        shrink_mask(torch.ones(60, 60))


def test_levels_become_minus_one_to_one() -> None:
    ramp = np.zeros((1, 16, 16, 3), np.uint8)
    ramp[0] = np.arange(256).reshape(16, 16, 1)
    values = scale_faces(ramp, 16)
    assert values.dtype == torch.float32
    assert values.shape == (1, 3, 16, 16)
    assert (values.min(), values.max()) == (-1.0, 1.0)
    assert torch.equal(((values[0, 0] + 1) * 127.5).round(), torch.arange(256.0).reshape(16, 16))


def test_another_size_is_averaged_not_sampled() -> None:
    board = np.indices((128, 128)).sum(axis=0) % 2 * 255
    image = np.repeat(board[None, :, :, None], 3, axis=3).astype(np.uint8)
    small = scale_faces(image, 32)
    assert small[:, :, 4:-4, 4:-4].abs().max() < 0.02
    levels = (small + 1) * 127.5
    assert torch.allclose(levels, levels.round(), atol=1e-4)


def test_masked_faces_are_grey_where_erased() -> None:
    given = faces()
    prepared = prepare_faces(given, 64)
    keep = prepared.keep.expand_as(prepared.pixels)
    assert (prepared.masked[keep == 0] == 0).all()
    assert torch.equal(prepared.masked[keep == 1], prepared.pixels[keep == 1])
    assert torch.equal(prepared.pixels, scale_faces(given, 64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_only_the_erased_part_is_taken_from_the_network(dtype: torch.dtype) -> None:
    prepared = prepare_faces(faces(), 64)
    decoded = torch.full_like(prepared.pixels, 3.0, dtype=dtype)
    combined = paste_surroundings(decoded, prepared)
    assert combined.dtype == dtype
    keep = prepared.keep.expand_as(combined)
    assert torch.equal(combined[keep == 1], prepared.pixels[keep == 1].to(dtype))
    assert (combined[keep == 0] == 3.0).all()
    own = paste_surroundings(prepared.pixels, prepared)
    assert torch.allclose(own, prepared.pixels, atol=1e-6)
