"""What the command line accepts. Nothing heavy is imported here: ``--help`` must be instant."""

from __future__ import annotations

import argparse
from pathlib import Path

from lipsync import __version__
from lipsync.cli.avatar import add_avatar
from lipsync.cli.export import add_export
from lipsync.cli.gpu import add_gpu
from lipsync.cli.job import add_job
from lipsync.cli.models import add_models
from lipsync.cli.options import add_json, add_limit, seconds
from lipsync.cli.prepare import add_prepare
from lipsync.cli.score import add_score

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
    add_avatar(commands)
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
        ("draft", "latentsync", "media", "score", "wav2lip"),
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
    add_job(sync)


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
