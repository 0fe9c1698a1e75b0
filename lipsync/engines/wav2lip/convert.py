"""From a published or trained file to a network, whatever container its weights came in.

Known are: the dict of a training run (weights, optimizer and counters), a bare state dict, a
TorchScript archive, and torch files from before 1.6; with or without the ``module.`` that training
on several GPUs puts before every name. Which it is, is told by the content. Nothing in a file is
executed; the optimizer's numbers are mapped and never read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from lipsync.engines.wav2lip.discriminator import QualityDiscriminator
from lipsync.engines.wav2lip.expert import SyncExpert
from lipsync.engines.wav2lip.generator import Generator, Params
from lipsync.errors import InputError
from lipsync.nn.checkpoint import CHOOSE, map_weights, take_weights

_SHELL = "module."  # put before every name by training on several GPUs
_KINDS = {  # a layer that only this network has -> what it is called
    "output_block.1.weight": "Wav2Lip generator",
    "binary_pred.0.weight": "visual quality discriminator",
    "face_encoder.0.conv_block.0.weight": "lip-sync expert",
}
_Network = TypeVar("_Network", bound=nn.Module)


def load_generator(path: Path, params: Params | None = None) -> Generator:
    """Build the generator in a file, ready to predict: CPU, float32, eval, without gradients.

    Without `params` it is as large as the file's. Its weights may stay in the mapped file, which
    must not be overwritten meanwhile. Raises InputError for a file that is absent or damaged, or
    that holds another network, one of another width, or not exactly this network's tensors.
    """
    return _load(path, "Wav2Lip generator", Generator, params)


def load_expert(path: Path, params: Params | None = None) -> SyncExpert:
    """Build the lip-sync expert in a file, as `load_generator` does."""
    return _load(path, "lip-sync expert", SyncExpert, params)


def load_discriminator(path: Path, params: Params | None = None) -> QualityDiscriminator:
    """Build the visual quality discriminator in a file, as `load_generator` does."""
    return _load(path, "visual quality discriminator", QualityDiscriminator, params)


def _load(
    path: Path, part: str, build: Callable[[Params], _Network], params: Params | None
) -> _Network:
    mapped = map_weights(path)
    state = replace(mapped, weights=_bare_names(mapped.weights))
    found = next((kind for layer, kind in _KINDS.items() if layer in state.weights), None)
    if found is None:
        count = len(state.weights)
        raise InputError(f"{path.name} holds {count} tensors but no {part}; {CHOOSE}.")
    if found != part:
        raise InputError(f"{path.name} holds a {found} (needed: a {part}); {CHOOSE}.")
    try:
        size = Params.of(state.weights)
    except ValueError as error:
        raise InputError(
            f"{path.name} holds a {part} whose width cannot be told; {CHOOSE}."
        ) from error
    if params is not None and size != params:
        raise InputError(
            f"{path.name} holds a {part} of width {size.width} (needed: {params.width}); {CHOOSE}."
        )
    with torch.device("meta"):
        network = build(size)
    take_weights(network, state, part=part, device="cpu", dtype=torch.float32)
    return network


def _bare_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the names that they have on a single GPU."""
    bare = {}
    for name, weight in weights.items():
        while name.startswith(_SHELL):
            name = name.removeprefix(_SHELL)
        bare[name] = weight
    return bare
