"""``python -m lipsync prepare``: make what a training run reads out of a folder of videos."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from lipsync.cli.codes import EXIT_DONE, EXIT_MENDABLE, EXIT_PARTLY
from lipsync.cli.progress import ProgressLine
from lipsync.steps import exhaust, map_steps

if TYPE_CHECKING:
    from lipsync.train.prepare import Preparation, PrepareStep

_EPILOG = """\
Of every video OUT gets a folder, named by the file's content: its largest face 25 times a second,
aligned as the engine aligns it, and its mel spectrogram. A run that was stopped goes on where it
was: run the same command again, also after videos have been added.

The exit code is 1 where some of the videos could not be used, and 2 where none could.
"""


def add_prepare(commands: argparse._SubParsersAction) -> None:
    """Add the command and its kinds to the parser's."""
    prepare = commands.add_parser(
        "prepare", help="make training data out of a folder of videos", allow_abbrev=False
    )
    kinds = prepare.add_subparsers(dest="kind", required=True, metavar="KIND")
    wav2lip = kinds.add_parser(
        "wav2lip",
        help="windows of faces and voice for `train wav2lip` and `train syncnet-color`",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    wav2lip.add_argument(
        "folder", type=Path, metavar="IN", help="videos of one talking person each, also below it"
    )
    wav2lip.add_argument("data", type=Path, metavar="OUT", help="the folder to fill")


def run_prepare(arguments: argparse.Namespace) -> int:
    """Prepare a folder of videos; return the exit code. Raises LipsyncError."""
    from lipsync.face.detect import MediaPipeDetector
    from lipsync.train.prepare import prepare_videos

    line = ProgressLine(sys.stderr, _describe)

    def show(step: PrepareStep) -> None:
        if step.outcome is None:
            line.show(step)
        else:
            line.close()
            print(f"{step.stage}: {step.outcome}", flush=True)

    with closing(MediaPipeDetector()) as detector, closing(line):
        outcome = exhaust(
            map_steps(show, prepare_videos(arguments.folder, arguments.data, detector))
        )
    print(_describe_outcome(outcome, arguments.data))
    if not outcome.refused:
        return EXIT_DONE
    return EXIT_PARTLY if outcome.usable else EXIT_MENDABLE


def _describe(step: PrepareStep, bar: bool = True) -> str:
    share = f", {100 * step.done // step.total} %" if step.total else ""
    return f"{step.number}/{step.files} {step.stage}{share}"


def _describe_outcome(outcome: Preparation, data: Path) -> str:
    from lipsync.train.prepared import RATE, SPLITS, choose_split, open_videos

    counts = f"{len(outcome.prepared)} prepared, {len(outcome.skipped)} there before"
    counts += f", {len(outcome.refused)} refused"
    if not outcome.usable:
        return counts
    videos = open_videos(data)
    frames = sum(len(run) for video in videos for run in video.runs)
    train, val, test = (len(choose_split(videos, split)) for split in SPLITS)
    parts = f"{train} for training, {val} for validation, {test} for testing"
    return f"{counts}\n{data}: {frames / RATE / 60:.1f} minutes of faces; videos: {parts}"
