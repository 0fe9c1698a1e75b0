"""StableSyncNet: every config's names and shapes, and what it makes of one pair of inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from golden_folder import Check, Family, Skip, largest_error
from golden_recipe import fill_weights, make_input
from golden_syncnet import read_params

from lipsync.score.stable_syncnet import VARIANTS, StableSyncNet

UNIT = 1e-5  # absolute, of vectors of length 1
NORM = 1e-4  # relative
_PREFIX = "syncnet_"  # of a config's name, before that of the variant


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare every config; the Wav2Lip-style judge is another network."""
    for name, case in family.facts["configs"].items():
        if "visual_encoder" not in case["config"]:
            yield Skip(f"{family.name}.{name}", "not built yet: a judge of another kind")
        else:
            yield from check_config(family, name, case)


def check_config(family: Family, name: str, case: Mapping[str, Any]) -> Iterator[Check]:
    """Compare one config's names, size and outputs."""
    vector = f"{family.name}.{name}"
    columns = case["audio_input"]["shape"][-1]
    params = read_params(case["config"], columns * 5 // 16)
    variant = name.removeprefix(_PREFIX)
    if name.startswith(_PREFIX):
        yield Check(f"{vector}.variant", float(VARIANTS.get(variant) != params), 0)
    with torch.device("meta"):
        network = StableSyncNet(params)
    ours = {key: list(value.shape) for key, value in network.state_dict().items()}
    wrong = [key for key in ours.keys() | case["keys"] if ours.get(key) != case["keys"].get(key)]
    yield Check(f"{vector}.keys ({len(case['keys'])} names)", len(wrong), 0)
    counted = sum(weight.numel() for weight in network.parameters())
    yield Check(f"{vector}.num_parameters", abs(counted - case["num_parameters"]), 0)
    network = network.to_empty(device="cpu").eval()
    fill_weights(network, family.salt)
    pictures, mel = (draw_input(case[key], family.salt) for key in ("vision_input", "audio_input"))
    with torch.inference_mode():
        raw = {
            "vision": network.visual_encoder(pictures),
            "audio": network.audio_encoder(mel),
        }
        sight, sound = network.embed_sight(pictures), network.embed_sound(mel)
        cosine = network(pictures, mel).numpy()
    for key, embedded in (("vision", sight), ("audio", sound)):
        recorded = family.arrays[f"{name}.{key}"]
        ours_here = embedded.numpy()[:, : recorded.shape[1]]
        yield Check(f"{vector}.{key}", largest_error(ours_here, recorded), UNIT)
        shape = np.array(raw[key].shape)
        yield Check(
            f"{vector}.raw_{key}_shape", largest_error(shape, np.array(case[f"raw_{key}_shape"])), 0
        )
        stated = np.array(case[f"raw_{key}_norm"])
        norms = raw[key].flatten(1).norm(dim=1).numpy()
        yield Check(
            f"{vector}.raw_{key}_norm (relative)",
            largest_error(norms / stated, stated / stated),
            NORM,
        )
        count = (embedded > 0).sum(dim=1).numpy()
        # an entry that rounding alone puts on the other side of zero
        yield Check(
            f"{vector}.nonzero_{key}", largest_error(count, np.array(case[f"nonzero_{key}"])), 1
        )
    yield Check(f"{vector}.cosine", largest_error(cosine, np.array(case["cosine"])), UNIT)


def draw_input(stated: Mapping[str, Any], salt: str) -> torch.Tensor:
    """Draw the input that a recording names."""
    low, high = stated["uniform"]
    return make_input(stated["tensor"], tuple(stated["shape"]), salt, (low, high))
