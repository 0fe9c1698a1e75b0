"""Names and shapes of whole networks, built without memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from golden_folder import Check, Family, Skip
from published_s3fd import S3FD
from published_sfd import S3FDNet
from torch import nn

from lipsync.engines.wav2lip.discriminator import QualityDiscriminator
from lipsync.engines.wav2lip.expert import SyncExpert
from lipsync.engines.wav2lip.generator import Generator
from lipsync.score.syncnet import SyncNet

NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "S": SyncNet,
    "S3FDNet": S3FDNet,
    "Wav2Lip": Generator,
    "SyncNet_color": SyncExpert,
    "Wav2Lip_disc_qual": QualityDiscriminator,
    "s3fd": S3FD,
}


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare the names and shapes of every network that there is."""
    for name, shapes in family.facts.items():
        if name not in NETWORKS:
            yield Skip(f"{family.name}.{name}", "not built yet")
            continue
        with torch.device("meta"):
            network = NETWORKS[name]()
        ours = {key: list(value.shape) for key, value in network.state_dict().items()}
        wrong = [key for key in ours.keys() | shapes if ours.get(key) != shapes.get(key)]
        yield Check(f"{family.name}.{name} ({len(shapes)} names)", len(wrong), 0)
