"""``python -m lipsync export``: what a job has made as another file, and a network as ONNX."""

from __future__ import annotations

import argparse
from pathlib import Path

from lipsync.cli.codes import EXIT_DONE
from lipsync.cli.options import part, seconds
from lipsync.steps import exhaust
from lipsync.types import FITS


def add_export(commands: argparse._SubParsersAction) -> None:
    """Add the command and its kinds to the parser's."""
    export = commands.add_parser(
        "export",
        help="show a result beside its source, cut a small preview, or write a network as ONNX",
        allow_abbrev=False,
    )
    kinds = export.add_subparsers(dest="kind", required=True, metavar="KIND")
    both = kinds.add_parser("side-by-side", help="source left, result right", allow_abbrev=False)
    both.add_argument("source", type=Path, metavar="SOURCE", help="the clip or photo of the job")
    both.add_argument("result", type=Path, metavar="RESULT")
    both.add_argument("--fit", choices=FITS, default="bounce", help="that of the job")
    both.add_argument("--start", type=seconds, metavar="S", help="that of the job")
    both.add_argument("--end", type=seconds, metavar="S", help="that of the job")
    both.add_argument("--part", type=part, metavar="START:LENGTH", help="that of the job")
    both.add_argument(
        "--voice", type=Path, metavar="AUDIO", help="needed for a part of a stretched clip only"
    )
    preview = kinds.add_parser("preview", help="a small copy of a few seconds", allow_abbrev=False)
    preview.add_argument("source", type=Path, metavar="CLIP")
    preview.add_argument("--start", type=seconds, default=0.0, metavar="S")
    preview.add_argument("--seconds", type=seconds, default=5.0, metavar="S")
    for kind in (both, preview):
        kind.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    _add_wav2lip(kinds)


def _add_wav2lip(kinds: argparse._SubParsersAction) -> None:
    wav2lip = kinds.add_parser(
        "wav2lip",
        help="write Wav2Lip's generator as an ONNX file and compare it with PyTorch",
        allow_abbrev=False,
    )
    wav2lip.add_argument("checkpoint", type=Path, metavar="CKPT", help="a PyTorch checkpoint")
    wav2lip.add_argument("output", type=Path, metavar="OUT.onnx")
    wav2lip.add_argument(
        "--dtype",
        choices=("fp32", "fp16"),
        default="fp32",
        help="what the file computes in; fp16 is half as large and less exact; default: fp32",
    )


def run_export(arguments: argparse.Namespace) -> int:
    """Write what was asked for and print where it is; return the exit code.

    Raises LipsyncError, also where the ONNX file does not paint what PyTorch does.
    """
    run = {"side-by-side": _write_both, "preview": _write_preview, "wav2lip": _write_onnx}
    run[arguments.kind](arguments)
    return EXIT_DONE


def _write_both(arguments: argparse.Namespace) -> None:
    from lipsync.media.export import Moments, export_side_by_side

    moments = Moments(
        fit=arguments.fit,
        start=arguments.start,
        end=arguments.end,
        part=arguments.part,
        voice=arguments.voice,
    )
    exhaust(export_side_by_side(arguments.source, arguments.result, arguments.output, moments))
    print(arguments.output)


def _write_preview(arguments: argparse.Namespace) -> None:
    from lipsync.media.export import export_preview
    from lipsync.media.probe import probe_clip

    clip = probe_clip(arguments.source)
    export_preview(clip, arguments.output, arguments.start, arguments.seconds)
    print(arguments.output)


def _write_onnx(arguments: argparse.Namespace) -> None:
    from lipsync.engines.wav2lip.onnx_export import BATCHES, export_onnx
    from lipsync.weights import describe_size

    exported = export_onnx(arguments.checkpoint, arguments.output, arguments.dtype)
    print(f"{exported.path} ({describe_size(exported.size)})")
    print(
        f"Largest difference from PyTorch in float32: {exported.difference:.2g}, allowed "
        f"{exported.bound:.2g} (of 0 to 1, batches of {', '.join(map(str, BATCHES))})."
    )
