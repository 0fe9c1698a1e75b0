"""From the configuration that a recording names to the parameters of our UNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipsync.engines.latentsync.params import UNetParams

# what our network does in one way only; a recording made in another way is refused
_FIXED = {
    "act_fn": "silu",
    "center_input_sample": False,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock3DCrossAttn",
    "motion_module_type": "Vanilla",
    "resnet_time_scale_shift": "default",
}
_FIXED_MOTION = {"temporal_attention_dim_div": 1, "temporal_position_encoding": True}


def read_params(config: Mapping[str, Any]) -> UNetParams:
    """Return the parameters that `config` describes; ValueError for what we have no network for."""
    motion = config["motion_module_kwargs"]
    for source, fixed in ((config, _FIXED), (motion, _FIXED_MOTION)):
        for key, only in fixed.items():
            if source[key] != only:
                raise ValueError(f"{key} is {source[key]!r}; our network knows {only!r} only")
    stages = range(len(config["block_out_channels"]))
    scales = set(config["motion_module_resolutions"]) if config["use_motion_module"] else set()
    in_down = not config["motion_module_decoder_only"]
    return UNetParams(
        in_channels=config["in_channels"],
        out_channels=config["out_channels"],
        widths=tuple(config["block_out_channels"]),
        layers=config["layers_per_block"],
        down_attention=tuple(kind.startswith("CrossAttn") for kind in config["down_block_types"]),
        up_attention=tuple(kind.startswith("CrossAttn") for kind in config["up_block_types"]),
        heads=config["attention_head_dim"],
        groups=config["norm_num_groups"],
        eps=config["norm_eps"],
        audio_width=config["cross_attention_dim"] if config["add_audio_layer"] else None,
        down_motion=tuple(in_down and 2**stage in scales for stage in stages),
        mid_motion=config["use_motion_module"] and config["motion_module_mid_block"],
        # the scale is counted from three, however many stages there are
        up_motion=tuple(2 ** (3 - stage) in scales for stage in stages),
        motion_heads=motion["num_attention_heads"],
        motion_layers=motion["num_transformer_block"],
        motion_attentions=len(motion["attention_block_types"]),
        max_frames=motion["temporal_position_encoding_max_len"],
    )
