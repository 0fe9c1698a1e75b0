"""`python -m lipsync bench score`: what SyncNet's judge takes, against the published way.

Random weights at full size, on one thread of the processor; CPU time, so that what else runs on the
machine counts little. All ways of a table take turns, and the median of their times is told. The
published way hands every frame to the first layer five times, in windows that were cut before.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from lipsync.audio.mfcc import mfcc
from lipsync.audio.signals import RATE as SOUND_RATE
from lipsync.bench.rows import count, cpu_seconds, describe_machine, single_thread
from lipsync.bench.score_ways import (
    OURS,
    PUBLISHED,
    cut_sounds_plainly,
    evaluate_plainly,
    hear_plainly,
    lip_ways,
)
from lipsync.bench.small_networks import randomise, stir_norms
from lipsync.score.evaluation import STRIP, measure_sync
from lipsync.score.sync import RATE
from lipsync.score.syncnet import SIDE, WINDOW, StripSyncNet, SyncNet, SyncNetParams

WINDOWS, REPEATS = 40, 7


@dataclass(frozen=True)
class Pace:
    """What one way takes."""

    part: str  # "lips", "sound", "coefficients" or "evaluation"
    way: str
    rate: float  # windows per CPU second
    gain: float | None = None  # over the rate of the published way
    difference: float | None = None  # largest, from its numbers, of the mean length of a row


def make_network(params: SyncNetParams, seed: int = 0) -> SyncNet:
    """Build a random judge whose norms have seen something."""
    return stir_norms(randomise(SyncNet(params), seed), seed + 1)


def measure(params: SyncNetParams, windows: int, repeats: int) -> Iterator[Pace]:
    """Yield the lips' ways, the sound's, its coefficients, and the whole evaluation."""
    network = make_network(params)
    strips = StripSyncNet(network)
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (windows + WINDOW - 1, SIDE, SIDE, 3), np.uint8)
    samples = rng.normal(0, 0.1, (windows + WINDOW) * SOUND_RATE // RATE).astype(np.float32)
    sounds = cut_sounds_plainly(samples, windows)
    more = np.concatenate([faces, faces[:1]])  # of n frames the published evaluation has n - 5

    def hear_in_strips() -> torch.Tensor:
        return torch.cat([strips.embed_sound(part) for part in sounds.split(STRIP)])

    with single_thread(), torch.inference_mode():
        looks = lip_ways(network, strips)
        lips = {way: _bind(look, faces) for way, look in looks.items()}
        yield from compare("lips", lips, windows, repeats)
        hear = {PUBLISHED: lambda: hear_plainly(network, sounds), OURS: hear_in_strips}
        yield from compare("sound", hear, windows, repeats)
        yield from compare("coefficients", {OURS: lambda: mfcc(samples)}, windows, repeats)
        evaluations = {
            PUBLISHED: lambda: evaluate_plainly(network, more, samples),
            OURS: lambda: measure_sync(strips, more, samples, compat=True).distances,
        }
        yield from compare("evaluation", evaluations, windows, repeats)


def _bind(look: Callable[[np.ndarray], torch.Tensor], faces: np.ndarray) -> Callable[[], Any]:
    return lambda: look(faces)


def compare(
    part: str, ways: Mapping[str, Callable[[], Any]], windows: int, repeats: int
) -> Iterator[Pace]:
    """Time `ways` in turns after a warm-up and yield each; the first is what others are held to.

    Every way gives rows of numbers for `windows` windows.
    """
    numbers = {way: np.asarray(work()) for way, work in ways.items()}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, work in ways.items():
            taken[way].append(cpu_seconds(work))
    first = next(iter(ways))
    length = np.linalg.norm(numbers[first], axis=1).mean()
    for way in ways:
        seconds = median(taken[way])
        if len(ways) == 1:
            yield Pace(part, way, windows / seconds)
        else:
            apart = float(np.abs(numbers[way] - numbers[first]).max() / length)
            yield Pace(part, way, windows / seconds, median(taken[first]) / seconds, apart)


def describe(pace: Pace) -> str:
    """Return the line of the table."""
    line = f"{pace.part:12} {pace.way:66} {pace.rate:9.1f}"
    if pace.gain is None:
        return line
    return f"{line} {pace.gain:6.2f}  {pace.difference:.1e}"


def main(argv: Sequence[str], params: SyncNetParams | None = None) -> int:
    """Measure and print; return the exit code."""
    arguments = _build_parser().parse_args(argv)
    report: dict[str, Any] = {
        "machine": describe_machine(),
        "threads": 1,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "windows": arguments.windows,
        "repeats": arguments.repeats,
        "paces": [],
    }
    if not arguments.json:
        print(f"{report['machine']}; 1 thread, the machine's load {report['load']}")
        print(f"{'':12} {'':66} {'windows/s':>9} {'gain':>6}  apart")
    for pace in measure(params or SyncNetParams(), arguments.windows, arguments.repeats):
        report["paces"].append(asdict(pace))
        if not arguments.json:
            print(describe(pace), flush=True)
    if arguments.json:
        print(json.dumps(report, indent=1, allow_nan=False))
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lipsync bench score",
        description="Measure SyncNet's judge against the published way of computing.",
    )
    parser.add_argument(
        "--windows", type=count, default=WINDOWS, help="of five frames (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=count, default=REPEATS, help="of everything (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
