"""SyncNet v2: its published shape, its quicker form, strips of frames, and files of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden_recipe import fill_weights, make_input, make_state
from torch import Tensor

from lipsync.errors import InputError
from lipsync.score.syncnet import (
    StripSyncNet,
    SyncNet,
    SyncNetParams,
    cut_strips,
    load_syncnet,
)

TINY = SyncNetParams((2, 3, 4, 3, 4, 8), (2, 3, 4, 3, 4, 8), embedding=16)


@pytest.fixture(scope="module")
def network() -> SyncNet:
    """A tiny judge with numbers made of names, in eval mode."""
    tiny = SyncNet(TINY).eval()
    fill_weights(tiny)
    return tiny


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """(9, 3, 224, 224) frames, 0 … 255."""
    return make_input("frames", (9, 3, 224, 224), span=(0, 255))


def complaint(act: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        act()
    said = str(caught.value)
    assert re.fullmatch(r"[^.].*; [^;]+\.", said), said
    return said


def test_it_has_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        state = SyncNet().state_dict()
    convs = {
        "netcnnaud": (0, 4, 8, 11, 14, 18),
        "netcnnlip": (0, 4, 8, 11, 14, 18),
        "netfcaud": (0, 3),
        "netfclip": (0, 3),
    }
    shapes = {
        f"{part}.{index}": list(state[f"{part}.{index}.weight"].shape)
        for part, places in convs.items()
        for index in places
    }
    assert shapes == {
        "netcnnaud.0": [64, 1, 3, 3],
        "netcnnaud.4": [192, 64, 3, 3],
        "netcnnaud.8": [384, 192, 3, 3],
        "netcnnaud.11": [256, 384, 3, 3],
        "netcnnaud.14": [256, 256, 3, 3],
        "netcnnaud.18": [512, 256, 5, 4],
        "netcnnlip.0": [96, 3, 5, 7, 7],
        "netcnnlip.4": [256, 96, 1, 5, 5],
        "netcnnlip.8": [256, 256, 1, 3, 3],
        "netcnnlip.11": [256, 256, 1, 3, 3],
        "netcnnlip.14": [256, 256, 1, 3, 3],
        "netcnnlip.18": [512, 256, 1, 6, 6],
        "netfcaud.0": [512, 512],
        "netfcaud.3": [1024, 512],
        "netfclip.0": [512, 512],
        "netfclip.3": [1024, 512],
    }
    norms = [f"{part}.{i + 1}." for part, places in convs.items() for i in places if i != 3]
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    wanted = {f"{name}.{kind}" for name in shapes for kind in ("weight", "bias")}
    wanted |= {f"{norm}{kind}" for norm in norms for kind in kinds}
    assert state.keys() == wanted


@torch.inference_mode()
def test_a_strip_is_all_its_windows(network: SyncNet, frames: Tensor) -> None:
    quick = StripSyncNet(network)
    windows = torch.stack([frames[start : start + 5] for start in range(5)]).transpose(1, 2)
    slow = network.embed_lips(windows)
    assert slow.shape == (5, 16)
    assert (slow[0] - slow[4]).abs().max() > 1e-2 * slow.abs().max()  # else any order would do
    torch.testing.assert_close(quick.embed_strip(frames), slow, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_folded_it_hears_the_same(network: SyncNet) -> None:
    quick = StripSyncNet(network)
    sound = 10 * make_input("sound", (3, 1, 13, 20))
    heard = network.embed_sound(sound)
    assert heard.shape == (3, 16)
    torch.testing.assert_close(quick.embed_sound(sound), heard, rtol=1e-4, atol=1e-4)
    assert not any("running" in name for name in quick.state_dict())


@torch.inference_mode()
def test_the_judge_stays_as_it_was(network: SyncNet) -> None:
    """Folding copies: the network that was folded still computes with its norms."""
    sound = make_input("sound", (1, 1, 13, 20))
    before, state = network.embed_sound(sound), make_state(network.state_dict())
    StripSyncNet(network)
    torch.testing.assert_close(network.embed_sound(sound), before, rtol=0, atol=0)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)


@pytest.mark.parametrize("count", [0, 4, 5, 6, 7, 8, 13])
def test_every_window_lies_in_one_strip(count: int) -> None:
    strips = list(cut_strips((torch.tensor([i]) for i in range(count)), windows=3))
    assert all(5 <= len(strip) <= 7 for strip in strips)
    windows = [strip[i : i + 5, 0].tolist() for strip in strips for i in range(len(strip) - 4)]
    assert windows == [list(range(i, i + 5)) for i in range(count - 4)]


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_file_without_counters_is_the_network_that_was_saved(
    tmp_path: Path, network: SyncNet, is_zip: bool
) -> None:
    """The published file is from 2018: of the old format."""
    path = tmp_path / "syncnet_v2.model"
    state = {n: v for n, v in network.state_dict().items() if "num_batches" not in n}
    torch.save(state, path, _use_new_zipfile_serialization=is_zip)
    loaded = load_syncnet(path, TINY)
    sound = make_input("sound", (2, 1, 13, 20))
    with torch.inference_mode():
        torch.testing.assert_close(loaded.embed_sound(sound), network.embed_sound(sound))
    assert not loaded.training
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=is_zip)
    load_syncnet(path, TINY)


def test_another_network_is_refused_by_name(tmp_path: Path, network: SyncNet) -> None:
    path, state = tmp_path / "some.model", network.state_dict()
    torch.save({"vgg.0.weight": torch.zeros(1)}, path)
    said = complaint(lambda: load_syncnet(path, TINY))
    assert said.startswith("some.model holds 1 tensors but no SyncNet; choose")
    torch.save({**state, "extra": torch.zeros(1)}, path)
    assert "no place for (1, such as extra)" in complaint(lambda: load_syncnet(path, TINY))
    del state["netfclip.1.running_mean"]
    torch.save(state, path)
    assert "lacks 1 of the SyncNet's" in complaint(lambda: load_syncnet(path, TINY))
    torch.save(network.state_dict(), path)
    assert "in another shape, such as netcnnaud" in complaint(lambda: load_syncnet(path))


def test_a_broken_old_file_is_refused(tmp_path: Path, network: SyncNet) -> None:
    path = tmp_path / "old.model"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for length in (0, 3, 15, 16, 60, 200, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        said = complaint(lambda: load_syncnet(path, TINY))
        assert said.startswith("old.model is ")
        assert said.endswith("; fetch it again or choose another file.")
