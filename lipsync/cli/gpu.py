"""``python -m lipsync gpu``: list the graphics cards, test them, hold their memory."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from lipsync.cli.codes import EXIT_DONE, EXIT_MENDABLE
from lipsync.errors import InputError
from lipsync.weights import describe_size

if TYPE_CHECKING:
    import torch

    from lipsync.gpu.hold import Held, Lost
    from lipsync.gpu.listing import Card, Software
    from lipsync.gpu.trial import Trial

_ALL = "all"
_ROWS, _ROWS_OF_CPU = 4096, 1024  # of a tested matrix
_LARGEST = 32768  # rows

_TEST_EPILOG = """\
The error is the largest deviation from the float64 product, over that one's root mean square.
Beyond what rounding explains, stated behind it, the card is suspicious, and the exit code is 2.
"""
_HOLD_EPILOG = """\
One process per card holds the memory and multiplies small matrices for 2 % of the time. Ctrl-C or
a kill frees it at once; that is how it ends, so the exit code is 0, or 2 if a card was lost.
"""


def add_gpu(commands: argparse._SubParsersAction) -> None:
    """Add the command and its kinds to the parser's."""
    gpu = commands.add_parser(
        "gpu", help="list graphics cards, test them, hold their memory", allow_abbrev=False
    )
    kinds = gpu.add_subparsers(dest="kind", required=True, metavar="KIND")
    info = kinds.add_parser("info", help="which cards there are", allow_abbrev=False)
    test = _add_kind(kinds, "test", "whether they compute rightly, and how quickly", _TEST_EPILOG)
    hold = _add_kind(kinds, "hold", "keep a share of their free memory taken", _HOLD_EPILOG)
    info.add_argument(
        "--json", dest="as_json", action="store_true", help="print one JSON object on stdout"
    )
    test.add_argument(
        "--card",
        type=_card_or_cpu,
        default=_ALL,
        metavar="N",
        help="only this one, counted from 0; cpu = the processor, for comparison",
    )
    test.add_argument(
        "--size",
        type=_size,
        metavar="K",
        help=f"rows of the matrices; default: {_ROWS}, {_ROWS_OF_CPU} on the processor",
    )
    test.add_argument(
        "--seconds", type=_positive, default=1.0, metavar="S", help="per precision; default: 1"
    )
    hold.add_argument(
        "--card", type=_card, default=_ALL, metavar="N", help="only this one; default: all"
    )
    hold.add_argument(
        "--share",
        type=_share,
        default=0.5,
        metavar="X",
        help="of the memory that is free, above 0 up to 1; default: 0.5",
    )
    hold.add_argument(
        "--minutes", type=_positive, metavar="M", help="so long; default: until Ctrl-C"
    )


def _add_kind(
    kinds: argparse._SubParsersAction, name: str, told: str, epilog: str
) -> argparse.ArgumentParser:
    return kinds.add_parser(
        name,
        help=told,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run_gpu(arguments: argparse.Namespace) -> int:
    """Run the kind of command that was chosen; return the exit code. Raises LipsyncError."""
    return {"info": _info, "test": _test, "hold": _hold}[arguments.kind](arguments)


def _info(arguments: argparse.Namespace) -> int:
    from lipsync.gpu.listing import list_cards, read_software

    software, cards = read_software(), list_cards()
    if arguments.as_json:
        report = {"software": vars(software), "cards": [vars(card) for card in cards]}
        print(json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False))
        return EXIT_DONE
    print(describe_software(software, len(cards)))
    for card in cards:
        print(describe_card(card))
    return EXIT_DONE


def describe_software(software: Software, count: int) -> str:
    """Return one line: the versions, or why there is no card and what to do."""
    text = f"PyTorch {software.torch}"
    if not software.is_built:
        return (
            f"No graphics card can be used: {text} is built without support for any;"
            " install its CUDA build if there is a card, the draft preset needs none."
        )
    if not count:
        return (
            f"No graphics card that {text} can use was found; check the driver with `nvidia-smi`"
            " if there is one, the draft preset needs none."
        )
    parts = {
        "CUDA": software.cuda,
        "ROCm": software.rocm,
        "cuDNN": software.cudnn,
        "driver": software.driver,
    }
    return ", ".join([text, *(f"{name} {value}" for name, value in parts.items() if value)])


def describe_card(card: Card) -> str:
    """Return one line: number, name, capability, memory, precisions or what is wrong."""
    memory = f"{describe_size(card.total)}"
    if card.free is not None:
        memory = f"{describe_size(card.free)} of {memory} free"
    text = f"{card.number}  {card.name}  capability {card.capability}  {memory}"
    if card.fault is not None:
        return f"{text}  cannot be opened: {card.fault}"
    if not card.is_usable:
        return f"{text}  not supported by this PyTorch"
    return f"{text}  {', '.join(card.precisions)}"


def _test(arguments: argparse.Namespace) -> int:
    from lipsync.gpu.trial import try_device

    are_right = True
    for device in _devices(arguments.card):
        size = arguments.size or (_ROWS_OF_CPU if device.type == "cpu" else _ROWS)
        print(f"{_name(device)}, matrices of {size} × {size}", flush=True)
        are_right &= show_trials(try_device(device, size, arguments.seconds))
    return EXIT_DONE if are_right else EXIT_MENDABLE


def show_trials(trials: Iterable[Trial]) -> bool:
    """Print a line for each trial as it comes; return whether all were right."""
    are_right = True
    for trial in trials:
        print(describe_trial(trial), flush=True)
        are_right &= trial.is_right
    return are_right


def describe_trial(trial: Trial) -> str:
    """Return one line: precision, rate, error against what is allowed, verdict."""
    verdict = "ok" if trial.is_right else "suspicious"
    return (
        f"  {trial.precision:9} {trial.rate:9.3f} TFLOP/s  error {trial.error:.1e}"
        f" (allowed {trial.allowed:.1e})  {verdict}"
    )


def _hold(arguments: argparse.Namespace) -> int:
    devices = [str(device) for device in _devices(arguments.card)]
    return hold_until_stopped(devices, arguments.share, arguments.minutes)


def hold_until_stopped(devices: Sequence[str], share: float, minutes: float | None) -> int:
    """Hold the devices until the time is over or a KeyboardInterrupt; return the exit code.

    `share` in (0, 1] of each one's free memory.
    """
    from lipsync.gpu.hold import hold_devices

    seconds = None if minutes is None else 60 * minutes
    are_lost = False
    try:
        with closing(hold_devices(devices, share, seconds)) as events:
            for event in events:
                are_lost |= _show_event(event)
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the terminal wrote ^C
    print("All memory is free again.", flush=True)
    return EXIT_MENDABLE if are_lost else EXIT_DONE


def _show_event(event: Held | Lost) -> bool:
    """Print what happened; return whether a device was lost."""
    from lipsync.gpu.hold import BUSY_SECONDS, PERIOD, Lost

    if isinstance(event, Lost):
        print(describe_loss(event), file=sys.stderr, flush=True)
        return True
    print(
        f"{event.device}: {describe_size(event.size)} held of {describe_size(event.free)} that were"
        f" free, busy for {BUSY_SECONDS / PERIOD:.0%} of the time, process {event.process};"
        " Ctrl-C frees it",
        flush=True,
    )
    return False


def describe_loss(lost: Lost) -> str:
    """Return one line: which device is held no more, and why."""
    if lost.error is not None:
        return f"{lost.device} cannot be held: {lost.error}"
    if lost.exit_code is not None and lost.exit_code < 0:
        return f"{lost.device} is held no more: its process was ended by signal {-lost.exit_code}"
    return f"{lost.device} is held no more: its process ended with exit code {lost.exit_code}"


def _devices(card: int | str) -> list[torch.device]:
    """Return the devices meant by a --card. Raises InputError where one cannot be used."""
    from lipsync.device import choose_device, count_cards
    from lipsync.gpu.listing import read_software

    if card == "cpu":
        return [choose_device("cpu")]
    count = count_cards()
    if not count:
        raise InputError(describe_software(read_software(), count))
    numbers = range(count) if card == _ALL else [card]
    return [choose_device(f"cuda:{number}") for number in numbers]


def _name(device: torch.device) -> str:
    if device.type == "cpu":
        return "the processor"
    import torch

    return f"card {device.index}: {torch.cuda.get_device_name(device)}"


def _card_or_cpu(text: str) -> int | str:
    return text if text == "cpu" else _card(text)


def _card(text: str) -> int | str:
    if text == _ALL:
        return text
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a card, such as 0")
    return int(text)


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 16 <= int(text[:9]) <= _LARGEST):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 16 to {_LARGEST}")
    return int(text)


def _share(text: str) -> float:
    share = _number(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share above 0 up to 1, such as 0.5")
    return share


def _positive(text: str) -> float:
    number = _number(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
