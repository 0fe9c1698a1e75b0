"""Random numbers: the seed's and the frame's alone, or in the published program's order."""

from __future__ import annotations

import itertools

import pytest
import torch

from lipsync.engines.latentsync.noise import FrameNoise, SequentialNoise

SHAPE = (4, 8, 8)


def test_a_frame_has_noise_of_its_own_wherever_it_is_drawn() -> None:
    noise = FrameNoise(7, 8)
    start, (masked, whole) = noise.draw_start(), noise.draw_choices(100, 5)
    assert masked.shape == whole.shape == (5, *SHAPE)
    assert start.shape == (1, *SHAPE)
    assert masked.dtype == whole.dtype == start.dtype == torch.float32
    again = FrameNoise(7, 8)
    for place in (3, 0, 4, 3):  # another order, one by one, and twice
        one, other = again.draw_choices(100 + place, 1)
        assert torch.equal(one[0], masked[place])
        assert torch.equal(other[0], whole[place])
    assert torch.equal(again.draw_start(), start)


def test_frames_kinds_and_seeds_differ() -> None:
    drawn = [
        values
        for seed in (0, 1)
        for values in (
            FrameNoise(seed, 8).draw_start(),
            *FrameNoise(seed, 8).draw_choices(0, 2),
        )
    ]
    frames = torch.cat(drawn).flatten(1)
    assert len(frames) == 2 * 5
    for one, other in itertools.combinations(frames, 2):
        assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.3


def test_noise_is_standard_normal() -> None:
    for values in FrameNoise(3, 32).draw_choices(0, 16):
        assert float(values.mean()) == pytest.approx(0.0, abs=0.02)
        assert float(values.std()) == pytest.approx(1.0, abs=0.02)
        inside = float((values.abs() < 1).float().mean())
        assert inside == pytest.approx(0.6827, abs=0.02)
    assert float(FrameNoise(3, 64).draw_start().std()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("seed", [-1, -(2**63), 2**63, 2**64 - 1, 2**70])
def test_seeds_of_any_size(seed: int) -> None:
    noise, plain = FrameNoise(seed, 8), FrameNoise(5, 8)
    assert noise.draw_start().isfinite().all()
    assert not torch.equal(noise.draw_start(), plain.draw_start())
    assert not torch.equal(noise.draw_choices(0, 1)[0], plain.draw_choices(0, 1)[0])


@pytest.mark.parametrize("seed", [0, 7, -1, -(2**63)])
def test_it_starts_where_a_generator_of_that_seed_does(seed: int) -> None:
    """Seeds come out of a generator, which knows no negative ones."""
    generator = torch.Generator().manual_seed(seed)
    start = FrameNoise(generator.initial_seed(), 8).draw_start()
    assert torch.equal(start, torch.randn((1, *SHAPE), generator=generator))
    assert torch.equal(start, FrameNoise(seed, 8).draw_start())


def test_the_published_order() -> None:
    """The start once; then of each chunk all erased faces before all whole ones."""
    generator = torch.Generator().manual_seed(11)
    noise = SequentialNoise(torch.Generator().manual_seed(11), 8)
    assert torch.equal(noise.draw_start(), torch.randn((1, *SHAPE), generator=generator))
    for first, count in ((0, 3), (3, 2), (0, 1)):
        masked, whole = noise.draw_choices(first, count)
        assert torch.equal(masked, torch.randn((count, *SHAPE), generator=generator))
        assert torch.equal(whole, torch.randn((count, *SHAPE), generator=generator))
