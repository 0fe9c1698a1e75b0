"""From the configuration that a recording names to the parameters of our StableSyncNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipsync.score.stable_syncnet import EncoderParams, StableSyncNetParams


def read_params(config: Mapping[str, Any], num_frames: int) -> StableSyncNetParams:
    """Return the parameters of `config`; ValueError for what we have no network for.

    What it sees is latents where `num_frames` times 3 colours are not its channels.
    """
    sound, sight = (_read_encoder(config[f"{part}_encoder"]) for part in ("audio", "visual"))
    return StableSyncNetParams(sound, sight, num_frames, sight.channels != 3 * num_frames)


def _read_encoder(config: Mapping[str, Any]) -> EncoderParams:
    if config["dropout"] != 0.0:
        raise ValueError(f"dropout is {config['dropout']!r}; our network knows 0 only")
    widths, factors = config["block_out_channels"], config["downsample_factors"]
    return EncoderParams(
        config["in_channels"],
        tuple(widths),
        tuple((one, one) if isinstance(one, int) else tuple(one) for one in factors),
        tuple(map(bool, config.get("attn_blocks", [0] * len(widths)))),
    )
