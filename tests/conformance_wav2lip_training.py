"""One batch of Wav2Lip's training: the losses on given faces, and two steps of the recipe.

The first step's losses agree to the last digits. What follows from its gradients does not: where a
norm sees ten numbers only, and Adam makes a whole step of any gradient's sign, float64 itself lies
4e-5 off what was recorded in the gradient's norm, 7e-5 in the second sync loss and 2e-5 in the
running means, and one thread against two 4e-4 in the norm.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from conformance_wav2lip import ANSWER, compare
from golden_folder import Check, Family
from golden_recipe import fill_weights, make_input

from lipsync.engines.wav2lip.discriminator import QualityDiscriminator
from lipsync.engines.wav2lip.expert import SyncExpert
from lipsync.train.losses import Shares, cosine_loss, pixel_loss, quality_loss, sync_loss
from lipsync.train.wav2lip import (
    GAN_SYNC_SHARE,
    QUALITY_SHARE,
    SYNC_SHARE,
    Config,
    Trainee,
    train_step,
)
from lipsync.train.windows import Batch

LOSS = 2e-5  # absolute
AFTER = 2e-4  # absolute, of what follows from a gradient
NORM = 1e-3  # absolute, of a gradient's length
_SHAPE = (2, 3, 5, 96, 96)


def training_checks(family: Family) -> Iterator[Check]:
    """Compare the losses on given faces, then two steps of the recipe."""
    expert = SyncExpert().eval().requires_grad_(False)
    fill_weights(expert, family.salt)
    yield from check_losses(family, expert)
    yield from check_steps(family, expert)


@torch.inference_mode()
def check_losses(family: Family, expert: SyncExpert) -> Iterator[Check]:
    """Compare each part of the generator's loss, its two mixtures, and the expert's own loss."""
    salt = family.salt
    discriminator = QualityDiscriminator().eval()
    fill_weights(discriminator, salt)
    mel = make_input("train.mel", (2, 1, 80, 16), salt, (-4, 4))
    painted = make_input("train.g", _SHAPE, salt, (0, 1))
    filmed = make_input("train.gt", _SHAPE, salt, (0, 1))
    sync, pixels = sync_loss(expert, mel, painted), pixel_loss(painted, filmed)
    quality = quality_loss(discriminator, painted, as_filmed=True)
    yield compare(family, "train_sync_loss", sync, ANSWER)
    yield compare(family, "train_l1", pixels, ANSWER)
    yield compare(family, "train_total_wt0.01", Shares(SYNC_SHARE).mix(sync, pixels), ANSWER)
    total = Shares(GAN_SYNC_SHARE, QUALITY_SHARE).mix(sync, pixels, quality)
    yield compare(family, "train_total_hq", total, ANSWER)
    mel = make_input("sync.mel", (3, 1, 80, 16), salt, (-4, 4))
    window = make_input("sync.window", (3, 15, 48, 96), salt, (0, 1))
    heard, seen = expert(mel, window)
    for together in (1, 0):
        loss = cosine_loss(heard, seen, torch.full((3,), float(together)))
        yield compare(family, f"train_cosine_loss_y{together}", loss, ANSWER)


def check_steps(family: Family, expert: SyncExpert) -> Iterator[Check]:
    """Compare the losses of two steps, and what the first norm has seen in them."""
    salt = family.salt
    trainee = Trainee(Config(), torch.device("cpu"))
    fill_weights(trainee.generator, salt)
    trainee.schedule.is_on = True
    batch = Batch(
        faces=make_input("train.x", (2, 6, 5, 96, 96), salt, (0, 1)),
        own_mels=make_input("train.indiv", (2, 5, 1, 80, 16), salt, (-4, 4)),
        mel=make_input("train.mel", (2, 1, 80, 16), salt, (-4, 4)),
        filmed=make_input("train.gt", _SHAPE, salt, (0, 1)),
    )
    recorded = family.arrays["train_two_steps"]
    for number, (losses, tolerance) in enumerate(zip(recorded, (LOSS, AFTER), strict=True), 1):
        values = train_step(trainee, expert, batch)
        for name, value in zip(("l1", "sync", "total", "grad_norm"), losses, strict=True):
            allowed = NORM if name == "grad_norm" else tolerance
            vector = f"{family.name}.train_two_steps.{number}.{name}"
            yield Check(vector, abs(values[name] - float(value)), allowed)
    norm = trainee.generator.face_encoder_blocks[0][0].conv_block[1]
    for name in ("mean", "var"):
        ours = getattr(norm, f"running_{name}")
        yield compare(family, f"train_bn0_running_{name}", np.asarray(ours), AFTER)
