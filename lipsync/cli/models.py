"""``python -m lipsync models``: list, fetch, check, find and delete checkpoints."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator
from contextlib import closing
from typing import Any

from lipsync.cli.codes import EXIT_DONE, EXIT_INTERRUPTED, EXIT_MENDABLE
from lipsync.cli.progress import ProgressLine, format_seconds
from lipsync.errors import LipsyncError
from lipsync.steps import exhaust, map_steps
from lipsync.weights import (
    Checkpoint,
    HubFile,
    Located,
    ModelStore,
    PullStep,
    State,
    WebFile,
    describe_size,
)

_STAGES = {
    "wait": "waiting for another process that fetches",
    "ask": "asking for",
    "fetch": "fetching",
    "check": "checking",
    "unpack": "unpacking",
    "done": "done with",
}
_STATES = {
    "own": "your own",
    "here": "here",
    "damaged": "damaged",
    "partial": "partial",
    "absent": "-",
}


def add_models(commands: argparse._SubParsersAction) -> None:
    """Add the command and its kinds to the parser's."""
    models = commands.add_parser(
        "models", help="list, fetch, check and delete models", allow_abbrev=False
    )
    kinds = models.add_subparsers(dest="kind", required=True, metavar="KIND")
    listing = kinds.add_parser("list", help="what there is, and what is here", allow_abbrev=False)
    pull = kinds.add_parser(
        "pull", help="fetch models; a pull that broke off goes on", allow_abbrev=False
    )
    verify = kinds.add_parser(
        "verify", help="read models again and compare their checksums", allow_abbrev=False
    )
    remove = kinds.add_parser("rm", help="delete models from the cache", allow_abbrev=False)
    path = kinds.add_parser("path", help="print where a model lies", allow_abbrev=False)
    for kind in (pull, remove):
        kind.add_argument("keys", nargs="+", metavar="NAME", help="see `models list`")
    verify.add_argument("keys", nargs="*", metavar="NAME", help="default: all that are here")
    path.add_argument("key", metavar="NAME", help="see `models list`")
    pull.add_argument("-y", "--yes", action="store_true", help="ask nothing")
    for kind in (listing, verify):
        kind.add_argument(
            "--json", dest="as_json", action="store_true", help="print one JSON object on stdout"
        )


def run_models(arguments: argparse.Namespace) -> int:
    """Run the kind of command that was chosen; return the exit code. Raises LipsyncError."""
    return _KINDS[arguments.kind](ModelStore(), arguments)


def _list(store: ModelStore, arguments: argparse.Namespace) -> int:
    states = [store.state(checkpoint.key) for checkpoint in store.checkpoints]
    if arguments.as_json:
        own = None if store.own_folder is None else str(store.own_folder)
        _print_json(
            {
                "folder": str(store.folder),
                "own_folder": own,
                "endpoint": store.endpoint,
                "offline": store.is_offline,
                "models": [_state_as_json(state) for state in states],
            }
        )
        return EXIT_DONE
    for state in states:
        row = state.checkpoint
        print(f"{row.key:22} {_STATES[state.kind]:9} {_describe_size_of(row):>8}  {row.title}")
        print(f"{'':42} {row.licence.name}: {row.licence.meaning}")
    print(f"They lie in {store.folder}.")
    if store.own_folder is not None:
        print(f"Your own are looked for in {store.own_folder} first.")
    return EXIT_DONE


def _pull(store: ModelStore, arguments: argparse.Namespace) -> int:
    states = [store.state(key) for key in arguments.keys]
    for state in states:
        row = state.checkpoint
        if state.kind not in ("own", "here"):
            print(f"{row.title}: {_describe_size_of(row)} into {state.folder}")
            print(f"licence: {row.licence.name}. {row.licence.meaning}", flush=True)
            if not (arguments.yes or _is_agreed()):
                print("Nothing was fetched.")
                return EXIT_DONE
        try:
            located = _show(store.pull(row.key))
        except KeyboardInterrupt:
            print(
                f"Interrupted; what arrived is kept: `models pull {row.key}` goes on from there.",
                file=sys.stderr,
            )
            return EXIT_INTERRUPTED
        print(f"{row.key}: {located.path}", flush=True)
    return EXIT_DONE


def _verify(store: ModelStore, arguments: argparse.Namespace) -> int:
    keys = arguments.keys or [
        row.key
        for row in store.checkpoints
        if store.state(row.key).kind in ("own", "here", "damaged")
    ]
    rows = [store.checkpoint(key) for key in keys]
    found = []
    for row in rows:
        fault = None
        try:
            _show(store.verify(row.key))
        except LipsyncError as error:
            fault = str(error)
        found.append({"name": row.key, "fault": fault})
        if not arguments.as_json:
            print(f"{row.key}: {fault or 'whole'}", flush=True)
    if arguments.as_json:
        _print_json({"models": found})
    elif not found:
        print("No model is here yet; see `models list`.")
    return EXIT_MENDABLE if any(one["fault"] for one in found) else EXIT_DONE


def _remove(store: ModelStore, arguments: argparse.Namespace) -> int:
    rows = [store.checkpoint(key) for key in arguments.keys]
    for row in rows:
        freed = store.remove(row.key)
        told = f"{describe_size(freed)} freed" if freed else "nothing to delete"
        print(f"{row.key}: {told}")
    return EXIT_DONE


def _path(store: ModelStore, arguments: argparse.Namespace) -> int:
    print(store.locate(arguments.key).path)
    return EXIT_DONE


_KINDS = {"list": _list, "pull": _pull, "verify": _verify, "rm": _remove, "path": _path}


def _is_agreed() -> bool:
    """Ask a person; who calls from a script has agreed by calling."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    return input("Fetch it? [Y/n] ").strip().lower() in ("", "y", "yes")


def _show(steps: Generator[PullStep, None, Located]) -> Located:
    with closing(ProgressLine(sys.stderr, describe_step)) as line:
        return exhaust(map_steps(line.show, steps))


def describe_step(step: PullStep, bar: bool = True) -> str:
    """Return one line: what is done to which file, how far, time left."""
    text = f"{_STAGES[step.stage]} {step.name}"
    if step.done and step.total and step.stage in ("fetch", "check"):
        text += f" {describe_size(step.done)} of {describe_size(step.total)}"
        text += f" ({100 * step.done // step.total} %)"
    elif step.done:
        text += f" {describe_size(step.done)}"
    if step.seconds_left is not None:
        text += f"  {format_seconds(step.seconds_left)} left"
    return text


def _describe_size_of(row: Checkpoint) -> str:
    return "?" if row.size is None else describe_size(row.size)


def _state_as_json(state: State) -> dict[str, Any]:
    row = state.checkpoint
    return {
        "name": row.key,
        "title": row.title,
        "state": state.kind,
        "folder": str(state.folder),
        "bytes_here": state.arrived,
        "bytes_to_fetch": row.size,
        "licence": vars(row.licence),
        "files": [vars(file) for file in row.files],
        "sources": [_source_as_json(download.source) for download in row.downloads],
    }


def _source_as_json(source: HubFile | WebFile) -> dict[str, str]:
    return {key: str(value) for key, value in vars(source).items()}


def _print_json(report: dict[str, Any]) -> None:
    print(json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False))
