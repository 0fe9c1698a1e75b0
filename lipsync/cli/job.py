"""A job on the command line: its options, its preset, and running it to its end."""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

from lipsync.cli.codes import EXIT_DONE
from lipsync.cli.options import (
    add_detector,
    add_json,
    add_limit,
    add_settings,
    open_pipeline,
    part,
    print_json,
    seconds,
)
from lipsync.cli.progress import ProgressLine
from lipsync.cli.report import describe_result
from lipsync.errors import InputError
from lipsync.presets import PRESETS_FOLDER, Preset, Problem, load_presets, preset_folders
from lipsync.record import make_record
from lipsync.types import FITS, FaceChoice, Request, Result


def add_job(parser: argparse.ArgumentParser) -> None:
    """Add the options of a job on a clip and a voice, for `run_job`."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="the MP4 to write"
    )
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument("--preset", metavar="NAME", help="see `presets`; default: the first of them")
    wish.add_argument(
        "--engine", metavar="E", help="an engine as it is by itself, instead of a preset"
    )
    add_settings(parser)
    parser.add_argument(
        "--face",
        type=_counting_number,
        metavar="N",
        help="which face, 1 = leftmost; default: the largest",
    )
    add_detector(parser)
    parser.add_argument(
        "--fit",
        choices=FITS,
        help="what to do where voice and clip differ in length; default: the preset's",
    )
    parser.add_argument("--start", type=seconds, metavar="S", help="trim the clip: begin here")
    parser.add_argument("--end", type=seconds, metavar="S", help="trim the clip: end here")
    parser.add_argument(
        "--part",
        type=part,
        metavar="START:LENGTH",
        help="make only this part of the result, in seconds, such as 12:3",
    )
    _add_look(parser)
    parser.add_argument(
        "--no-score", dest="score", action="store_false", help="do not judge the result"
    )
    add_limit(parser)
    add_json(parser)


def run_job(arguments: argparse.Namespace, video: Path, home: Path | None = None) -> int:
    """Run the job that `add_job`'s options ask for and report it; return the exit code.

    Avatars are looked for in `home`, None = the user's data folder. Raises LipsyncError.
    """
    if arguments.engine is None:
        preset = choose_preset(arguments.preset)
        name = preset.name
    else:
        preset, name = Preset(arguments.engine, arguments.engine, "", arguments.engine), None
    request = Request(
        video=video,
        audio=arguments.audio,
        output=arguments.output,
        engine=preset.engine,
        settings={**preset.settings, **dict(arguments.settings)},
        face=FaceChoice(number=arguments.face),
        fit=arguments.fit or preset.fit,
        start=arguments.start,
        end=arguments.end,
        part=arguments.part,
        softness=arguments.softness,
        mark=arguments.mark,
        fps=arguments.fps,
        seed=arguments.seed,
        quality=arguments.quality or preset.quality,
        score=arguments.score,
        home=home,
    )
    limits = (arguments.max_minutes, arguments.detector)
    return report_job(request, name, arguments.as_json, *limits)


def report_job(
    request: Request,
    preset: str | None,
    as_json: bool,
    max_minutes: float | None = None,
    detector: str = "mediapipe",
) -> int:
    """Run one job with progress on stderr and tell what came of it; return the exit code.

    `preset` is the name of the one that was chosen, None = none.
    """
    result = run_request(request, max_minutes, detector)
    if as_json:
        paths = {"clip": request.video, "voice": request.audio, "output": result.output}
        whole = {key: str(path) for key, path in paths.items()}
        print_json({**make_record(request, result, preset=preset), **whole})
    else:
        print(describe_result(result))
    return EXIT_DONE


def run_request(
    request: Request, max_minutes: float | None = None, detector: str = "mediapipe"
) -> Result:
    """Run one job to its end with progress on stderr; an interruption closes the job first.

    Raises LipsyncError as the pipeline does; `max_minutes` limits clip and voice, None = the
    pipeline's own limit; `detector` finds the face.
    """
    line = ProgressLine(sys.stderr)
    result = None
    with (
        closing(open_pipeline(max_minutes, detector)) as pipeline,
        closing(pipeline.sync(request)) as steps,
        closing(line),
    ):
        for progress in steps:
            line.show(progress)
            result = progress.result
    assert result is not None, "the last step of a job holds its result"
    return result


def choose_preset(name: str | None) -> Preset:
    """Return the preset of that name, or the first one for None.

    Raises InputError for an unknown name, or a file of that name that was left out.
    """
    presets, problems = load_all_presets()
    if name is None:
        if not presets:
            raise InputError(f"No preset could be read; put one back into {PRESETS_FOLDER}.")
        return presets[0]
    for preset in presets:
        if preset.name == name:
            return preset
    for problem in problems:
        if problem.path.stem == name:
            raise InputError(str(problem))
    known = ", ".join(preset.name for preset in presets)
    raise InputError(f"There is no preset called {name!r}; choose one of: {known}.")


def load_all_presets() -> tuple[list[Preset], list[Problem]]:
    """Return the presets of this machine, and what is wrong with the files left out."""
    from lipsync.engines import make_settings

    return load_presets(preset_folders(), make_settings)


def _add_look(parser: argparse.ArgumentParser) -> None:
    """Add what changes how the file looks, not what happens in it."""
    parser.add_argument(
        "--softness",
        type=_softness,
        default=1.0,
        metavar="X",
        help="width of the mask's soft edge, 0 to 2; default: 1, as the engine draws it",
    )
    parser.add_argument(
        "--mark", action="store_true", help='put a small "AI" into the corner of the picture'
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--fps", type=_rate, metavar="F", help="frames per second, 25 or 30000/1001; default: kept"
    )
    parser.add_argument(
        "--lossless",
        dest="quality",
        action="store_const",
        const="lossless",
        help="keep every pixel outside the mouth exactly; large files",
    )


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
