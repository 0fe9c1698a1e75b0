"""What a job gives LatentSync's networks, and when, noted while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from lipsync.engines.latentsync.networks import Networks, use_networks
from lipsync.engines.latentsync.settings import LatentSyncSettings
from lipsync.residence import Residence


@contextmanager
def lent(residence: Residence) -> Iterator[Networks]:
    with use_networks(residence, LatentSyncSettings(resolution=64)) as networks:
        yield networks


@contextmanager
def before_each(
    networks: Iterable[nn.Module], note: Callable[[torch.Tensor], None]
) -> Iterator[None]:
    """Call `note` with what each of the networks is given first, whenever one is run."""
    with ExitStack() as hooks:
        for network in networks:
            hook = network.register_forward_pre_hook(lambda _, inputs: note(inputs[0]))
            hooks.callback(hook.remove)
        yield


@contextmanager
def unet_calls(residence: Residence) -> Iterator[list[torch.Tensor]]:
    """Note what the UNet is given: (passes, 13, F, h, w), once per call."""
    seen: list[torch.Tensor] = []
    with lent(residence) as networks, before_each([networks.unet], seen.append):
        yield seen
