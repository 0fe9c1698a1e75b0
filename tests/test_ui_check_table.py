"""The table of checked clips: its order, what the browser is told, and a CSV file that is safe."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from lipsync.types import Clip, Size, SyncScore
from lipsync.ui.check_table import (
    COLUMNS,
    Row,
    describe_rows,
    find_worst_second,
    summarise,
    worst_first,
    write_csv,
)
from lipsync.ui.words import words_in

ENGLISH, CHINESE = words_in("en"), words_in("zh-CN")


def make_score(
    confidence: float = 0.9,
    verdict: str = "in sync",
    offset: int = 0,
    per_second: tuple[float | None, ...] = (0.9, 0.8),
    judge: str = "correlate",
) -> SyncScore:
    return SyncScore(
        judge, "good enough", confidence, offset, Fraction(25), verdict, per_second=per_second
    )


def make_row(name: str, score: SyncScore | None = None, reason: str | None = None) -> Row:
    clip = Clip(Path(name), Fraction(25), 200, Size(64, 64), 8.0, True, False, "h264")
    return Row(Path("/served") / name, clip, score=score, reason=reason)


def read_csv(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


ROWS = [
    make_row("fine.mp4", make_score(0.95)),
    make_row("broken.mp4", reason="It is broken."),
    make_row("shifted.mp4", make_score(0.99, "shifted: the sound comes 400 ms too late", -10)),
    make_row("rough.mp4", make_score(0.5, "roughly in sync", per_second=(None, 0.7, 0.2, 0.4))),
    make_row("wrong.mp4", make_score(0.1, "out of sync: the mouth does not follow this voice")),
    make_row("worse.mp4", make_score(0.05, "out of sync: the mouth does not follow this voice")),
]


def test_worst_verdict_comes_first_and_what_has_no_score_last() -> None:
    names = [Path(row.name).stem for row in worst_first(ROWS)]
    assert names == ["worse", "wrong", "shifted", "rough", "fine", "broken"]


def test_another_judges_verdict_is_shown_as_it_is() -> None:
    row = make_row("other.mp4", make_score(7.1, "convincing"))
    (told,) = describe_rows([row], ENGLISH)
    assert (told["level"], told["verdict"]) == ("plain", "Convincing")
    order = [row.name for row in worst_first([*ROWS, row])]
    assert order.index("shifted.mp4") < order.index("other.mp4") < order.index("rough.mp4")


def test_worst_second_is_the_lowest_that_was_judged() -> None:
    assert find_worst_second(make_score(per_second=(None, 0.7, 0.2, 0.4))) == 2
    assert find_worst_second(make_score(per_second=(None, None))) is None
    assert find_worst_second(make_score(per_second=())) is None


def test_browser_is_told_plain_json_in_the_visitors_language() -> None:
    waiting = make_row("later.mp4")
    told = json.loads(json.dumps(describe_rows([*ROWS, waiting], CHINESE)))
    assert [row["id"] for row in told] == list(range(7))
    assert [row["state"] for row in told[:2]] == ["scored", "failed"]
    assert told[6]["state"] == "waiting"
    assert told[2] == {
        **{"id": 2, "name": "shifted.mp4", "seconds": 8.0, "state": "scored", "note": ""},
        **{"rank": 1.0, "level": "poor", "verdict": "不同步", "confidence": 0.99},
        **{"judge": "correlate", "offset": -400, "worst": 1},
    }
    assert (told[1]["note"], told[1]["confidence"]) == ("It is broken.", None)
    assert "served" not in json.dumps(told)


def test_short_clip_is_noted() -> None:
    clip = Clip(Path("a"), Fraction(25), 50, Size(64, 64), 2.0, True, False, "h264")
    (told,) = describe_rows([Row(Path("a.mp4"), clip, score=make_score())], ENGLISH)
    assert "chance" in told["note"]


def test_summary_counts_what_is_in_sync_and_what_could_not_be_scored() -> None:
    told = "5 clips scored · 1 in sync · 1 slightly off · mean confidence 0.52 · one could not be"
    assert summarise(ROWS, ENGLISH) == f"{told} scored"
    assert summarise(ROWS[:1], ENGLISH) == "One clip scored · 1 in sync"
    assert summarise([replace(ROWS[0], score=None, reason="x")], ENGLISH).startswith("One could")
    assert summarise([], ENGLISH) == ""


def test_numbers_of_two_judges_are_never_mixed() -> None:
    others = [
        make_row(f"other{number}.mp4", make_score(confidence, judge="syncnet"))
        for number, confidence in enumerate((9.0, 0.5, 6.5))
    ]
    rows = [make_row("fine.mp4", make_score(0.95)), *others, make_row("good.mp4", make_score(0.75))]
    names = [row.name.removesuffix(".mp4") for row in worst_first(rows)]
    assert names == ["good", "fine", "other1", "other2", "other0"]
    said = summarise(rows, ENGLISH)
    assert "mean confidence of correlate 0.85 · mean confidence of syncnet 5.33" in said
    assert "mean" not in summarise(rows[:2], ENGLISH)  # one each
    assert [row["judge"] for row in describe_rows(rows[:2], ENGLISH)] == ["correlate", "syncnet"]


def test_repaired_copy_says_so() -> None:
    row = replace(make_row("a-repaired.mp4", make_score()), repaired_ms=-320)
    (told,) = describe_rows([row], ENGLISH)
    assert told["note"] == "Offset repaired: the sound was moved by −320 ms."


def test_csv_holds_every_finished_row_worst_first() -> None:
    text = write_csv([*ROWS, make_row("later.mp4")], ENGLISH)
    lines = read_csv(text)
    assert tuple(lines[0]) == COLUMNS
    assert [line["file_name"] for line in lines] == [row.name for row in worst_first(ROWS)]
    assert lines[2] == {
        "file_name": "shifted.mp4",
        "confidence": "0.99",
        "verdict": "shifted: the sound comes 400 ms too late",
        "offset_ms": "-400.0",
        "offset_frames": "-10",
        "judge": "correlate",
        "distance": "",
        "seconds": "8.0",
        "worst_second": "1",
        "reason": "",
    }
    assert lines[5]["reason"] == "It is broken."
    assert lines[5]["confidence"] == lines[5]["verdict"] == ""


@pytest.mark.parametrize(
    "name",
    [
        *("=cmd|' -C calc'!A0.mp4", "+1.mp4", "-1.mp4", "@SUM(A1).mp4", "  =1+1.mp4"),
        *("\t=1.mp4", "\r=1.mp4", "\n=1.mp4", "\uff1d1+1.mp4", "\uff20SUM.mp4"),
    ],
)
def test_csv_text_never_starts_a_formula(name: str) -> None:
    row = make_row(name, reason=f"{name} is broken.")
    (line,) = read_csv(write_csv([row], ENGLISH))
    assert line["file_name"] == f"'{name}"
    assert line["reason"] == f"'{name} is broken."


def test_csv_keeps_quotes_newlines_and_every_script_in_their_cell() -> None:
    name = 'we said "hi",\n我们说了 – مرحبا 🎬;x.mp4'
    rows = [make_row(name, make_score()), make_row("b.mp4", make_score())]
    text = write_csv(rows, CHINESE)
    lines = read_csv(text.encode("utf-8").decode("utf-8"))
    assert [line["file_name"] for line in lines] == [name, "b.mp4"]
    assert lines[0]["verdict"] == "同步"
