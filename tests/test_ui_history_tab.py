"""The history's tab: forged wishes, and whose jobs are listed, compared and deleted."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from history_jobs import REQUEST, RESULT, SCORE, UNSCORED, add_job

from lipsync.errors import InputError
from lipsync.record import make_record
from lipsync.ui.history import History
from lipsync.ui.history_tab import Action, HistoryHandlers, read_action
from lipsync.ui.visitors import new_visitor

ENGLISH = gr.Request(headers={"accept-language": "en"})
CHINESE = gr.Request(headers={"accept-language": "zh-CN,zh;q=0.9"})


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history")


@pytest.mark.parametrize(
    ("value", "action"),
    [
        ({"kind": "show", "ids": ["ab"], "n": 1}, Action("show", ("ab",))),
        ({"kind": "delete", "ids": ["ab"]}, Action("delete", ("ab",))),
        ({"kind": "compare", "ids": ["ab", "cd"]}, Action("compare", ("ab", "cd"))),
    ],
)
def test_wishes_are_read(value: Any, action: Action) -> None:
    assert read_action(value) == action


@pytest.mark.parametrize(
    "value",
    [
        None,
        "show",
        [],
        {},
        {"kind": "show"},
        {"kind": "format", "ids": ["ab"]},
        {"kind": ["show"], "ids": ["ab"]},
        {"kind": "show", "ids": "ab"},
        {"kind": "show", "ids": {"ab": 1}},
        {"kind": "show", "ids": []},
        {"kind": "show", "ids": ["ab", "cd"]},
        {"kind": "show", "ids": [7]},
        {"kind": "show", "ids": ["../ab"]},
        {"kind": "show", "ids": ["ab\n"]},
        {"kind": "show", "ids": ["a" * 65]},
        {"kind": "compare", "ids": ["ab"]},
        {"kind": "compare", "ids": ["ab", "ab"]},
    ],
)
def test_forged_wishes_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match="reload the page"):
        read_action(value)


def test_list_is_the_visitors_own(history: History, tmp_path: Path) -> None:
    ada, bob = new_visitor(), new_visitor()
    handlers = HistoryHandlers(history, {})
    entry = add_job(history, ada, tmp_path / "job", b"x")
    (shown,) = handlers.list_entries(ada, ENGLISH)["listing"]["entries"]
    assert shown["id"] == entry.id
    assert (shown["name"], shown["preset"], shown["seconds"]) == ("holiday.mp4", "Draft", 1.2)
    assert (shown["score"], shown["verdict"]) == ("0.81", "in sync")
    assert handlers.list_entries(ada, CHINESE)["listing"]["entries"][0]["verdict"] != "in sync"
    for stranger in (bob, "", None, {"a": 1}):
        assert handlers.list_entries(stranger, ENGLISH)["listing"]["entries"] == []


def test_job_without_a_score_is_listed(history: History, tmp_path: Path) -> None:
    ada = new_visitor()
    add_job(history, ada, tmp_path / "job", b"x", record=UNSCORED)
    (shown,) = HistoryHandlers(history, {}).list_entries(ada, ENGLISH)["listing"]["entries"]
    assert (shown["score"], shown["verdict"], shown["is_part"]) == (None, None, True)


def test_score_without_a_number_is_listed(history: History, tmp_path: Path) -> None:
    ada = new_visitor()
    blind = replace(RESULT, score=replace(SCORE, confidence=math.nan))
    add_job(history, ada, tmp_path / "job", b"x", record=make_record(REQUEST, blind))
    (shown,) = HistoryHandlers(history, {}).list_entries(ada, ENGLISH)["listing"]["entries"]
    assert shown["score"] is None


def test_nobody_deletes_or_compares_anothers(history: History, tmp_path: Path) -> None:
    ada, bob = new_visitor(), new_visitor()
    handlers = HistoryHandlers(history, {})
    first, second = (add_job(history, ada, tmp_path / "job", b"x") for _ in range(2))
    for asked in (
        {"kind": "delete", "ids": [first.id]},
        {"kind": "compare", "ids": [first.id, second.id]},
    ):
        widget, player = handlers.act(bob, asked, ENGLISH)
        assert "no longer in your history" in widget["listing"]["trouble"]
        assert "value" not in player
    assert len(history.entries(ada)) == 2


def test_delete_says_so_and_lists_the_rest(history: History, tmp_path: Path) -> None:
    ada = new_visitor()
    first, second = (add_job(history, ada, tmp_path / "job", b"x") for _ in range(2))
    asked = {"kind": "delete", "ids": [first.id]}
    widget, player = HistoryHandlers(history, {}).act(ada, asked, ENGLISH)
    assert widget["listing"]["said"] == "holiday.mp4 was deleted."
    assert [entry["id"] for entry in widget["listing"]["entries"]] == [second.id]
    assert player["value"] is None
    assert not first.folder.exists()


def test_compare_plays_both_in_the_order_chosen(history: History, tmp_path: Path) -> None:
    ada = new_visitor()
    first, second = (add_job(history, ada, tmp_path / "job", b"x") for _ in range(2))
    asked = {"kind": "compare", "ids": [second.id, first.id]}
    _, player = HistoryHandlers(history, {}).act(ada, asked, ENGLISH)
    assert player["value"]["labels"] == ("A · Draft", "B · Draft")
    assert second.id in player["value"]["before"]["src"]
    assert first.id in player["value"]["after"]["src"]


def test_wishes_of_the_other_tab_and_forged_ones_change_nothing(
    history: History, tmp_path: Path
) -> None:
    ada = new_visitor()
    entry = add_job(history, ada, tmp_path / "job", b"x")
    handlers = HistoryHandlers(history, {})
    for kind in ("show", "again"):
        updates = handlers.act(ada, {"kind": kind, "ids": [entry.id]}, ENGLISH)
        assert updates == [gr.skip(), gr.skip()]
    widget, _ = handlers.act(ada, {"kind": "delete", "ids": [{}]}, ENGLISH)
    assert "reload the page" in widget["listing"]["trouble"]
    assert history.entries(ada) == [entry]
