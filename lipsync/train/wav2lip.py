"""Recipe: Wav2Lip's generator, with or without the visual quality discriminator.

    python -m lipsync prepare wav2lip VIDEOS DATA
    python -m lipsync train syncnet-color DATA runs/expert
    python -m lipsync train wav2lip DATA runs/wav2lip --expert runs/expert/lipsync_expert.pth

Writes ``wav2lip.pth`` (``wav2lip_gan.pth`` with ``--gan``) and its curves into the last folder. The
same command goes on from there, bit for bit as if it had never stopped (on a card as far as its
kernels repeat themselves), and the file is one the engine takes.

Losses, their shares and Adam's settings are the published ones. What differs:

* The expert is frozen *and in eval mode*. The published files never say so: its weights stay, but
  its batch norms use each batch's own statistics and their running ones drift, so that the judge of
  a window depends on the other windows of its batch, and on how long it has been judging.
* Whether the expert takes part yet is in the checkpoint, as is the adversary. In the published
  training a resumed run starts again without it, until the next validation.
* Validation sees the same windows every time, and the untrained network too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam

from lipsync.device import choose_device
from lipsync.engines.wav2lip.convert import load_expert
from lipsync.engines.wav2lip.discriminator import QualityDiscriminator
from lipsync.engines.wav2lip.expert import SyncExpert
from lipsync.engines.wav2lip.generator import Generator, Params
from lipsync.steps import exhaust
from lipsync.train.losses import Shares, gradient_norm, pixel_loss, quality_loss, sync_loss
from lipsync.train.prepared import choose_split, fingerprint, open_videos
from lipsync.train.run import (
    LEARNING_RATE,
    Run,
    Until,
    add_run_options,
    open_run,
    read_config,
    read_until,
    run_recipe,
)
from lipsync.train.windows import EXAM_SEED, PUBLISHED_LEAD, Batch, Windows
from lipsync.weights.ledger import hash_file

FILE, GAN_FILE = "wav2lip.pth", "wav2lip_gan.pth"
BETAS = (0.9, 0.999)  # of Adam
GAN_BETAS = (0.5, 0.999)  # of Adam for both networks, where there are two
SYNC_SHARE, GAN_SYNC_SHARE, QUALITY_SHARE = 0.01, 0.03, 0.07
CURVES = {
    "train": ("l1", "sync", "quality", "total", "grad_norm", "filmed", "painted", "sync_share"),
    "val": ("l1", "sync"),
}


@dataclass(frozen=True)
class Config:
    """Everything the numbers depend on beside the videos and the expert; saved with them."""

    gan: bool = False
    width: int = 32
    batch: int = 16  # windows
    every: int = 3000  # steps from one validation to the next
    exam: int = 512  # windows of a validation
    sync_below: float = 0.75  # a validation's sync loss, from which on the expert takes part
    lead: int = PUBLISHED_LEAD  # frames; see `windows`
    learning_rate: float = LEARNING_RATE
    seed: int = 0


@dataclass
class SyncSchedule:
    """When the expert begins to take part; it never leaves again."""

    share: float  # from then on
    below: float  # the validation's sync loss with which it begins
    is_on: bool = False

    @property
    def now(self) -> float:
        """Its present share of the loss."""
        return self.share if self.is_on else 0.0

    def hear(self, exam_sync_loss: float) -> None:
        """Take note of a validation."""
        self.is_on = self.is_on or exam_sync_loss < self.below


class Adversary:
    """The discriminator that learns beside the generator, and its optimizer."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.network = QualityDiscriminator(Params(config.width)).to(device)
        self.optimizer = Adam(self.network.parameters(), config.learning_rate, GAN_BETAS)


class Trainee:
    """All that a run changes: the generator, its adversary if there is one, and the schedule."""

    def __init__(self, config: Config, device: torch.device) -> None:
        with torch.random.fork_rng(devices=[]):  # the first weights, the only thing left to chance
            torch.manual_seed(config.seed)
            self.generator = Generator(Params(config.width)).to(device)
            self.adversary = Adversary(config, device) if config.gan else None
        betas = GAN_BETAS if config.gan else BETAS
        self.optimizer = Adam(self.generator.parameters(), config.learning_rate, betas)
        share = GAN_SYNC_SHARE if config.gan else SYNC_SHARE
        self.schedule = SyncSchedule(share, config.sync_below)

    def export(self) -> dict[str, Any]:
        """Return its state, the generator's under the published names."""
        state: dict[str, Any] = {
            "state_dict": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sync_is_on": self.schedule.is_on,
        }
        if self.adversary is not None:
            state["discriminator"] = self.adversary.network.state_dict()
            state["discriminator_optimizer"] = self.adversary.optimizer.state_dict()
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `export` returned."""
        self.generator.load_state_dict(state["state_dict"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.is_on = state["sync_is_on"]
        if self.adversary is not None:
            self.adversary.network.load_state_dict(state["discriminator"])
            self.adversary.optimizer.load_state_dict(state["discriminator_optimizer"])


def train(
    data: Path,
    checkpoint: Path,
    expert_file: Path,
    config: Config,
    until: Until,
    device: str | None = None,
) -> None:
    """Train, or go on training, the generator at `checkpoint`; raises LipsyncError.

    `data` is a folder of prepared videos, `device` as `choose_device` takes it.
    """
    place = choose_device(device)
    videos = open_videos(data)
    lessons = Windows(choose_split(videos, "train"), config.seed, config.lead)
    exam = Windows(choose_split(videos, "val"), EXAM_SEED, config.lead)
    expert = load_expert(expert_file).to(place)  # frozen, in eval mode
    trainee = Trainee(config, place)
    facts = {
        **asdict(config),
        "videos": fingerprint(videos),
        "expert": exhaust(hash_file(expert_file))[:16],
    }
    with open_run(checkpoint, facts, CURVES) as run:
        if (state := run.take_state()) is not None:
            trainee.restore(state)
        else:
            _examine(run, trainee, expert, exam, config, place)
        going = run.goes_on(until)
        while going:
            batch = lessons.batch(run.step, config.batch).to(place)
            values = train_step(trainee, expert, batch)
            run.step += 1
            run.note("train", values)
            going = run.goes_on(until)
            is_due = run.step % config.every == 0
            if is_due or not going:
                seen = _examine(run, trainee, expert, exam, config, place)
                if is_due:  # a stop in between must not change what follows
                    trainee.schedule.hear(seen)
                run.save(lessons.epoch(run.step, config.batch), trainee.export())


def train_step(trainee: Trainee, expert: SyncExpert, batch: Batch) -> dict[str, float]:
    """Let the generator learn from one batch, then its adversary; return what `CURVES` names.

    The expert is asked only while it has a share, the adversary only where there is one.
    """
    generator, adversary = trainee.generator.train(), trainee.adversary
    painted = generator(batch.own_mels, batch.faces)
    parts = {"l1": pixel_loss(painted, batch.filmed)}
    shares = Shares(trainee.schedule.now)
    if shares.sync:
        parts["sync"] = sync_loss(expert, batch.mel, painted)
    if adversary is not None:
        shares = replace(shares, quality=QUALITY_SHARE)
        parts["quality"] = quality_loss(adversary.network, painted, as_filmed=True)
    parts["total"] = shares.mix(parts.get("sync", 0.0), parts["l1"], parts.get("quality", 0.0))
    trainee.optimizer.zero_grad()
    parts["total"].backward()
    parts["grad_norm"] = gradient_norm(generator)
    trainee.optimizer.step()
    if adversary is not None:
        parts |= train_adversary(adversary, batch.filmed, painted.detach())
    return {"sync_share": shares.sync, **{name: part.item() for name, part in parts.items()}}


def train_adversary(adversary: Adversary, filmed: Tensor, painted: Tensor) -> dict[str, Tensor]:
    """Let the discriminator learn from (B, 3, T, 96, 96) faces of both kinds; return its losses."""
    adversary.optimizer.zero_grad()  # the generator's step has left gradients here as well
    losses = {
        "filmed": quality_loss(adversary.network, filmed, as_filmed=True),
        "painted": quality_loss(adversary.network, painted, as_filmed=False),
    }
    for loss in losses.values():
        loss.backward()
    adversary.optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}


def _examine(
    run: Run,
    trainee: Trainee,
    expert: SyncExpert,
    exam: Windows,
    config: Config,
    device: torch.device,
) -> float:
    """Look at the fixed validation windows, note and tell what was seen; return the sync loss."""
    trainee.generator.eval()
    count = -(-config.exam // config.batch)
    sums = {"l1": 0.0, "sync": 0.0}
    with torch.inference_mode():
        for step in range(count):
            batch = exam.batch(step, config.batch).to(device)
            painted = trainee.generator(batch.own_mels, batch.faces)
            sums["l1"] += pixel_loss(painted, batch.filmed).item() / count
            sums["sync"] += sync_loss(expert, batch.mel, painted).item() / count
    run.note("val", sums)
    print(
        f"step {run.step}, {run.seconds / 60:.1f} min: validation L1 {sums['l1']:.4f}, "
        f"sync {sums['sync']:.3f} (share {trainee.schedule.now:g})",
        flush=True,
    )
    return sums["sync"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; returns 0, 2 where its inputs are not what they should be, 130 if stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m lipsync train wav2lip",
        description="Train Wav2Lip's generator.",
        allow_abbrev=False,
    )
    add_run_options(parser, batch=Config.batch, every=Config.every, exam=Config.exam)
    parser.add_argument("--expert", type=Path, required=True, metavar="FILE", help="see the recipe")
    parser.add_argument(
        "--gan", action="store_true", help="train the visual quality discriminator against it"
    )
    parser.add_argument(
        "--lead",
        type=int,
        choices=(0, PUBLISHED_LEAD),
        default=PUBLISHED_LEAD,
        help="frames by which a frame's own sound begins before it; default: 1, as published and "
        "as the engine feeds it (0: as the published inference does)",
    )
    options = parser.parse_args(argv)
    config = Config(gan=options.gan, lead=options.lead, **read_config(options))
    checkpoint = options.output / (GAN_FILE if options.gan else FILE)
    until = read_until(options)
    return run_recipe(
        lambda: train(options.data, checkpoint, options.expert, config, until, options.device)
    )


if __name__ == "__main__":
    sys.exit(main())
