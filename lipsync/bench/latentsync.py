"""`python -m lipsync bench latentsync`: what LatentSync's parts take, against plain ways.

Small random networks on one thread of the processor: ratios carry over to the real ones, seconds
and pictures do not. Where there is a graphics card, the networks also run on it at full size.
`--long` adds the peak memory of whole jobs (minutes), `--full` one full-size step on the processor.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lipsync.bench.distances import Distance, measure_distances, ways
from lipsync.bench.face_rows import find_clip, make_portrait, measure_faces, open_portrait
from lipsync.bench.footprint import run_apart
from lipsync.bench.full_size import FULL, Painted, Pass, measure_painting
from lipsync.bench.network_rows import measure_unet, measure_vae, measure_whisper
from lipsync.bench.rows import Row, describe_machine, describe_row
from lipsync.bench.small_networks import SMALL, Sizes
from lipsync.device import choose_device, choose_dtype, count_cards
from lipsync.engines.latentsync.sampling import Sampling
from lipsync.errors import InputError

DEFAULT_CLIPS = Path("../shared/clips")
PARTS = ("unet", "vae", "whisper", "faces", "distances", "card")
_FACE_RESOLUTION = 512  # px
_FACE_REPEATS = 3  # times as many as for networks: they take milliseconds
_JOB_MINUTES = (1, 4)
_ON_CARD = {"latentsync-1.5": 256, "latentsync-fast": 256, "latentsync-1.6-hd": 512}  # px


@dataclass(frozen=True)
class Job:
    """A whole job of full HD with small networks."""

    minutes: int
    seconds: float  # of the result
    job_seconds: float
    peak_mb: float  # of the process's memory


Measured = Row | Distance | Painted | Job | Pass


def measure_rows(parts: Sequence[str], clips: Path | None, sizes: Sizes) -> Iterator[Row]:
    """Yield the rows of `parts`; faces are those of `clips`, or made where it is None."""
    if "unet" in parts:
        yield from measure_unet(sizes)
    if "vae" in parts:
        yield from measure_vae(sizes)
    if "whisper" in parts:
        yield from measure_whisper(sizes)
    if "faces" in parts:
        portrait = make_portrait() if clips is None else open_portrait(clips)
        for row in measure_faces(portrait, _FACE_RESOLUTION, _FACE_REPEATS * sizes.repeats):
            yield replace(row, step=f"{row.step} ({portrait.source})")


def measure_card(
    sizes: Sizes, device: torch.device, compared: Mapping[str, Sampling]
) -> Iterator[Painted]:
    """Yield what a window takes on `device`, sampled as each of the bundled presets does."""
    for preset, resolution in _ON_CARD.items():
        side = resolution * sizes.resolution // FULL.resolution
        sized = replace(sizes, resolution=side)
        yield measure_painting(
            preset, sized, device, choose_dtype(device), compared[f"preset {preset}"]
        )


def measure_jobs(clips: Path | None) -> Iterator[Job]:
    """Yield what jobs of one and four minutes of full HD take, each in its own process.

    Raises InputError where `clips` has no clip of that size.
    """
    clip = None if clips is None else find_clip(clips)
    if clip is None:
        raise InputError(
            "The memory of long jobs is measured on a talking clip of 1080 px or more, and none "
            "was found; name a folder that holds one with --clips."
        )
    for minutes in _JOB_MINUTES:
        given = {"clip": str(clip.absolute()), "seconds": 60 * minutes}
        yield Job(minutes, **run_apart("job", given))


def measure_full_size() -> Iterator[Pass]:
    """Yield what the networks take at full size on the processor."""
    for measured in run_apart("full", {})["passes"]:
        yield Pass(**measured)


def describe(measured: Measured) -> str:
    """Return the line of the table."""
    if isinstance(measured, Row):
        return describe_row(measured)
    if isinstance(measured, Distance):
        return (
            f"{measured.name:56} {measured.seconds:9.2f} s, {measured.speed:5.2f} times as fast; "
            f"apart {measured.latents:.3f} of the latents, {measured.levels:.2f} levels"
        )
    if isinstance(measured, Painted):
        return (
            f"{measured.name} at {measured.resolution} px: {measured.seconds_per_second:.2f} s per "
            f"second of video, {measured.peak_mb:.0f} MB at most"
        )
    if isinstance(measured, Job):
        return (
            f"a job of {measured.minutes} min: {measured.peak_mb:.0f} MB at most, "
            f"{measured.job_seconds:.0f} s"
        )
    return (
        f"{measured.name}: {measured.seconds:.1f} s, {measured.working_mb:.0f} MB beside "
        f"{measured.weights_mb:.0f} MB of weights"
    )


def measure(
    parts: Sequence[str], clips: Path | None, sizes: Sizes
) -> Iterator[tuple[str, Measured]]:
    """Yield everything that `parts` ask for, each with the name of its table."""
    for row in measure_rows(parts, clips, sizes):
        yield "rows", row
    compared = ways()
    if "distances" in parts:
        for distance in measure_distances(sizes, compared):
            yield "distances", distance
    if "card" in parts and count_cards():
        for painted in measure_card(FULL, choose_device("cuda"), compared):
            yield "card", painted
    if "jobs" in parts:
        for job in measure_jobs(clips):
            yield "jobs", job
    if "full" in parts:
        for one in measure_full_size():
            yield "full", one


def main(argv: Sequence[str], sizes: Sizes = SMALL) -> int:
    """Measure and print; return the exit code."""
    arguments = _build_parser().parse_args(argv)
    clips: Path | None = arguments.clips
    if clips is None and DEFAULT_CLIPS.is_dir():
        clips = DEFAULT_CLIPS
    parts = [*(arguments.only or PARTS), *arguments.slow]
    machine = describe_machine()
    report: dict[str, Any] = {"machine": machine}
    if not arguments.json:
        print(machine)
        print(f"{'':56} {'ours':>9} {'plain':>9} {'ratio':>6}")
    for table, measured in measure(parts, clips, sizes):
        entry = asdict(measured)
        if isinstance(measured, Row):
            entry["ratio"] = measured.ratio
        report.setdefault(table, []).append(entry)
        if not arguments.json:
            print(describe(measured), flush=True)
    if arguments.json:
        print(json.dumps(report, indent=1, allow_nan=False))
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lipsync bench latentsync",
        description="Measure the parts of the LatentSync engine against plain ways.",
    )
    parser.add_argument(
        "--clips",
        type=Path,
        help=f"folder of talking clips (default: {DEFAULT_CLIPS} if there, else a face is made)",
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these parts only")
    parser.add_argument(
        "--long",
        dest="slow",
        action="append_const",
        const="jobs",
        default=[],
        help="also the peak memory of jobs of 1 and 4 minutes",
    )
    parser.add_argument(
        "--full",
        dest="slow",
        action="append_const",
        const="full",
        help="also a full-size step on the processor; needs about 10 GB",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
