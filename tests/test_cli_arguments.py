"""What the command line accepts, and what it says of what it does not."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from lipsync.cli.arguments import build_parser


def test_every_option_of_sync_arrives() -> None:
    line = "sync a.mp4 b.wav -o c.mp4 --preset draft --set amplitude=1.1 --set x=2 --face 2 "
    line += "--fit hold --start 1.5 --end 3 --seed 7 --fps 30000/1001 --lossless --no-score --json"
    found = build_parser().parse_args(line.split())
    assert (found.video, found.audio, found.output) == (Path("a.mp4"), Path("b.wav"), Path("c.mp4"))
    assert found.settings == [("amplitude", "1.1"), ("x", "2")]
    assert (found.face, found.fit, found.start, found.end) == (2, "hold", 1.5, 3.0)
    assert (found.seed, found.fps) == (7, Fraction(30000, 1001))
    assert (found.quality, found.score, found.as_json) == ("lossless", False, True)
    assert (found.part, found.softness, found.mark) == (None, 1.0, False)
    line += " --part 12:3 --softness 0 --mark"
    found = build_parser().parse_args(line.split())
    assert (found.part, found.softness, found.mark) == ((12.0, 3.0), 0.0, True)


def test_names_with_a_leading_dash_go_after_two_dashes() -> None:
    words = ["sync", "--output=-c.mp4", "--face", "1", "--", "-a.mp4", "--b.wav"]
    found = build_parser().parse_args(words)
    names = (str(found.video), str(found.audio), str(found.output))
    assert names == ("-a.mp4", "--b.wav", "-c.mp4")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--face", "0"),
        ("--face", "-1"),
        ("--face", "two"),
        ("--face", "²"),
        ("--part", "12"),
        ("--part", "12:0"),
        ("--part", "-1:3"),
        ("--part", "nan:3"),
        ("--part", "1:2:3"),
        ("--softness", "2.1"),
        ("--softness", "nan"),
        ("--softness", "soft"),
        ("--start", "nan"),
        ("--start", "-1"),
        ("--end", "inf"),
        ("--fps", "0"),
        ("--fps", "1/0"),
        ("--fps", "1e9"),
        ("--fps", "nan"),
        ("--fit", "wrap"),
        ("--set", "amplitude"),
        ("--set", "=1"),
        ("--seed", "x"),
    ],
)
def test_wrong_values_are_refused_with_the_value_named(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        build_parser().parse_args(["sync", "a", "b", "-o", "c", f"{option}={value}"])
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert repr(value) in said
    assert option in said


def test_arguments_after_bench_belong_to_the_bench() -> None:
    found = build_parser().parse_args(["bench", "draft", "--clips", "a b", "--json"])
    assert (found.what, found.rest) == ("draft", ["--clips", "a b", "--json"])


def test_help_loads_nothing_heavy() -> None:
    """A command line that thinks for seconds before it says how it is used feels broken."""
    code = (
        "import sys; from lipsync.cli.commands import build_parser; build_parser().format_help();"
        "print([m for m in ('torch', 'cv2', 'av', 'mediapipe', 'gradio', 'scipy')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
