"""The picture codec: faces to latents an eighth of their size, and back (a KL autoencoder).

The network itself is diffusers'; here are its sizes, its loading, and the scale that LatentSync's
UNet is used to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers.models.autoencoders import AutoencoderKL
from torch import Tensor

from lipsync.nn.checkpoint import map_weights, take_weights

# older files call the parts of an attention by other names
_RENAMED = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}


@dataclass(frozen=True)
class VAEParams:
    """Shape of the codec; the defaults are those of sd-vae-ft-mse."""

    widths: tuple[int, ...] = (128, 256, 512, 512)  # channels per level; each but one halves
    layers: int = 2  # per level of the encoder; the decoder has one more
    groups: int = 32
    latent_channels: int = 4
    scale: float = 0.18215  # of the latents, as the UNet sees them
    shift: float = 0.0  # taken off before scaling


def build_vae(params: VAEParams) -> AutoencoderKL:
    """Build the codec with random weights."""
    levels = len(params.widths)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=params.widths,
        layers_per_block=params.layers,
        norm_num_groups=params.groups,
        latent_channels=params.latent_channels,
        scaling_factor=params.scale,
        shift_factor=params.shift,
    )


def load_vae(
    path: Path,
    params: VAEParams,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> AutoencoderKL:
    """Build the codec of `params` with the weights in a file, ready to use.

    Raises InputError for a file that cannot be read or that belongs to another network.
    """
    state = map_weights(path)
    with torch.device("meta"):
        network = build_vae(params)
    renamed = replace(state, weights=rename_attention(state.weights))
    take_weights(network, renamed, part="VAE", device=device, dtype=dtype)
    return network


def rename_attention(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `weights` with the older names of attention layers replaced by today's."""
    renamed = {}
    for name, weight in weights.items():
        if ".attentions." in name:
            for old, new in _RENAMED.items():
                name = name.replace(old, new)
        renamed[name] = weight
    return renamed


def encode_faces(vae: AutoencoderKL, faces: Tensor, noise: Tensor) -> Tensor:
    """Return (F, 4, h, w) scaled latents of (F, 3, 8h, 8w) faces in [-1, 1].

    A face has many possible latents; `noise`, (F, 4, h, w) standard normal, chooses one (zeros
    choose the likeliest).
    """
    possible = vae.encode(faces).latent_dist
    chosen: Tensor = possible.mean + possible.std * noise
    return (chosen - vae.config["shift_factor"]) * vae.config["scaling_factor"]


def decode_faces(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Return (F, 3, 8h, 8w) faces, about in [-1, 1] and not clamped, of (F, 4, h, w) latents."""
    unscaled = latents / vae.config["scaling_factor"] + vae.config["shift_factor"]
    decoded: Tensor = vae.decode(unscaled).sample
    return decoded
