"""The UNet's vectors: names and shapes, forward passes, and one pass backward."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from golden_folder import Check, Family, largest_error
from golden_recipe import fill_weights, make_input
from golden_unet import read_params
from torch.nn import functional

from lipsync.engines.latentsync.unet import UNet

FORWARD = 1e-4  # absolute, float32
GRADIENT = 1e-3  # of the recorded norm
_NOISE = 1e-4  # one below this is rounding: a bias in front of a norm has no gradient

Config = Mapping[str, Any]


def check(family: Family) -> Iterator[Check]:
    """Compare a full-size network's names, or the tiny networks' outputs and gradients."""
    facts = family.facts
    if "cases" not in facts:
        yield from check_full_size(family)
        return
    for name in facts:
        if name.startswith("keys_"):
            config = facts["configs"][name.removeprefix("keys_")]
            yield compare_names(f"{family.name}.{name}", config, facts[name])
    for name in facts["cases"]:
        error = largest_error(run_case(family, name), family.arrays[name])
        yield Check(f"{family.name}.{name}", error, FORWARD)
    if "train" in facts:
        yield from check_gradients(family)


def check_full_size(family: Family) -> Iterator[Check]:
    """Compare a network, built without memory, with its published names and shapes."""
    facts = family.facts
    if "missing" in facts:  # written as a difference to the whole stage-2 network
        whole = json.loads(family.path.with_name("unet_keys_stage2.json").read_text("utf-8"))
        config = {**whole["model_config"], "motion_module_decoder_only": True}
        shapes = {**whole["keys"], **dict(facts["extra"])}
        shapes = {name: shapes[name] for name in shapes.keys() - set(facts["missing"])}
    else:
        config, shapes = facts["model_config"], facts["keys"]
    yield compare_names(f"{family.name}.keys", config, shapes)
    counted = sum(weight.numel() for weight in build_empty(config).parameters())
    yield Check(f"{family.name}.num_parameters", abs(counted - facts["num_parameters"]), 0)


def build_empty(config: Config) -> UNet:
    """Build the network of `config` on the meta device: names and shapes, no numbers."""
    with torch.device("meta"):
        return UNet(read_params(config))


def compare_names(vector: str, config: Config, shapes: Mapping[str, list[int]]) -> Check:
    """Count the names that are missing, unknown or of another shape."""
    ours = {name: list(value.shape) for name, value in build_empty(config).state_dict().items()}
    wrong = [name for name in ours.keys() | shapes.keys() if ours.get(name) != shapes.get(name)]
    return Check(f"{vector} ({len(shapes)} names)", len(wrong), 0)


def build_filled(family: Family, config: str) -> UNet:
    """Build the family's network called `config` with the weights that its names make."""
    network = UNet(read_params(family.facts["configs"][config]))
    fill_weights(network, family.salt)
    return network


def run_case(family: Family, name: str) -> np.ndarray:
    """Return what the forward pass called `name` predicts."""
    case = family.facts["cases"][name]
    network = build_filled(family, case["config"]).eval()
    latents = make_input(case["sample_tensor"], tuple(case["sample_shape"]), family.salt)
    audio = None
    if case["audio"] is not None:
        audio = make_input(case["audio"]["tensor"], tuple(case["audio"]["shape"]), family.salt)
    with torch.inference_mode():
        found: np.ndarray = network(latents, torch.tensor(case["timestep"]), audio).numpy()
    return found


def check_gradients(family: Family) -> Iterator[Check]:
    """Compare the loss of one training step and the norm of every parameter's gradient."""
    train, salt = family.facts["train"], family.salt
    network = build_filled(family, train["config"]).train()
    batch, channels, frames, *size = train["target_shape"]
    target = make_input(train["target"], (batch, channels, frames, *size), salt)
    inputs = (batch, network.params.in_channels, frames, *size)
    latents = make_input(train["sample"], inputs, salt)
    heard = next(case["audio"] for case in family.facts["cases"].values() if case["audio"])
    audio = make_input(train["audio"], (batch * frames, *heard["shape"][1:]), salt)
    loss = functional.mse_loss(network(latents, torch.tensor(train["timestep"]), audio), target)
    torch.autograd.backward(loss)
    yield Check(f"{family.name}.train.loss", abs(loss.item() - train["loss"]), FORWARD)
    found = {n: w.grad.norm().item() for n, w in network.named_parameters() if w.grad is not None}
    errors = [
        abs(found.get(name, np.nan) - norm) / max(norm, _NOISE)
        for name, norm in train["grad_l2"].items()
    ]
    yield Check(f"{family.name}.train.grad_l2 (relative)", float(np.max(errors)), GRADIENT)
