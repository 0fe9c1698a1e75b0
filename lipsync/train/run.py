"""A training run on the disk: one checkpoint that holds all of it, and its curves.

The checkpoint is the published container (`state_dict`, `optimizer`, `global_step`,
`global_epoch`) with whatever else a run needs to go on as if it had never stopped. It is replaced
when it is whole, never written over. Where the next batch comes from needs no state: it follows
from seed and step (`windows`), and nothing else in a step is drawn at random.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lipsync.errors import InputError, LipsyncError
from lipsync.media.output import output_errors, partial_file
from lipsync.nn.checkpoint import read_file
from lipsync.train.alone import alone_in
from lipsync.train.curves import KINDS, Curve, curve_path

LEARNING_RATE = 1e-4  # published, of all three networks
Plain = str | int | float | bool


@dataclass(frozen=True)
class Until:
    """When a run stops, whichever comes first; it can go on later."""

    step: int
    seconds: float = math.inf  # of training, all its parts together


@contextmanager
def open_run(
    checkpoint: Path, config: Mapping[str, Plain], curves: Mapping[str, Sequence[str]]
) -> Iterator[Run]:
    """Open the run whose checkpoint is, or will be, at `checkpoint`; nobody else may meanwhile.

    `config` is everything its numbers depend on, `curves` the columns of each kind of curve.
    Raises InputError where a checkpoint is there but damaged, or of a run with another config, or
    another process is at it; OutputError where nothing can be written.
    """
    with alone_in(checkpoint.parent):
        kept = _read_state(checkpoint, config) if checkpoint.exists() else None
        # a run that was killed before its first checkpoint has left rows, and begins again
        last = -1 if kept is None else int(kept["global_step"])
        with ExitStack() as opened:
            files = {
                kind: opened.enter_context(
                    closing(Curve(curve_path(checkpoint, kind), curves[kind], last))
                )
                for kind in KINDS
            }
            yield Run(checkpoint, config, kept, files)


class Run:
    """One run: where it is, its checkpoint and its curves; see `open_run`."""

    def __init__(
        self,
        checkpoint: Path,
        config: Mapping[str, Plain],
        kept: dict[str, Any] | None,
        curves: Mapping[str, Curve],
    ) -> None:
        self._checkpoint = checkpoint
        self._config = dict(config)
        self._kept = kept
        self._curves = curves
        self.step = int(kept["global_step"]) if kept else 0
        self._began = time.monotonic() - (float(kept["seconds"]) if kept else 0.0)

    @property
    def seconds(self) -> float:
        """Seconds of work behind the run, those before a stop included."""
        return time.monotonic() - self._began

    def take_state(self) -> dict[str, Any] | None:
        """Return what the checkpoint holds, and keep it no longer; None = the run begins now."""
        kept, self._kept = self._kept, None
        return kept

    def goes_on(self, until: Until) -> bool:
        """Tell whether another step is due."""
        return self.step < until.step and self.seconds < until.seconds

    def note(self, kind: str, values: Mapping[str, float]) -> None:
        """Add a row to the curve of a kind, at the step reached.

        Raises InputError where a value is no number any more, before anything is saved.
        """
        for name, value in values.items():
            if not math.isfinite(value):
                raise InputError(
                    f"Training has diverged: at step {self.step} {name} is {value}; the last "
                    "checkpoint is kept. Train into another folder, with another --seed or --batch."
                )
        self._curves[kind].add(self.step, self.seconds, values)

    def save(self, epoch: int, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint by `state` and where the run is. Raises OutputError."""
        content = {
            **state,
            "global_step": self.step,
            "global_epoch": epoch,
            "seconds": self.seconds,
            "config": self._config,
        }
        with (
            partial_file(self._checkpoint) as partial,
            output_errors(self._checkpoint),
            partial.open("wb") as file,
        ):
            torch.save(content, file)


def _read_state(checkpoint: Path, config: Mapping[str, Plain]) -> dict[str, Any]:
    # copied out of the mapped file, which people may overwrite while the run goes on
    kept = copy.deepcopy(read_file(checkpoint))
    if not isinstance(kept, dict) or not isinstance(kept.get("config"), dict):
        raise InputError(
            f"{checkpoint} is no checkpoint of a training run made here, so it cannot go on; "
            "choose another folder."
        )
    before = kept["config"]
    for name in [*config, *before]:
        if before.get(name) != config.get(name):
            raise InputError(
                f"{checkpoint} was trained with {name} {before.get(name)}, and now it is "
                f"{config.get(name)}; give what it had, or train into another folder."
            )
    return kept


def run_recipe(train: Callable[[], None]) -> int:
    """Run a recipe; return 0, 2 where its inputs are not what they should be, 130 if stopped."""
    try:
        train()
    except LipsyncError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


def add_run_options(parser: argparse.ArgumentParser, *, batch: int, every: int, exam: int) -> None:
    """Add what every recipe asks for; `batch`, `every` and `exam` are its own defaults."""
    parser.add_argument("data", type=Path, metavar="DATA", help="what `prepare wav2lip` made")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of checkpoint and curves")
    parser.add_argument(
        "--steps", type=_count, default=300_000, metavar="N", help="stop after so many in all"
    )
    parser.add_argument(
        "--minutes", type=_minutes, default=math.inf, metavar="M", help="stop after so many in all"
    )
    parser.add_argument(
        "--width",
        type=_width,
        default=32,
        metavar="N",
        help="channels of the first layer, all others in proportion; published and default: 32",
    )
    parser.add_argument(
        "--batch", type=_batch, default=batch, metavar="N", help="windows a step, 2 or more"
    )
    parser.add_argument(
        "--every",
        type=_count,
        default=every,
        metavar="N",
        help="steps from one validation and checkpoint to the next",
    )
    parser.add_argument(
        "--exam", type=_count, default=exam, metavar="N", help="windows of a validation"
    )
    parser.add_argument(
        "--learning-rate",
        type=_rate,
        default=LEARNING_RATE,
        metavar="X",
        help="of Adam; default: 0.0001, as published; small networks bear 0.001",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or cuda:1")


def read_config(options: argparse.Namespace) -> dict[str, Any]:
    """Return what every recipe's `Config` holds of `add_run_options`, by its field's name."""
    names = ("width", "batch", "every", "exam", "learning_rate", "seed")
    return {name: getattr(options, name) for name in names}


def read_until(options: argparse.Namespace) -> Until:
    """Return when the run shall stop."""
    return Until(options.steps, 60 * options.minutes)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _batch(text: str) -> int:
    batch = _count(text)
    if batch < 2:
        raise argparse.ArgumentTypeError("norms over a batch need 2 windows or more")
    return batch


def _width(text: str) -> int:
    width = _count(text)
    if width % 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not even")
    return width


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate between 0 and 1, such as 0.0001")
    return rate


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not (math.isfinite(minutes) and minutes > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length in minutes, such as 10")
    return minutes
