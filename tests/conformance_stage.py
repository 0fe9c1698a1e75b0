"""What shape each layer of SyncNet's two networks gives."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from golden_folder import Check, Family, Skip

from lipsync.score.syncnet import SIDE, SOUND_COLUMNS, WINDOW, SyncNet

INPUTS = {"lip": (3, WINDOW, SIDE, SIDE), "aud": (1, 13, SOUND_COLUMNS)}


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare both networks layer by layer, without computing a number."""
    for name, stages in family.facts.items():
        if name not in INPUTS:
            yield Skip(f"{family.name}.{name}", "not built yet")
            continue
        with torch.device("meta"):
            network = SyncNet().eval()
            hidden = torch.empty(stages[0][1][0], *INPUTS[name])
        layers = network.netcnnlip if name == "lip" else network.netcnnaud
        wrong = abs(len(layers) - len(stages))
        for layer, (_, shape) in zip(layers, stages, strict=False):
            hidden = layer(hidden)
            wrong += list(hidden.shape) != shape
        yield Check(f"{family.name}.{name} ({len(stages)} layers)", wrong, 0)
