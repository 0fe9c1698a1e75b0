"""What the command line accepts. Nothing heavy is imported here: ``--help`` must be instant."""

from __future__ import annotations

import argparse
import math
from fractions import Fraction
from pathlib import Path

from lipsync import __version__
from lipsync.cli.export import add_export
from lipsync.cli.gpu import add_gpu
from lipsync.cli.models import add_models
from lipsync.cli.options import add_json, add_limit, part, seconds
from lipsync.cli.prepare import add_prepare
from lipsync.cli.score import add_score
from lipsync.types import FITS

_EPILOG = """\
A file name that begins with a dash goes after a lone --, an output of that kind into --output=NAME:
  python -m lipsync sync --output=-result.mp4 -- -clip.mp4 -voice.wav

Exit codes: 0 done, 1 a fault of the program (or some of several clips could not be scored),
2 something you can mend, 130 interrupted.
"""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line; the chosen command is in ``command``."""
    parser = argparse.ArgumentParser(
        prog="python -m lipsync",
        description="Give a clip or photo and a voice; the mouth speaks the voice.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lipsync {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_sync(commands)
    add_score(commands)
    _add_faces(commands)
    add_export(commands)
    presets = commands.add_parser("presets", help="list the presets", allow_abbrev=False)
    add_json(presets)
    add_models(commands)
    add_gpu(commands)
    doctor = commands.add_parser(
        "doctor", help="say what is installed, what works and what to do", allow_abbrev=False
    )
    add_json(doctor)
    demo = commands.add_parser(
        "demo", help="sync the bundled example to out/demo.mp4", allow_abbrev=False
    )
    demo.add_argument("-o", "--output", type=Path, default=Path("out/demo.mp4"), metavar="OUT")
    add_json(demo)
    _add_forwarded(
        commands,
        "bench",
        ("draft", "latentsync", "media", "score"),
        "measure an engine, the media or the judge",
    )
    add_prepare(commands)
    _add_forwarded(
        commands,
        "train",
        ("articulation", "syncnet-color", "wav2lip"),
        "fit the draft engine's numbers, or train Wav2Lip and its lip-sync expert",
    )
    return parser


def _add_sync(commands: argparse._SubParsersAction) -> None:
    sync = commands.add_parser(
        "sync",
        help="make the mouth in VIDEO speak AUDIO",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    sync.add_argument("video", type=Path, metavar="VIDEO", help="a video or a photo")
    sync.add_argument("audio", type=Path, metavar="AUDIO", help="a voice, from any sound or video")
    sync.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="the MP4 to write"
    )
    sync.add_argument("--preset", metavar="NAME", help="see `presets`; default: the first of them")
    sync.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        type=_pair,
        metavar="KEY=VALUE",
        help="change one setting of the engine; may be given several times",
    )
    sync.add_argument(
        "--face",
        type=_counting_number,
        metavar="N",
        help="which face, 1 = leftmost; default: the largest",
    )
    sync.add_argument(
        "--detector",
        choices=("mediapipe", "insightface"),
        default="mediapipe",
        help="what finds the face; insightface is for the LatentSync engine and needs "
        "`models pull insightface-buffalo-l`; default: mediapipe",
    )
    sync.add_argument(
        "--fit",
        choices=FITS,
        help="what to do where voice and clip differ in length; default: the preset's",
    )
    sync.add_argument("--start", type=seconds, metavar="S", help="trim the clip: begin here")
    sync.add_argument("--end", type=seconds, metavar="S", help="trim the clip: end here")
    sync.add_argument(
        "--part",
        type=part,
        metavar="START:LENGTH",
        help="make only this part of the result, in seconds, such as 12:3",
    )
    _add_look(sync)
    sync.add_argument(
        "--no-score", dest="score", action="store_false", help="do not judge the result"
    )
    add_limit(sync)
    add_json(sync)


def _add_look(sync: argparse.ArgumentParser) -> None:
    """Add what changes how the file looks, not what happens in it."""
    sync.add_argument(
        "--softness",
        type=_softness,
        default=1.0,
        metavar="X",
        help="width of the mask's soft edge, 0 to 2; default: 1, as the engine draws it",
    )
    sync.add_argument(
        "--mark", action="store_true", help='put a small "AI" into the corner of the picture'
    )
    sync.add_argument("--seed", type=int, default=0, metavar="N")
    sync.add_argument(
        "--fps", type=_rate, metavar="F", help="frames per second, 25 or 30000/1001; default: kept"
    )
    sync.add_argument(
        "--lossless",
        dest="quality",
        action="store_const",
        const="lossless",
        help="keep every pixel outside the mouth exactly; large files",
    )


def _add_faces(commands: argparse._SubParsersAction) -> None:
    faces = commands.add_parser(
        "faces", help="list the faces of a clip, numbered as --face takes them", allow_abbrev=False
    )
    faces.add_argument("video", type=Path, metavar="VIDEO")
    faces.add_argument(
        "--seconds", type=seconds, default=10.0, metavar="S", help="look this far; default: 10"
    )
    faces.add_argument(
        "--thumbnails", type=Path, metavar="DIR", help="write a picture of each into this folder"
    )
    add_limit(faces)
    add_json(faces)


def _add_forwarded(
    commands: argparse._SubParsersAction, name: str, choices: tuple[str, ...], words: str
) -> None:
    """Add a command whose own module reads the arguments after its first word."""
    command = commands.add_parser(name, help=words, add_help=False)
    command.add_argument("what", choices=choices)
    command.add_argument("rest", nargs=argparse.REMAINDER)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as amplitude=1.1")
    return key, value


def _counting_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _softness(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 2, such as 0.5")
    return number


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 120:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate from 1 to 120, such as 25")
    return rate
