"""Weights made of names: any network whose names and shapes agree gets the same numbers.

The golden vectors were recorded with these, so a conformance run needs no weight file. It knows
names, shapes and a salt; it does not know what network they belong to.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

# what a network computes for itself rather than learns: left as the network made it
COMPUTED = ("pos_encoder.pe", "positional_embedding_table", "num_batches_tracked", "mel_filters")


def _generator(name: str, salt: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32((salt + name).encode("utf-8")))


def make_input(
    name: str, shape: tuple[int, ...], salt: str = "", span: tuple[float, float] | None = None
) -> Tensor:
    """Draw the float32 input called `name`: standard normal, or uniform on ``[low, high)``."""
    generator = _generator(name, salt)
    drawn = generator.standard_normal(shape) if span is None else generator.uniform(*span, shape)
    return torch.from_numpy(drawn.astype(np.float32))


def make_weight(name: str, shape: tuple[int, ...], salt: str = "") -> Tensor:
    """Draw the float32 weight called `name`.

    Kernels and matrices have a deviation of 1/sqrt(fan in); of the vectors, a norm's gain lies
    around one, a running variance in [0.5, 1.5), and everything else is 0.1 wide around zero.
    """
    generator = _generator(name, salt)
    kind = name.rpartition(".")[2]
    if len(shape) > 1:
        drawn = generator.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
    elif kind == "running_var":
        drawn = generator.uniform(0.5, 1.5, shape)
    else:
        drawn = 0.1 * generator.standard_normal(shape) + (1.0 if kind == "weight" else 0.0)
    return torch.from_numpy(np.asarray(drawn, dtype=np.float32))


def _is_learned(name: str, value: Tensor) -> bool:
    return value.is_floating_point() and not name.endswith(COMPUTED)


def make_state(state: Mapping[str, Tensor], salt: str = "") -> dict[str, Tensor]:
    """Return a state dict like `state` with every learned number drawn from its name."""
    return {
        name: make_weight(name, tuple(value.shape), salt).to(value.dtype)
        if _is_learned(name, value)
        else value.clone()
        for name, value in state.items()
    }


@torch.no_grad()
def fill_weights(network: nn.Module, salt: str = "") -> None:
    """Give `network` its drawn weights, in place and one after the other."""
    for name, value in network.state_dict().items():
        if _is_learned(name, value):
            value.copy_(make_weight(name, tuple(value.shape), salt))
