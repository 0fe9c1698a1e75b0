"""The progress line, on a terminal and in a log."""

from __future__ import annotations

import io

from lipsync.cli.progress import ProgressLine, describe_progress
from lipsync.types import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_tells_stage_share_and_time_left() -> None:
    line = describe_progress(Progress("generate", 30, 120, seconds_left=75.4))
    assert line == "[######------------------]  moving the mouth 30/120  1 min 15 s left"


def test_a_stage_that_counts_nothing_yet_shows_no_count() -> None:
    assert describe_progress(Progress("voice", 0, 126, 4.0)) == "listening to the voice  4 s left"
    assert describe_progress(Progress("done", 126, 126, 0.0)) == "done"


def test_time_left_reads_naturally() -> None:
    words = [describe_progress(Progress("faces", 1, 2, s), bar=False) for s in (9.4, 3700.0)]
    assert [line.rsplit("  ", 1)[1] for line in words] == ["9 s left", "1 h 01 min left"]


def test_a_terminal_line_is_redrawn_and_wiped() -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    line.show(Progress("faces", 1, 100))
    line.show(Progress("voice", 0, 1))
    line.close()
    shown = stream.getvalue()
    assert "\n" not in shown
    # the shorter text covers the longer one, and in the end nothing is left standing
    first, second, wiped, end = shown.split("\r")[1:]
    assert len(second) >= len(first.rstrip())
    assert wiped.strip() == end == ""


def test_a_log_gets_one_line_a_stage() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for done in range(1, 101):
        line.show(Progress("generate", done, 100))
    line.show(Progress("score", 0, 1))
    line.close()
    assert stream.getvalue().splitlines() == ["moving the mouth 1/100", "judging the result"]
