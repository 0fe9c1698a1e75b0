"""The whole engine's vectors: the picture codec by itself; the scenarios wait for the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from golden_folder import Check, Family, Skip, largest_error
from golden_recipe import fill_weights, make_input

from lipsync.engines.latentsync.vae import VAEParams, build_vae

NETWORK = 1e-4  # absolute, float32


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare the codec's names, means, variances and pictures."""
    yield from check_vae(family)
    for name in family.facts["scenarios"]:
        yield Skip(f"{family.name}.{name}", "not built yet")


def read_vae_params(config: Mapping[str, Any]) -> VAEParams:
    """Return the parameters that a recorded codec's configuration describes."""
    return VAEParams(
        widths=tuple(config["block_out_channels"]),
        layers=config["layers_per_block"],
        groups=config["norm_num_groups"],
        latent_channels=config["latent_channels"],
        scale=config["scaling_factor"],
        shift=config["shift_factor"],
    )


def check_vae(family: Family) -> Iterator[Check]:
    """Compare the codec with recipe weights, apart from any scale."""
    vae = build_vae(read_vae_params(family.facts["vae_config"])).eval()
    fill_weights(vae, family.salt)
    ours = {name: list(value.shape) for name, value in vae.state_dict().items()}
    named = family.facts["vae_keys"]
    wrong = [name for name in ours.keys() | named.keys() if ours.get(name) != named.get(name)]
    yield Check(f"{family.name}.vae_keys ({len(named)} names)", len(wrong), 0)
    recorded = family.arrays
    pictures = make_input("vae.input", recorded["vae.decoded"].shape, family.salt, (-1, 1))
    latents = make_input("vae.latent", recorded["vae.mean"].shape, family.salt)
    with torch.inference_mode():
        possible = vae.encode(pictures).latent_dist
        found = {
            "vae.mean": possible.mean,
            "vae.logvar": possible.logvar,
            "vae.decoded": vae.decode(latents).sample,
        }
    for name, value in found.items():
        error = largest_error(value.numpy(), recorded[name])
        yield Check(f"{family.name}.{name}", error, NETWORK)
