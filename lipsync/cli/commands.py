"""The commands of ``python -m lipsync``. Each returns its exit code.

What a person can mend becomes one sentence on stderr and exit code 2; anything else that escapes
is a fault of ours and keeps its traceback (exit code 1, see `codes`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lipsync.cli.arguments import build_parser
from lipsync.cli.avatar import run_avatar
from lipsync.cli.codes import EXIT_DONE, EXIT_INTERRUPTED, EXIT_MENDABLE
from lipsync.cli.export import run_export
from lipsync.cli.gpu import run_gpu
from lipsync.cli.job import choose_preset, load_all_presets, report_job, run_job
from lipsync.cli.models import run_models
from lipsync.cli.options import open_pipeline, print_json
from lipsync.cli.prepare import run_prepare
from lipsync.cli.report import describe_face, face_as_json, write_thumbnails
from lipsync.cli.score import run_score
from lipsync.errors import LipsyncError
from lipsync.presets import PRESETS_FOLDER, Preset
from lipsync.types import Request


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code (0, 1, 2 or 130).

    Raises SystemExit for wrong usage (2) and ``--help`` (0), as argparse does; a fault of ours
    escapes as it is.
    """
    arguments = build_parser().parse_args(argv)
    command = _COMMANDS[arguments.command]
    try:
        return command(arguments)
    except LipsyncError as error:
        print(error, file=sys.stderr)
        return EXIT_MENDABLE
    except KeyboardInterrupt:
        print("Interrupted; nothing was kept.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _sync(arguments: argparse.Namespace) -> int:
    return run_job(arguments, arguments.video)


def _demo(arguments: argparse.Namespace) -> int:
    from lipsync.example import example_photo, example_voice

    preset = choose_preset(None)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    request = Request(
        video=example_photo(),
        audio=example_voice(),
        output=arguments.output,
        engine=preset.engine,
        settings=preset.settings,
        fit=preset.fit,
        quality=preset.quality,
    )
    return report_job(request, preset.name, arguments.as_json)


def _faces(arguments: argparse.Namespace) -> int:
    with closing(open_pipeline(arguments.max_minutes)) as pipeline:
        found = pipeline.find_faces(arguments.video, arguments.seconds)
    if arguments.thumbnails:
        write_thumbnails(found, arguments.thumbnails)
    if arguments.as_json:
        print_json({"video": str(arguments.video), "faces": [face_as_json(f) for f in found]})
    elif not found:
        print(f"No face was found in the first {arguments.seconds:g} s.")
    else:
        print("\n".join(describe_face(face) for face in found))
    return EXIT_DONE


def _presets(arguments: argparse.Namespace) -> int:
    from lipsync.ui.availability import absent_weights
    from lipsync.weights import ModelStore

    presets, problems = load_all_presets()
    for problem in problems:
        print(problem, file=sys.stderr)
    store = ModelStore()
    absent = {
        preset.name: [checkpoint.key for checkpoint in absent_weights(preset, store)]
        for preset in presets
    }
    if arguments.as_json:
        print_json({"presets": [{**_preset_as_json(p), "absent": absent[p.name]} for p in presets]})
    else:
        for preset in presets:
            print(f"{preset.name:18} {preset.title}: {preset.sentence}")
            if absent[preset.name]:
                keys = " ".join(absent[preset.name])
                print(f"{'':18} not ready; fetch: python -m lipsync models pull {keys}")
        print(f"Your own go into {PRESETS_FOLDER}, one YAML file each.")
    return EXIT_DONE


def _doctor(arguments: argparse.Namespace) -> int:
    from lipsync.doctor import examine

    findings = examine(Path.cwd())
    if arguments.as_json:
        print_json({"findings": [vars(finding) for finding in findings]})
    else:
        for finding in findings:
            print(finding)
    return EXIT_MENDABLE if any(finding.state == "broken" for finding in findings) else EXIT_DONE


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.what == "draft":
        from lipsync.bench import draft

        return draft.main(arguments.rest)
    if arguments.what == "latentsync":
        from lipsync.bench import latentsync

        return latentsync.main(arguments.rest)
    if arguments.what == "score":
        from lipsync.bench import score

        return score.main(arguments.rest)
    if arguments.what == "wav2lip":
        from lipsync.bench import wav2lip

        return wav2lip.main(arguments.rest)
    from lipsync.bench import media

    return media.main(arguments.rest)


def _train(arguments: argparse.Namespace) -> int:
    if arguments.what == "syncnet-color":
        from lipsync.train import syncnet_color

        return syncnet_color.main(arguments.rest)
    if arguments.what == "wav2lip":
        from lipsync.train import wav2lip

        return wav2lip.main(arguments.rest)
    from lipsync.train import articulation

    return articulation.main(arguments.rest)


_COMMANDS = {
    "sync": _sync,
    "avatar": run_avatar,
    "score": run_score,
    "faces": _faces,
    "export": run_export,
    "presets": _presets,
    "models": run_models,
    "gpu": run_gpu,
    "doctor": _doctor,
    "demo": _demo,
    "bench": _bench,
    "prepare": run_prepare,
    "train": _train,
}


def _preset_as_json(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "title": preset.title,
        "sentence": preset.sentence,
        "engine": preset.engine,
        "settings": dict(preset.settings),
        "fit": preset.fit,
        "quality": preset.quality,
    }
