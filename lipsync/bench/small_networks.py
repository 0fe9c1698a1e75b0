"""LatentSync's networks, small and with random weights: what they cost shows in ratios, what they
paint means nothing.

They are of the published kind, layer for layer, but narrow; Whisper's encoder has its own size.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from diffusers.models.autoencoders import AutoencoderKL
from torch import nn

from lipsync.audio.whisper import EncoderSize, WhisperEncoder
from lipsync.engines.latentsync.motion import PositionCode, encode_positions
from lipsync.engines.latentsync.networks import PARAMS_NAME, VAE_KEY, WHISPER_KEY
from lipsync.engines.latentsync.params import UNetParams
from lipsync.engines.latentsync.unet import UNet
from lipsync.engines.latentsync.vae import VAEParams, build_vae
from lipsync.weights import ModelStore

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True)
class Sizes:
    """How large the networks are, and what they work on."""

    unet: UNetParams
    vae: VAEParams
    whisper: EncoderSize
    frames: int = 16  # in a window
    codec_frames: int = 4  # that go through the VAE at once
    resolution: int = 256  # of a face, px
    walk_resolution: int = 128  # px, where whole walks down the schedule are compared
    voice_seconds: float = 60.0
    repeats: int = 3


WHISPER_TINY = EncoderSize(80, 1500, 384, 6, 4)
SMALL = Sizes(
    UNetParams(widths=(32, 64, 64, 64), layers=1, heads=4, motion_heads=4),
    VAEParams(widths=(32, 64, 64, 64), layers=1),
    WHISPER_TINY,
)


def randomise(network: _Network, seed: int = 0) -> _Network:
    """Fill all weights by the seed, in place, and return the network, ready to use.

    Sums of many keep their size, and layers that begin at zero, as if untrained, take part.
    """
    place = next(network.parameters()).device
    generator = torch.Generator(place).manual_seed(seed)
    for name, weight in network.named_parameters():
        weight.requires_grad_(False)
        if weight.dim() > 1:
            weight.normal_(0, 1 / math.sqrt(weight[0].numel()), generator=generator)
        else:
            is_gain = name.endswith(".weight")
            weight.normal_(1.0 if is_gain else 0.0, 0.1, generator=generator)
    return network.eval()


def stir_norms(network: _Network, seed: int = 0) -> _Network:
    """Give batch norms the statistics of having seen something, in place; return the network."""
    generator = torch.Generator().manual_seed(seed)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.1, generator=generator)
            part.running_var.uniform_(0.5, 1.5, generator=generator)
    return network


def make_unet(
    params: UNetParams, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> UNet:
    """Build a random UNet where and as it is to work, without a copy elsewhere."""
    with torch.device("meta"):
        network = UNet(params).to(dtype)
    network.to_empty(device=device)
    for part in network.modules():
        if isinstance(part, PositionCode):
            part.pe.copy_(encode_positions(*part.pe.shape[1:]))
    return randomise(network)


def make_vae(
    params: VAEParams, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> AutoencoderKL:
    """Build a random picture codec."""
    codec = build_vae(params)
    nn.Module.to(codec, device, dtype)  # without the words of diffusers' own
    return randomise(codec)


def make_whisper(size: EncoderSize) -> WhisperEncoder:
    """Build a random Whisper encoder on the CPU."""
    from whisper.model import AudioEncoder  # brings numba and tiktoken

    return WhisperEncoder(randomise(AudioEncoder(*dataclasses.astuple(size))))


def write_checkpoints(folder: Path, key: str, sizes: Sizes = SMALL) -> None:
    """Write all that an engine with the checkpoint `key` needs, as if they were the user's own."""
    from safetensors.torch import save_file
    from whisper.model import AudioEncoder

    store = ModelStore()
    names = {
        checkpoint.key: [file.name for file in checkpoint.files]
        for checkpoint in map(store.checkpoint, (key, VAE_KEY, WHISPER_KEY))
    }
    for part in names:
        (folder / part).mkdir(parents=True)
    network = make_unet(sizes.unet)
    torch.save({"state_dict": network.state_dict()}, folder / key / names[key][0])
    published = dataclasses.asdict(UNetParams())
    stated = dataclasses.asdict(sizes.unet).items()
    changed = {name: value for name, value in stated if value != published[name]}
    (folder / key / PARAMS_NAME).write_text(json.dumps(changed), encoding="utf-8")
    codec = make_vae(sizes.vae)
    config, weights = names[VAE_KEY]
    settings = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in codec.config.items()
    }
    (folder / VAE_KEY / config).write_text(json.dumps(settings), encoding="utf-8")
    save_file(codec.state_dict(), folder / VAE_KEY / weights)
    heard = randomise(AudioEncoder(*dataclasses.astuple(sizes.whisper))).state_dict()
    torch.save(
        {
            "dims": dataclasses.asdict(sizes.whisper),
            "model_state_dict": {f"encoder.{name}": value for name, value in heard.items()},
        },
        folder / WHISPER_KEY / names[WHISPER_KEY][0],
    )
