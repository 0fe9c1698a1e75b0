"""`python -m lipsync bench wav2lip`: faces per second of the generator, against eager float32.

Random weights at the published size, or a checkpoint of yours; every backend and precision that is
had here. All ways take turns, so that what else runs on the machine meets them alike; told are the
medians of faces per second and of the ratios within a turn, by the clock and by CPU time. Then a
whole speech with an avatar, beside the same one without.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lipsync.bench.avatar_rows import measure_avatar
from lipsync.bench.rows import Row, count, describe_machine, describe_row
from lipsync.bench.small_networks import randomise, stir_norms
from lipsync.device import choose_device
from lipsync.engines.wav2lip.generator import Generator, Params
from lipsync.engines.wav2lip.inference import LipGenerator, Precision, open_generator
from lipsync.engines.wav2lip.onnx_file import FACE_ROW, MEL_ROW
from lipsync.errors import InputError
from lipsync.residence import Residence
from lipsync.weights import ModelStore

BATCHES, REPEATS = (32, 128), 5
PARTS = ("generator", "avatar")
CLIP, VOICE = Path("../shared/clips/vr_3.mp4"), Path("../shared/clips/demo1_audio.wav")
KEY = "wav2lip"  # of the weight table
# backend and precision; the first is what the others are held to
WAYS: tuple[tuple[str, Precision], ...] = (
    ("eager", "fp32"),
    ("folded", "fp32"),
    ("onnxruntime", "fp32"),
    ("folded", "fp16"),
    ("folded", "bf16"),
)


@dataclass(frozen=True)
class Speed:
    """What one way of running the generator gives."""

    batch: int  # faces in a call
    way: str  # backend and precision
    rate: float  # faces per second
    gain: float  # over eager float32, by the clock
    cpu_gain: float  # the same by CPU time; on a graphics card it says nothing
    difference: float  # from what eager float32 paints, the largest, of [0, 1]


def write_random(path: Path, params: Params) -> Path:
    """Write a checkpoint of random weights whose norms have seen something; return `path`."""
    network = stir_norms(randomise(Generator(params)), 1)
    torch.save({"state_dict": network.state_dict()}, path)
    return path


def open_ways(
    checkpoint: Path, device: torch.device
) -> tuple[dict[str, LipGenerator], tuple[str, ...]]:
    """Return the ways that are had on `device`, by name, and why the others are not."""
    ways, reasons = {}, []
    for backend, precision in WAYS:
        generator = open_generator(checkpoint, device, precision, backend)
        if generator.notes:
            reasons += [f"{backend} {precision}: {note}" for note in generator.notes]
        else:
            ways[f"{backend} {precision}"] = generator
    return ways, tuple(reasons)


def compare(ways: Mapping[str, LipGenerator], batch: int, repeats: int) -> Iterator[Speed]:
    """Time `ways` in turns after a warm-up and yield each; the first is what others are held to."""
    rng = torch.Generator().manual_seed(0)
    mels = torch.rand(batch, *MEL_ROW, generator=rng) * 8 - 4
    faces = torch.rand(batch, *FACE_ROW, generator=rng)
    first = next(iter(ways))
    expected = ways[first](mels, faces)
    apart = {way: float((work(mels, faces) - expected).abs().max()) for way, work in ways.items()}
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, work in ways.items():
            taken[way].append(_time(work, mels, faces))
    for way, times in taken.items():
        pairs = list(zip(taken[first], times, strict=True))
        yield Speed(
            batch=batch,
            way=way,
            rate=batch / median(seconds for seconds, _ in times),
            gain=median(plain[0] / ours[0] for plain, ours in pairs),
            cpu_gain=median(plain[1] / ours[1] for plain, ours in pairs),
            difference=apart[way],
        )


def _time(work: LipGenerator, mels: Tensor, faces: Tensor) -> tuple[float, float]:
    """Return the seconds of a call by the clock and by CPU time; its faces come back to the CPU."""
    begun, cpu = time.perf_counter(), time.process_time()
    work(mels, faces)
    return time.perf_counter() - begun, time.process_time() - cpu


def measure_speech(
    checkpoint: Path, clip: Path, voice: Path, device: torch.device, folder: Path
) -> Iterator[Row]:
    """Yield what a speech of Wav2Lip takes with an avatar, and without; models lie in `folder`.

    Raises InputError for a clip or a voice that is absent, and LipsyncError as jobs do.
    """
    for path in (clip, voice):
        if not path.is_file():
            raise InputError(
                f"There is no file {path}; name a talking clip with --clip and a voice with "
                "--voice, or measure --only generator."
            )
    store = ModelStore(folder / "models", folder / "own", is_offline=True)
    own = folder / "own" / KEY / store.checkpoint(KEY).files[0].name
    own.parent.mkdir(parents=True)
    own.symlink_to(checkpoint.absolute())
    with closing(Residence(store, device=str(device))) as residence:
        yield from measure_avatar(
            clip, voice, "wav2lip", {"checkpoint": KEY}, residence=residence, score=False
        )


def describe(speed: Speed) -> str:
    """Return the line of the table."""
    return (
        f"{speed.batch:5} {speed.way:20} {speed.rate:9.1f} {speed.gain:6.2f} "
        f"{speed.cpu_gain:9.2f}  {speed.difference:.1e}"
    )


def main(argv: Sequence[str], params: Params | None = None) -> int:
    """Measure and print; return the exit code. Raises LipsyncError."""
    arguments = _build_parser().parse_args(argv)
    device = choose_device(arguments.device)
    report: dict[str, Any] = {
        "machine": describe_machine(),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "repeats": arguments.repeats,
        "speeds": [],
        "speech": [],
    }

    def show(line: str) -> None:
        if not arguments.json:
            print(line, flush=True)

    show(f"{report['machine']}; {device}, {report['threads']} threads")
    with tempfile.TemporaryDirectory(prefix="lipsync-bench-") as name:
        folder = Path(name)
        own = arguments.checkpoint
        checkpoint = own or write_random(folder / "random.pth", params or Params())
        if "generator" in arguments.only:
            show(f"{'batch':>5} {'way':20} {'faces/s':>9} {'gain':>6} {'CPU gain':>9}  apart")
            ways, report["absent"] = open_ways(checkpoint, device)
            for batch in arguments.batches:
                for speed in compare(ways, batch, arguments.repeats):
                    report["speeds"].append(asdict(speed))
                    show(describe(speed))
            for reason in report["absent"]:
                show(reason)
            del ways
        if "avatar" in arguments.only:
            show(f"{'':56} {'avatar':>9} {'plain':>9} {'ratio':>6}")
            for row in measure_speech(checkpoint, arguments.clip, arguments.voice, device, folder):
                report["speech"].append({**asdict(row), "ratio": row.ratio})
                show(describe_row(row))
    if arguments.json:
        print(json.dumps(report, indent=1, allow_nan=False))
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lipsync bench wav2lip",
        description="Measure Wav2Lip's generator in every backend against eager float32, and a "
        "whole speech with an avatar against one without.",
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="default: both")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="CKPT", help="default: random weights, published size"
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:1; default: auto")
    parser.add_argument(
        "--batches", type=count, nargs="+", default=BATCHES, help="faces per call; default: 32 128"
    )
    parser.add_argument(
        "--repeats", type=count, default=REPEATS, help="of every way; default: %(default)s"
    )
    parser.add_argument("--clip", type=Path, default=CLIP, help="default: %(default)s")
    parser.add_argument("--voice", type=Path, default=VOICE, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
