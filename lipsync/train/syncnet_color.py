"""Recipe: the lip-sync expert, which tells whether five mouths and 0.2 s of voice belong together.

    python -m lipsync prepare wav2lip VIDEOS DATA
    python -m lipsync train syncnet-color DATA runs/expert

Writes ``lipsync_expert.pth`` and its curves into the last folder; the same command goes on from
there. It is what ``train wav2lip`` needs as its judge; the published one was trained until its
validation loss was about 0.25, from 0.69 of one that cannot tell.

A sample is the mel of a window with that window's mouths, or, half of the time, with those of
another window of the same video. Validation, in eval mode, sees the same windows every time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim import Adam

from lipsync.device import choose_device
from lipsync.engines.wav2lip.expert import SyncExpert, stack_window
from lipsync.engines.wav2lip.generator import Params
from lipsync.train.losses import cosine_loss, gradient_norm
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
from lipsync.train.windows import EXAM_SEED, SyncBatch, Windows

FILE = "lipsync_expert.pth"
CURVES = {"train": ("sync", "grad_norm"), "val": ("sync", "right")}


@dataclass(frozen=True)
class Config:
    """Everything the numbers depend on beside the videos; saved with them."""

    width: int = 32
    batch: int = 64  # windows
    every: int = 10_000  # steps from one validation to the next
    exam: int = 512  # windows of a validation
    learning_rate: float = LEARNING_RATE
    seed: int = 0


class Trainee:
    """All that a run changes: the network and its optimizer."""

    def __init__(self, config: Config, device: torch.device) -> None:
        with torch.random.fork_rng(devices=[]):  # the first weights, the only thing left to chance
            torch.manual_seed(config.seed)
            self.expert = SyncExpert(Params(config.width)).to(device)
        self.optimizer = Adam(self.expert.parameters(), config.learning_rate)

    def export(self) -> dict[str, Any]:
        """Return its state under the published names."""
        return {"state_dict": self.expert.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `export` returned."""
        self.expert.load_state_dict(state["state_dict"])
        self.optimizer.load_state_dict(state["optimizer"])


def train(
    data: Path, checkpoint: Path, config: Config, until: Until, device: str | None = None
) -> None:
    """Train, or go on training, the expert at `checkpoint`; raises LipsyncError.

    `data` is a folder of prepared videos, `device` as `choose_device` takes it.
    """
    place = choose_device(device)
    videos = open_videos(data)
    lessons = Windows(choose_split(videos, "train"), config.seed)
    exam = Windows(choose_split(videos, "val"), EXAM_SEED)
    trainee = Trainee(config, place)
    facts = {**asdict(config), "videos": fingerprint(videos)}
    with open_run(checkpoint, facts, CURVES) as run:
        if (state := run.take_state()) is not None:
            trainee.restore(state)
        else:
            _examine(run, trainee, exam, config, place)
        going = run.goes_on(until)
        while going:
            batch = lessons.sync_batch(run.step, config.batch).to(place)
            values = train_step(trainee, batch)
            run.step += 1
            run.note("train", values)
            going = run.goes_on(until)
            if run.step % config.every == 0 or not going:
                _examine(run, trainee, exam, config, place)
                run.save(lessons.epoch(run.step, config.batch), trainee.export())


def train_step(trainee: Trainee, batch: SyncBatch) -> dict[str, float]:
    """Let the expert learn from one batch; returns what goes into the curve."""
    trainee.expert.train()
    heard, seen = trainee.expert(batch.mel, stack_window(batch.faces))
    loss = cosine_loss(heard, seen, batch.together)
    trainee.optimizer.zero_grad()
    loss.backward()
    norm = gradient_norm(trainee.expert)
    trainee.optimizer.step()
    return {"sync": loss.item(), "grad_norm": norm.item()}


def _examine(
    run: Run, trainee: Trainee, exam: Windows, config: Config, device: torch.device
) -> None:
    """Look at the fixed validation windows, note and tell what was seen."""
    trainee.expert.eval()
    count = -(-config.exam // config.batch)
    sums = {"sync": 0.0, "right": 0.0}
    with torch.inference_mode():
        for step in range(count):
            batch = exam.sync_batch(step, config.batch).to(device)
            heard, seen = trainee.expert(batch.mel, stack_window(batch.faces))
            sums["sync"] += cosine_loss(heard, seen, batch.together).item() / count
            said = torch.nn.functional.cosine_similarity(heard, seen) > 0.5
            sums["right"] += (said == batch.together.bool()).float().mean().item() / count
    run.note("val", sums)
    print(
        f"step {run.step}, {run.seconds / 60:.1f} min: validation loss {sums['sync']:.3f}, "
        f"{sums['right']:.0%} told right",
        flush=True,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; returns 0, 2 where its inputs are not what they should be, 130 if stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m lipsync train syncnet-color",
        description="Train the lip-sync expert.",
        allow_abbrev=False,
    )
    add_run_options(parser, batch=Config.batch, every=Config.every, exam=Config.exam)
    options = parser.parse_args(argv)
    config = Config(**read_config(options))
    until = read_until(options)
    return run_recipe(
        lambda: train(options.data, options.output / FILE, config, until, options.device)
    )


if __name__ == "__main__":
    sys.exit(main())
