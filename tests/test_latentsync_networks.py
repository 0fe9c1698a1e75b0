"""The engine's networks: which files they come from, what is refused, and how much they take."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
import whisper.model
from golden_recipe import make_state
from standin_models import (
    SMALL_UNET,
    SMALL_VAE,
    SMALL_WHISPER,
    make_standins,
    residence_of,
    write_unet,
)

from lipsync.engines.latentsync.engine import LatentSyncEngine
from lipsync.engines.latentsync.networks import (
    read_params,
    read_vae_params,
    use_encoder,
    use_networks,
    weights_memory,
    working_memory,
)
from lipsync.engines.latentsync.params import STAGE2
from lipsync.engines.latentsync.settings import LatentSyncSettings
from lipsync.errors import InputError
from lipsync.residence import Residence
from lipsync.ui.words import words_in

SMALL = LatentSyncSettings(resolution=64, steps=2)


@pytest.fixture(scope="module")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_standins(tmp_path_factory.mktemp("models"), ("latentsync-1.5", "latentsync-1.6"))


@pytest.fixture
def models(standins: Path, tmp_path: Path) -> Path:
    """A copy of the small checkpoints, to be spoilt."""
    return Path(shutil.copytree(standins, tmp_path / "models"))


@pytest.fixture
def residence(models: Path) -> Iterator[Residence]:
    with closing(residence_of(models)) as made:
        yield made


def complain(sentence: str) -> str:
    """Return `sentence` in Chinese, having seen that it is one."""
    assert sentence.endswith(".")
    assert "\n" not in sentence
    said = words_in("zh-CN").sentence(sentence)
    assert said.endswith("。")
    assert not said.startswith("以下是英文原文")
    return said


def write_params(folder: Path, stated: Any) -> Path:
    path = folder / "latentsync-1.5" / "params.json"
    path.write_text(stated if isinstance(stated, str) else json.dumps(stated), encoding="utf-8")
    return path


def test_a_job_has_three_parts(residence: Residence) -> None:
    LatentSyncEngine(residence).load(SMALL)
    names = {part.name: part for part in residence.parts()}
    assert set(names) == {
        "UNet latentsync-1.5",
        "VAE sd-vae-ft-mse",
        "Whisper encoder whisper-tiny",
    }
    assert all((part.dtype, part.device) == ("float32", "cpu") for part in names.values())
    assert all(part.size > 1000 and part.users == 0 for part in names.values())
    LatentSyncEngine(residence).load(dataclasses.replace(SMALL, checkpoint="latentsync-1.6"))
    assert residence.loads == {**dict.fromkeys(names, 1), "UNet latentsync-1.6": 1}


def test_a_unet_of_the_user_s_own_shape(residence: Residence, models: Path) -> None:
    located = residence.store.locate("latentsync-1.5")
    assert located.is_own
    assert read_params(located) == SMALL_UNET
    (models / "latentsync-1.5" / "params.json").unlink()
    assert read_params(located) == STAGE2
    write_params(models, {"audio_width": None, "up_motion": [False, False, False, True]})
    changed = read_params(located)
    assert (changed.audio_width, changed.up_motion) == (None, (False, False, False, True))
    assert dataclasses.replace(changed, audio_width=384, up_motion=STAGE2.up_motion) == STAGE2


def test_the_published_files_have_the_published_shape(residence: Residence) -> None:
    """What lies in the cache was fetched; a file beside it says nothing."""
    own = residence.store.locate("latentsync-1.5")
    assert read_params(own) == SMALL_UNET
    assert read_params(dataclasses.replace(own, is_own=False)) == STAGE2


@pytest.mark.parametrize(
    ("stated", "complaint"),
    [
        ({"depth": 3}, "names 'depth', which is no field of a UNet; it has: in_channels, "),
        ({"heads": "eight"}, "says that heads is 'eight'; give a value like 8."),
        ({"heads": 8.5}, "says that heads is 8.5; give a value like 8."),
        ({"heads": True}, "says that heads is True; give a value like 8."),
        ({"heads": None}, "says that heads is None; give a value like 8."),
        ({"widths": 320}, "says that widths is 320; give a value like [320, 640, 1280, 1280]."),
        ({"widths": ["a", "b"]}, "says that widths is ['a', 'b']; give a value like [320, 640, "),
        ({"mid_motion": 1}, "says that mid_motion is 1; give a value like false."),
        ({"up_motion": [1, 0]}, "says that up_motion is [1, 0]; give a value like [true, true, "),
        ({"eps": "small"}, "says that eps is 'small'; give a value like 1e-05."),
        ({"layers": 0}, "says that layers is 0; give a value like 2."),
        ({"widths": [32, 64]}, "does not give one value per level for each of widths, down_"),
        ({"heads": 7}, "gives widths that are no multiples of 'heads' (7); change one of them."),
        ({"in_channels": 9}, "says that in_channels is 9, and faces are painted with 13; leave"),
        ({"groups": 48}, "gives widths that are no multiples of 'groups' (48); change one"),
        ([1, 2], "holds no JSON object; mend or replace it."),
        ('{"heads": 8', "cannot be read as JSON (Expecting ',' delimiter: line 1 column 12"),
    ],
    ids=str,
)
def test_a_shape_that_makes_no_sense_is_refused(
    residence: Residence, models: Path, stated: Any, complaint: str
) -> None:
    path = write_params(models, stated)
    with pytest.raises(InputError) as refused, use_networks(residence, SMALL):
        raise AssertionError("it was taken")
    assert f"{path} {complaint}" in str(refused.value)
    assert str(path) in complain(str(refused.value))
    assert residence.parts() == ()


def test_text_that_is_no_text_is_refused(residence: Residence, models: Path) -> None:
    path = models / "latentsync-1.5" / "params.json"
    path.write_bytes(b'{"heads": \xff}')
    with pytest.raises(InputError, match="cannot be read as JSON") as refused:
        read_params(residence.store.locate("latentsync-1.5"))
    complain(str(refused.value))


def test_a_whisper_of_another_width_is_refused(residence: Residence, models: Path) -> None:
    dims = dataclasses.replace(SMALL_WHISPER, n_audio_state=48, n_text_state=48)
    state = {
        "dims": dataclasses.asdict(dims),
        "model_state_dict": make_state(whisper.model.Whisper(dims).state_dict()),
    }
    path = models / "whisper-tiny" / "tiny.pt"
    torch.save(state, path)
    with pytest.raises(InputError) as refused, use_encoder(residence, "latentsync-1.5"):
        raise AssertionError("it was taken")
    said = str(refused.value)
    assert said.startswith("tiny.pt gives 48 numbers per feature where the UNet of LatentSync 1.5")
    assert said.endswith(f"hears 32; put the Whisper it was trained with into {path.parent}.")
    complain(said)


def test_a_unet_that_hears_wider_asks_for_the_wider_whisper(
    residence: Residence, models: Path
) -> None:
    shutil.rmtree(models / "latentsync-1.5")
    write_unet(models / "latentsync-1.5", dataclasses.replace(SMALL_UNET, audio_width=768))
    with pytest.raises(InputError, match="whisper-small"), use_encoder(residence, "latentsync-1.5"):
        raise AssertionError("it was taken")


def test_the_codec_s_shape_is_read_from_its_file(standins: Path) -> None:
    found = read_vae_params(standins / "sd-vae-ft-mse" / "config.json")
    assert found == SMALL_VAE


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"layers_per_block": ...}, "layers_per_block is None"),
        ({"block_out_channels": 8}, "block_out_channels is 8"),
        ({"block_out_channels": ["a"]}, "block_out_channels is ['a']"),
        ({"block_out_channels": []}, "block_out_channels is []"),
        ({"norm_num_groups": "four"}, "norm_num_groups is 'four'"),
        ({"latent_channels": -4}, "latent_channels is -4"),
        ({"latent_channels": 16}, "latent_channels is 16"),
    ],
    ids=str,
)
def test_a_codec_that_is_not_described_is_refused(
    residence: Residence, models: Path, changes: dict[str, Any], complaint: str
) -> None:
    path = models / "sd-vae-ft-mse" / "config.json"
    config = {**json.loads(path.read_text("utf-8")), **changes}
    config = {name: value for name, value in config.items() if value is not ...}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError) as refused, use_networks(residence, SMALL):
        raise AssertionError("it was taken")
    said = str(refused.value)
    assert said.startswith(f"{path} does not describe a picture codec")
    assert complaint in said
    complain(said)


@pytest.mark.parametrize("text", ["[]", "{", ""])
def test_a_codec_s_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError, match="JSON") as refused:
        read_vae_params(path)
    complain(str(refused.value))


def test_the_published_weights_in_memory() -> None:
    """1.27 billion numbers of the UNet, 84 million of the VAE and 8 of Whisper's encoder."""
    half, whole = (weights_memory(STAGE2, kind) for kind in (torch.float16, torch.float32))
    numbers = (whole - half) / 2
    assert numbers == pytest.approx(1.267e9 + 92e6, rel=0.01)
    assert half == pytest.approx(2 * numbers + 1.0e9, rel=1e-6)


def test_what_a_window_takes() -> None:
    """Half as much again as was measured at full size: 1215 MB in float32 at 256 px."""
    half = torch.float16
    small, large = LatentSyncSettings(resolution=256), LatentSyncSettings(resolution=512)
    base = working_memory(STAGE2, small, half)
    assert working_memory(STAGE2, small, torch.float32) == pytest.approx(
        1.5 * 1215 * 2**20, rel=0.01
    )
    assert working_memory(STAGE2, large, half) == pytest.approx(4 * base, abs=4)
    assert working_memory(STAGE2, small, torch.float32) == pytest.approx(2 * base, abs=2)
    frugal = dataclasses.replace(small, low_memory=True)
    assert working_memory(STAGE2, frugal, half) == pytest.approx(base / 2, abs=1)
    # with one pass, four pictures in the codec are what takes most, whatever the UNet's size
    plain = dataclasses.replace(small, guidance=1.0)
    coding = 4 * working_memory(SMALL_UNET, frugal, half)
    assert base / 2 < working_memory(STAGE2, plain, half) == pytest.approx(coding, abs=4)


def test_a_job_that_no_memory_holds_is_refused(residence: Residence, models: Path) -> None:
    """Before anything is loaded, and with what to do."""
    write_params(models, {"widths": [32_000_000, 640, 1280, 1280]})
    with pytest.raises(InputError) as refused, use_networks(residence, SMALL):
        raise AssertionError("it was taken")
    said = str(refused.value)
    assert said.startswith("LatentSync 1.5 (256 px) at 64 px needs about ")
    assert "of memory" in said
    assert "choose a preset of lower resolution" in said
    assert "边长 64 px" in complain(said)
    assert residence.parts() == ()
    assert not residence.loads


def test_the_smallest_file_that_is_missing_is_named(residence: Residence, models: Path) -> None:
    shutil.rmtree(models / "sd-vae-ft-mse")
    with pytest.raises(InputError, match="Stable Diffusion VAE") as refused:
        LatentSyncEngine(residence).load(SMALL)
    complain(str(refused.value))
