"""Small checkpoints in the containers and under the names of the official ones.

They go into a folder of the user's own, where the app takes them for the real thing. Their numbers
are drawn by name, so they paint no mouths, but always the same picture.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import torch
from golden_recipe import fill_weights, make_state
from safetensors.torch import load_file, save_file
from whisper.model import ModelDimensions, Whisper

from lipsync.engines.latentsync.params import UNetParams
from lipsync.engines.latentsync.unet import UNet
from lipsync.engines.latentsync.vae import VAEParams, build_vae
from lipsync.engines.wav2lip.generator import Generator, Params
from lipsync.residence import Residence
from lipsync.score.syncnet import SyncNet
from lipsync.weights import CHECKPOINTS, ModelStore

AUDIO_WIDTH = 32
SMALL_UNET = UNetParams(
    widths=(32, 32, 32, 64),
    layers=1,
    heads=4,
    audio_width=AUDIO_WIDTH,
    motion_heads=4,
    # attention is what takes long, so it is where faces are smallest only
    down_attention=(False, False, True, False),
    up_attention=(False, True, False, False),
    down_motion=(False, False, True, False),
    up_motion=(False, True, False, False),
)
SMALL_VAE = VAEParams(widths=(8, 8, 8, 8), layers=1, groups=4)
SMALL_GENERATOR = Params(width=2)
_LOUD = 1.15  # times a drawn weight, so that a small generator's mouths follow the voice
SMALL_WHISPER = ModelDimensions(
    n_mels=80,
    n_audio_ctx=1500,
    n_audio_state=AUDIO_WIDTH,
    n_audio_head=2,
    n_audio_layer=1,
    n_vocab=40,
    n_text_ctx=8,
    n_text_state=AUDIO_WIDTH,
    n_text_head=2,
    n_text_layer=1,
)


def make_standins(folder: Path, keys: tuple[str, ...] = ("latentsync-1.5",)) -> Path:
    """Write a UNet under each of `keys`, the VAE and Whisper into `folder`, and return it."""
    for key in keys:
        write_unet(folder / key, salt=key)
    write_vae(folder / "sd-vae-ft-mse")
    write_whisper(folder / "whisper-tiny")
    return folder


def residence_of(models: Path) -> Residence:
    """Return a residence on the processor to which `models` is the user's own folder."""
    return Residence(ModelStore(models.parent / "cache", models), device="cpu")


def write_unet(folder: Path, params: UNetParams = SMALL_UNET, salt: str = "") -> None:
    """Write a UNet as training writes it, and beside it what differs from the published shape."""
    folder.mkdir(parents=True)
    network = UNet(params)
    fill_weights(network, salt)
    state = {"global_step": 1, "state_dict": network.state_dict()}
    torch.save(state, folder / "latentsync_unet.pt")
    published = dataclasses.asdict(UNetParams())
    changed = {k: v for k, v in dataclasses.asdict(params).items() if v != published[k]}
    (folder / "params.json").write_text(json.dumps(changed), encoding="utf-8")


def write_vae(folder: Path) -> None:
    """Write a picture codec with its ``config.json``."""
    folder.mkdir(parents=True)
    codec = build_vae(SMALL_VAE)
    fill_weights(codec)
    save_file(codec.state_dict(), folder / "diffusion_pytorch_model.safetensors")
    config = {name: list(v) if isinstance(v, tuple) else v for name, v in codec.config.items()}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def change_codec(models: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Let `change` put other numbers into the picture codec that lies in `models`."""
    path = models / "sd-vae-ft-mse" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)


def write_whisper(folder: Path) -> None:
    """Write a whole Whisper, decoder and all."""
    folder.mkdir(parents=True)
    state = make_state(Whisper(SMALL_WHISPER).state_dict())
    dims = dataclasses.asdict(SMALL_WHISPER)
    torch.save({"dims": dims, "model_state_dict": state}, folder / "tiny.pt")


def write_wav2lip(folder: Path, params: Params = SMALL_GENERATOR) -> Path:
    """Write a generator as published training writes it, under the name of the table's row that
    `folder` is called by; return the file."""
    folder.mkdir(parents=True)
    (row,) = [row for row in CHECKPOINTS if row.key == folder.name]
    network = Generator(params)
    fill_weights(network, row.key)
    weights = {
        f"module.{name}": value * _LOUD if value.ndim > 1 else value
        for name, value in network.state_dict().items()
    }
    path = folder / row.files[0].name
    state = {"state_dict": weights, "optimizer": None, "global_step": 1, "global_epoch": 1}
    torch.save(state, path)
    return path


def write_syncnet(folder: Path) -> None:
    """Write a SyncNet in its published size, 54 MB, as a bare state dict."""
    folder.mkdir(parents=True)
    torch.save(make_state(SyncNet().state_dict()), folder / "syncnet_v2.model")
