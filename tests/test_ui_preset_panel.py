"""The panel of settings: what its components hold and what handlers read of them."""

from __future__ import annotations

from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl

import gradio as gr
import needy_engine
import pytest
import stepping_engine
from stepping_engine import PRESETS, PROBLEMS

from lipsync.engines import ENGINES
from lipsync.errors import InputError
from lipsync.ui.choices import Choices, defaults_for
from lipsync.ui.preset_panel import (
    PresetPanel,
    _Keeper,
    lay_out_presets,
    read_choices,
    write_choices,
)
from lipsync.ui.words import words_in
from lipsync.weights import Checkpoint, Download, Licence, ModelStore, WebFile, WeightFile

if TYPE_CHECKING:
    pass


DOWNLOAD = Download(WebFile("http://127.0.0.1:9/net.pt"), WeightFile("net.pt", 5, None))
NAMES = [f.name for f in fields(Choices)]


@pytest.fixture(autouse=True)
def _with_stepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, *stepping_engine.ENGINE)


@pytest.fixture
def panel() -> PresetPanel:
    with gr.Blocks():
        return lay_out_presets(PRESETS, PROBLEMS, ModelStore())


def test_inputs_hold_the_first_presets_defaults_in_the_order_of_choices(
    panel: PresetPanel,
) -> None:
    held = read_choices(*(component.value for component in panel.inputs))
    assert held == defaults_for(PRESETS[0])
    assert [component.elem_id for component in panel.inputs] == NAMES


def test_grey_sliders_say_why_in_the_visitors_language(panel: PresetPanel) -> None:
    assert (panel.steps.interactive, panel.guidance.interactive) == (False, False)
    for locale, reason in (("en", "Not used, because"), ("zh-CN", "不使用此项")):
        words = words_in(locale)
        chosen = defaults_for(PRESETS[2])
        updates = dict(zip(NAMES, write_choices(panel, chosen, words), strict=False))
        assert (updates["steps"]["value"], updates["steps"]["interactive"]) == (30, True)
        assert updates["steps"]["info"] == words("inputs.steps-help")
        assert updates["guidance"]["interactive"] is False
        assert updates["guidance"]["info"].startswith(reason)


def test_every_output_gets_what_an_earlier_job_was_made_with(panel: PresetPanel) -> None:
    choices = Choices("stepper", 7, 2.0, 9, "50", "loop", 0.5, True)
    *updates, preset, query, memory = write_choices(panel, choices, words_in("en"))
    assert len(panel.outputs) == len(updates) + 3
    assert tuple(update["value"] for update in updates) == astuple(choices)
    assert preset == "stepper"
    assert parse_qs(query)["fit"] == ["loop"]
    assert Choices(**memory) == choices
    with pytest.raises(InputError, match="no preset called 'gone'"):
        write_choices(panel, replace(choices, preset="gone"), words_in("en"))


@pytest.fixture
def needy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PresetPanel:
    """A panel whose first preset lacks its checkpoint, which would lie in `tmp_path`."""
    monkeypatch.setitem(ENGINES, *needy_engine.ENGINE)
    row = Checkpoint("tiny", "Tiny net", Licence("Free", "Free.", True), (DOWNLOAD,))
    with gr.Blocks():
        store = ModelStore(tmp_path, checkpoints=[row])
        return lay_out_presets(needy_engine.PRESETS, [], store)


def open_page(panel: PresetPanel, query: str = "", stored: Any = None) -> dict[str, Any]:
    """Return what `restore` updates, by name of the choice or "notice"."""
    request = gr.Request(headers={"accept-language": "en"}, query_params=dict(parse_qsl(query)))
    updates = _Keeper(panel).restore(stored, request)
    return dict(zip([*NAMES, "shown", "link", "memory", "notice"], updates, strict=True))


def test_opens_on_the_first_preset_whose_models_are_here(needy: PresetPanel) -> None:
    assert needy.cards.value == "draft"
    assert needy.cards.props["absent"] == {"fine": ""}
    opened = open_page(needy)
    assert opened["preset"]["value"] == "draft"
    assert list(opened["preset"]["absent"]) == ["fine"]
    assert opened["notice"]["visible"] is False  # nobody asked for the other one


@pytest.mark.parametrize("is_link", [True, False])
def test_a_wish_for_an_absent_preset_falls_back_with_a_sentence(
    needy: PresetPanel, is_link: bool
) -> None:
    if is_link:
        opened = open_page(needy, "preset=fine&seed=7")
    else:
        opened = open_page(needy, stored={"preset": "fine", "seed": 7})
    assert (opened["preset"]["value"], opened["seed"]["value"]) == ("draft", 7)
    assert opened["notice"]["visible"] is True
    assert "The preset &#x27;fine&#x27; needs models that are not on" in opened["notice"]["value"]
    assert ("last time" in opened["notice"]["value"]) is not is_link


def test_a_reload_sees_what_was_put_there(needy: PresetPanel, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/net.pt").write_bytes(b"whole")
    opened = open_page(needy, "preset=fine")
    assert (opened["preset"]["value"], opened["preset"]["absent"]) == ("fine", {})
    assert opened["notice"]["visible"] is False


def test_an_absent_preset_cannot_be_chosen_by_forgery(needy: PresetPanel) -> None:
    request = gr.Request(headers={"accept-language": "en"})
    values = astuple(replace(defaults_for(needy_engine.PRESETS[1]), preset="fine"))
    cards, *others = _Keeper(needy).choose_preset(request, "draft", *values)
    assert (cards["value"], list(cards["absent"])) == ("draft", ["fine"])
    assert others == [gr.skip()] * len(others)
    with pytest.raises(InputError, match="not on this machine"):
        write_choices(needy, Choices("fine"), words_in("en"))
