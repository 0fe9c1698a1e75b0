"""StableSyncNet: sizes, what it answers, and files of all its variants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden_recipe import fill_weights, make_input
from torch import Tensor

from lipsync.errors import InputError
from lipsync.score.stable_syncnet import (
    VARIANTS,
    EncoderParams,
    StableSyncNet,
    StableSyncNetParams,
    load_stable_syncnet,
)

TINY = StableSyncNetParams(
    EncoderParams(1, (32, 32), ((8, 4), (10, 13)), (False, True)),
    EncoderParams(6, (32, 32, 32), ((1, 2), (4, 4), (4, 4)), (True, False, False)),
    num_frames=2,
)


@pytest.fixture(scope="module")
def network() -> StableSyncNet:
    """A tiny judge with numbers made of names, in eval mode."""
    tiny = StableSyncNet(TINY).eval()
    fill_weights(tiny)
    return tiny


def draw() -> tuple[Tensor, Tensor]:
    return (
        make_input("pictures", (3, 6, 16, 32), span=(-1, 1)),
        make_input("mel", (3, 1, 80, 52), span=(-4, 4)),
    )


def save_hollow(path: Path, params: StableSyncNetParams, **notes: object) -> None:
    """Write a whole state dict whose tensors all repeat one zero, so that it weighs nothing."""
    with torch.device("meta"):
        state = StableSyncNet(params).state_dict()
    hollow = {name: torch.zeros(1).expand(value.shape) for name, value in state.items()}
    torch.save({"state_dict": hollow, **notes}, path)


@torch.inference_mode()
def test_it_answers_with_the_cosine_of_two_unit_vectors(network: StableSyncNet) -> None:
    pictures, mel = draw()
    sight, sound = network.embed_sight(pictures), network.embed_sound(mel)
    assert sight.shape == sound.shape == (3, 32)
    for embedded in (sight, sound):
        assert embedded.min() == 0
        torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))
    found = network(pictures, mel)
    torch.testing.assert_close(found, (sight * sound).sum(dim=1))
    assert found.shape == (3,)
    assert len(found.unique()) == 3


def test_an_input_of_another_size_is_a_mistake(network: StableSyncNet) -> None:
    with pytest.raises(ValueError, match="does not shrink to one place"):
        network.embed_sight(torch.zeros(1, 6, 32, 64))


@pytest.mark.parametrize(
    ("name", "numbers", "sight", "columns"),
    [
        ("16_pixel", 371_766_496, (48, 128, 256), 52),
        ("16_pixel_attn", 401_306_080, (48, 128, 256), 52),
        ("25_pixel", 103_742_144, (75, 128, 256), 80),
        ("16_latent", 65_544_416, (64, 32, 32), 52),
    ],
)
def test_every_variant_has_its_published_size(
    name: str, numbers: int, sight: tuple[int, int, int], columns: int
) -> None:
    params = VARIANTS[name]
    assert (params.sight_shape, params.mel_columns) == (sight, columns)
    with torch.device("meta"):
        network = StableSyncNet(params)
        assert network(torch.empty(2, *sight), torch.empty(2, 1, 80, columns)).shape == (2,)
    assert sum(weight.numel() for weight in network.parameters()) == numbers


@pytest.mark.parametrize("name", VARIANTS)
def test_a_file_is_recognised_as_its_variant(tmp_path: Path, name: str) -> None:
    path = tmp_path / "stable_syncnet.pt"
    losses = {"global_step": 300, "train_step_list": [100, 200], "train_loss_list": [0.6, 0.5]}
    save_hollow(path, VARIANTS[name], **losses)
    assert load_stable_syncnet(path).params == VARIANTS[name]


def test_a_file_is_the_network_that_was_saved(tmp_path: Path, network: StableSyncNet) -> None:
    path = tmp_path / "tiny.pt"
    torch.save({"state_dict": network.state_dict(), "global_step": 5}, path)
    loaded = load_stable_syncnet(path, TINY)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(*draw()), network(*draw()))
    assert not loaded.training


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    torch.save({"state_dict": {"conv_in.weight": torch.zeros(1)}}, path)
    with pytest.raises(InputError, match=r"some.pt holds 1 tensors but no StableSyncNet; choose"):
        load_stable_syncnet(path)
    sound = replace(TINY.sound, attention=(False, False))
    save_hollow(path, replace(TINY, sound=sound))
    with pytest.raises(InputError, match=r"lacks 22 of the StableSyncNet's"):
        load_stable_syncnet(path, TINY)
    save_hollow(path, TINY)
    with pytest.raises(InputError, match=r"holds tensors that the StableSyncNet has no place for"):
        load_stable_syncnet(path, replace(TINY, sound=sound))
