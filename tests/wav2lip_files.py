"""Small files of Wav2Lip's generator, as PyTorch and as ONNX, and something for it to paint."""

from __future__ import annotations

from pathlib import Path

import torch
from golden_recipe import fill_weights, make_input
from torch import Tensor

from lipsync.engines.wav2lip.generator import Generator, Params

TINY = Params(2)


def write_checkpoint(path: Path, params: Params = TINY) -> Path:
    """Write a generator with weights made of names and return `path`."""
    network = Generator(params)
    fill_weights(network)
    torch.save({"state_dict": network.state_dict()}, path)
    return path


def make_batch(size: int) -> tuple[Tensor, Tensor]:
    """Return `size` mels and faces, each row another."""
    mels = make_input("mels", (size, 1, 80, 16), span=(-4, 4))
    return mels, make_input("faces", (size, 6, 96, 96), span=(0, 1))
