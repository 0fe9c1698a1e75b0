"""What Wav2Lip's networks are trained on: lips against voice, paint against film, pixels.

Faces are (B, 3, T, 96, 96) in [0, 1], BGR; every loss is a scalar, the mean over what it sees.
Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import get_total_norm

from lipsync.engines.wav2lip.discriminator import QualityDiscriminator
from lipsync.engines.wav2lip.expert import SyncExpert, stack_window


@dataclass(frozen=True)
class Shares:
    """How much each part counts in the generator's loss; what they leave of 1 is the pixels'."""

    sync: float  # lips against voice
    quality: float = 0.0  # paint against film, where there is a discriminator

    def mix(self, sync: Tensor | float, pixels: Tensor, quality: Tensor | float = 0.0) -> Tensor:
        """Return the generator's whole loss of its three parts."""
        rest = 1.0 - self.sync - self.quality
        return self.sync * sync + self.quality * quality + rest * pixels


def cosine_loss(heard: Tensor, seen: Tensor, together: Tensor) -> Tensor:
    """Return the cross-entropy of the cosine of (B, D) embeddings, taken as a probability.

    `together` is (B,), 1 where lips and voice belong together, 0 where they do not. The
    embeddings have no negative entries, so the cosine lies in [0, 1].
    """
    # rounding may carry the cosine of two equal vectors beyond 1, where the logarithm ends
    cosine = functional.cosine_similarity(heard, seen).clamp(0.0, 1.0)
    return functional.binary_cross_entropy(cosine, together)


def sync_loss(expert: SyncExpert, mel: Tensor, faces: Tensor) -> Tensor:
    """Return how badly five painted `faces` fit the voice `mel` (B, 1, 80, 16), to the expert."""
    heard, seen = expert(mel, stack_window(faces))
    return cosine_loss(heard, seen, torch.ones(len(mel), device=mel.device))


def quality_loss(discriminator: QualityDiscriminator, faces: Tensor, *, as_filmed: bool) -> Tensor:
    """Return the cross-entropy of taking `faces` for filmed ones, or for painted ones."""
    answer = discriminator(faces)
    wanted = torch.full_like(answer, 1.0 if as_filmed else 0.0)
    return functional.binary_cross_entropy(answer, wanted)


def pixel_loss(painted: Tensor, filmed: Tensor) -> Tensor:
    """Return the mean absolute difference of two batches of faces: the reconstruction loss."""
    return functional.l1_loss(painted, filmed)


def gradient_norm(network: nn.Module) -> Tensor:
    """Return the length of all of a network's gradients as one vector, for the curves."""
    return get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
