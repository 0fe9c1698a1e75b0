"""The Models tab without a browser: what it lists, who may do what, and which cards are grey."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
import needy_engine
import pytest
import torch
from needy_engine import PRESETS
from torch import nn
from weights_fixtures import CONTENT, hub_checkpoint, make_store
from weights_server import Fault, WeightsServer, serve_weights

from lipsync.engines import ENGINES
from lipsync.errors import InputError
from lipsync.residence import Part, Residence
from lipsync.ui.availability import require_weights, usable_presets
from lipsync.ui.models import MODELS, ModelHandlers, Wish, read_wish, say_part
from lipsync.ui.preset_panel import PresetPanel, lay_out_presets
from lipsync.ui.words import words_in
from lipsync.weights import ModelStore

ENGLISH = gr.Request(headers={"accept-language": "en"})
CHINESE = gr.Request(headers={"accept-language": "zh-CN"})
PATIENCE = 20.0  # s that a wait may take on a busy machine; usually it is over at once


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serve_weights() as running:
        yield running


@pytest.fixture
def store(server: WeightsServer, tmp_path: Path) -> ModelStore:
    return make_store(tmp_path / "cache", server, hub_checkpoint(server), own=tmp_path / "own")


@pytest.fixture
def panel(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> PresetPanel:
    return make_panel(store, monkeypatch)


def make_panel(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, *, can_fetch: bool = True
) -> PresetPanel:
    monkeypatch.setitem(ENGINES, *needy_engine.ENGINE)
    with gr.Blocks():
        return lay_out_presets(PRESETS, [], store, can_fetch=can_fetch)


@pytest.fixture
def handlers(panel: PresetPanel) -> Iterator[ModelHandlers]:
    made = ModelHandlers(panel, Residence(panel.store, device="cpu"))
    with closing(made.errands):
        yield made


def row_of(update: dict[str, Any]) -> dict[str, Any]:
    (row,) = update["listing"]["rows"]
    return dict(row)


def ask(handlers: ModelHandlers, kind: str, *keys: str, page: gr.Request = ENGLISH) -> Any:
    return handlers.act(page, {"kind": kind, "keys": list(keys), "n": 1})


def await_rest(handlers: ModelHandlers) -> dict[str, Any]:
    """Wait until nothing is done any more; return the widget's update."""
    await_truth(lambda: not handlers.errands.is_any_running())
    update: dict[str, Any] = handlers.open(ENGLISH)[0]
    return update


def await_truth(tell: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not tell():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.005)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "fetch",
        {},
        {"kind": "fetch"},
        {"kind": "fetch", "keys": "tiny"},
        {"kind": "fetch", "keys": [7]},
        {"kind": ["fetch"], "keys": []},
        {"kind": "format", "keys": ["tiny"]},
    ],
)
def test_forged_wishes_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match="reload the page"):
        read_wish(value)


def test_a_wish_names_each_checkpoint_once() -> None:
    asked = {"kind": "fetch", "keys": ["a", "b", "a"], "n": 3}
    assert read_wish(asked) == Wish("fetch", ("a", "b"))


def test_what_is_absent_says_all_there_is_to_know(handlers: ModelHandlers) -> None:
    widget, cards, is_open, clock = handlers.open(ENGLISH)
    row = row_of(widget)
    assert (row["title"], row["size"], row["state"]) == ("Tiny net", "40 kB", "Not here")
    assert (row["licence"], row["meaning"]) == ("Licence: Test licence", "Do as you like.")
    assert (row["needs"], row["actions"], row["place"]) == ("Needed by Fine", ["fetch"], "")
    assert "goes on when you leave the page" in widget["listing"]["lead"]
    reason = "Needs models that are not on this machine: Tiny net, 40 kB."
    assert cards["absent"] == {"fine": reason}
    assert is_open is True
    assert clock.active is True
    row = row_of(handlers.open(CHINESE)[0])
    assert (row["needs"], row["state"]) == ("用于：精细", "不在本机")


def test_a_fetch_is_told_while_it_runs_and_frees_the_card(
    handlers: ModelHandlers, server: WeightsServer, store: ModelStore
) -> None:
    server.faults = [Fault(stall_after=20_000)]
    widget, cards, clock = ask(handlers, "fetch", "tiny")
    assert (widget["trouble"], list(cards["absent"])) == ("", ["fine"])
    assert clock.active is True

    def look(is_open: bool) -> tuple[dict[str, Any], Any]:
        update, _, clock = handlers.look(ENGLISH, is_open)
        return row_of(update), clock

    await_truth(lambda: bool(look(True)[0]["share"]))
    row, clock = look(False)  # nobody is at the tab, and the download goes on
    assert clock == gr.skip()
    assert row["errand"].startswith("Fetching net.pt: ")
    assert " of 40 kB" in row["errand"]
    assert row["actions"] == ["cancel"]
    assert 0 < row["share"] < 1
    assert handlers.leave()[1].active is True

    server.released.set()
    widget = await_rest(handlers)
    row = row_of(widget)
    assert (row["state"], row["actions"]) == ("Here", ["verify", "delete"])
    assert row["errand"] == "Fetched, and its checksum is right."
    assert row["place"] == f"In {store.folder / 'tiny'}"
    _, cards, clock = handlers.look(ENGLISH, False)
    assert cards["absent"] == {}
    assert clock.active is False  # nothing left to watch
    assert handlers.leave()[1].active is False
    assert handlers.look(ENGLISH, True)[2] == gr.skip()


def test_a_broken_off_fetch_is_resumed(handlers: ModelHandlers, server: WeightsServer) -> None:
    server.faults = [Fault(slow=0.02)]
    ask(handlers, "fetch", "tiny")
    await_truth(lambda: bool(row_of(handlers.open(ENGLISH)[0])["share"]))
    ask(handlers, "stop", "tiny")
    row = row_of(await_rest(handlers))
    assert row["actions"] == ["fetch-partial", "delete"]
    assert row["state"].endswith("% is here")
    assert row["errand"].startswith("Stopped. What has arrived is kept")
    ask(handlers, "fetch", "tiny")
    assert row_of(await_rest(handlers))["state"] == "Here"


def test_trouble_is_one_sentence_in_the_visitors_language(
    handlers: ModelHandlers, server: WeightsServer
) -> None:
    server.files.clear()
    ask(handlers, "fetch", "tiny")
    row = row_of(await_rest(handlers))
    assert row["is_trouble"] is True
    assert row["errand"].endswith(".")
    assert row["actions"] == ["fetch"]  # to try again
    assert "。" in row_of(handlers.open(CHINESE)[0])["errand"]
    widget, *_ = ask(handlers, "fetch", "../x", page=CHINESE)
    assert widget["trouble"].endswith("。")


def test_own_files_count_and_are_never_deleted(
    handlers: ModelHandlers, store: ModelStore, tmp_path: Path
) -> None:
    own = tmp_path / "own/tiny"
    own.mkdir(parents=True)
    (own / "net.pt").write_bytes(b"mine")
    widget, cards, *_ = handlers.open(ENGLISH)
    row = row_of(widget)
    assert (row["state"], row["actions"]) == ("In your own folder", ["verify"])
    assert cards["absent"] == {}
    widget, *_ = ask(handlers, "delete", "tiny")
    assert "delete its files yourself" in widget["trouble"]
    assert (own / "net.pt").read_bytes() == b"mine"


def test_deleting_frees_the_disk_and_greys_the_card(
    handlers: ModelHandlers, store: ModelStore
) -> None:
    ask(handlers, "fetch", "tiny")
    await_rest(handlers)
    widget, cards, _ = ask(handlers, "delete", "tiny")
    assert widget["said"] == "Deleted Tiny net, 40 kB freed."
    assert list(cards["absent"]) == ["fine"]
    assert store.state("tiny").kind == "absent"
    assert row_of(widget)["errand"] == ""
    assert "nothing of Tiny net" in ask(handlers, "delete", "tiny")[0]["said"]


def test_a_damaged_file_can_be_fetched_anew(handlers: ModelHandlers, store: ModelStore) -> None:
    ask(handlers, "fetch", "tiny")
    await_rest(handlers)
    (store.folder / "tiny/net.pt").write_bytes(CONTENT[:-1])
    widget, cards, *_ = handlers.open(ENGLISH)
    assert row_of(widget)["actions"] == ["fetch-damaged", "verify", "delete"]
    assert list(cards["absent"]) == ["fine"]
    ask(handlers, "fetch", "tiny")
    assert row_of(await_rest(handlers))["state"] == "Here"


@pytest.mark.parametrize("kind", ["fetch", "stop", "verify", "delete", "release"])
def test_visitors_of_a_shared_app_only_look(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    exhausted = list(store.pull("tiny")) if kind == "delete" else []
    residence = Residence(store, device="cpu")
    handlers = ModelHandlers(make_panel(store, monkeypatch, can_fetch=False), residence)
    with residence.use("net", lambda: nn.Linear(2, 2)):
        pass
    widget, cards, _ = ask(handlers, kind, "tiny")
    assert "shared app" in widget["trouble"]
    row = row_of(widget)
    assert (row["actions"], row["place"], widget["listing"]["own"]) == ([], "", "")
    assert widget["listing"]["has_idle"] is False
    assert "owner" in widget["listing"]["lead"]
    assert len(residence.parts()) == 1
    assert store.state("tiny").kind == ("here" if exhausted else "absent")
    assert all(reason.endswith("that is up to its owner.") for reason in cards["absent"].values())
    event = gr.EventData(None, {"preset": "fine"})
    assert handlers.want(ENGLISH, event) == [gr.skip()] * 5


def test_a_cards_button_leads_to_the_question(handlers: ModelHandlers) -> None:
    tabs, widget, cards, is_open, clock = handlers.want(
        ENGLISH, gr.EventData(None, {"preset": "fine"})
    )
    assert tabs.selected == MODELS
    assert (widget["wanted"]["keys"], widget["wanted"]["size"]) == (["tiny"], "40 kB")
    assert (list(cards["absent"]), is_open, clock.active) == (["fine"], True, True)
    assert not handlers.errands.is_any_running()  # asked first
    for forged in (None, 7, {}, {"preset": ["fine"]}, {"preset": "gone"}):
        assert handlers.want(ENGLISH, gr.EventData(None, forged)) == [gr.skip()] * 5


def test_what_is_loaded_is_listed_and_let_go_of(panel: PresetPanel) -> None:
    residence = Residence(panel.store, device="cpu")
    handlers = ModelHandlers(panel, residence)
    assert handlers.open(ENGLISH)[0]["listing"]["has_idle"] is False
    assert ask(handlers, "release")[0]["said"] == "Nothing was idle."
    with residence.use("net", lambda: nn.Linear(10, 10, bias=False, dtype=torch.float16)):
        listing = ask(handlers, "release")[0]["listing"]
        assert listing["parts"] == [
            {"name": "net", "facts": "float16 on cpu, 200 B", "use": "in use"}
        ]
        assert listing["has_idle"] is False
    listing = handlers.open(ENGLISH)[0]["listing"]
    assert (listing["parts"][0]["use"], listing["has_idle"]) == ("idle", True)
    widget, *_ = ask(handlers, "release")
    assert (widget["said"], widget["listing"]["parts"]) == ("One part released", [])


def test_idle_parts_tell_for_how_long() -> None:
    part = Part("net", "float16", "cuda:0", 5_000_000, 0, 190.0)
    assert say_part(part, words_in("en"))["use"] == "idle for 3 min"
    assert say_part(part, words_in("zh-CN"))["use"] == "已空闲 3 分钟"


def test_presets_without_their_checkpoints_are_refused_in_one_sentence(
    panel: PresetPanel, store: ModelStore
) -> None:
    fine, draft = PRESETS
    require_weights(draft, store)
    assert list(usable_presets(panel.presets, store)) == ["draft"]
    with pytest.raises(InputError) as refused:
        require_weights(fine, store)
    assert str(refused.value) == (
        "The preset 'fine' needs models that are not on this machine (Tiny net, 40 kB); fetch them "
        "in the Models tab or with `python -m lipsync models pull tiny`, or choose another preset."
    )
