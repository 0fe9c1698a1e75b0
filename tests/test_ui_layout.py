"""The screen as built: complete, and without side effects."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import gradio as gr
import pytest

from lipsync.errors import InputError
from lipsync.presets import PRESETS_FOLDER
from lipsync.ui import layout
from lipsync.ui.launch import launch_options
from lipsync.ui.layout import build_ui

ROOT = Path(__file__).resolve().parents[1]


def never(presets: object) -> NoReturn:
    raise AssertionError("the pipeline was made before anybody asked for a job")


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> gr.Blocks:
    root = tmp_path_factory.mktemp("jobs") / "root"
    built = build_ui(never, job_root=root)
    assert not root.exists()
    return built


def test_no_file_appears_beside_the_source(screen: gr.Blocks) -> None:
    assert list(Path(layout.__file__).parent.glob("*.pyi")) == []


def test_sliders_have_the_promised_range_and_start_grey(screen: gr.Blocks) -> None:
    sliders = {block.elem_id: block for block in screen.blocks.values() if hasattr(block, "step")}
    steps, guidance = sliders["steps"], sliders["guidance"]
    assert (steps.minimum, steps.maximum, steps.interactive) == (1, 50, False)
    assert (guidance.minimum, guidance.maximum, guidance.interactive) == (1.0, 3.0, False)
    assert steps.info.key == "inputs.steps-unused"


def test_whatever_uses_the_device_waits_in_one_line(screen: gr.Blocks) -> None:
    queued = {fn.fn.__name__: fn for fn in screen.fns.values() if fn.queue and fn.fn is not None}
    on_device = {name for name, fn in queued.items() if fn.concurrency_id == "device"}
    expected = {"generate", "preview", "make_both", "repair", "check", "create", "sync", "score"}
    assert on_device == expected
    assert all(queued[name].concurrency_limit == 1 for name in on_device)
    assert queued["scan"].concurrency_id == "scan"


def test_only_the_documented_endpoints_can_be_called_from_outside(screen: gr.Blocks) -> None:
    open_to_clients = {fn.api_name for fn in screen.fns.values() if fn.api_visibility != "private"}
    assert open_to_clients == {"sync", "score", "presets"}


def test_nothing_calls_home_and_nothing_is_recorded(screen: gr.Blocks) -> None:
    options = launch_options()
    assert screen.analytics_enabled is False
    assert (options["share"], options["run_history"], options["footer_links"]) == (False, False, [])
    assert options["max_file_size"] == 500 * 2**20
    assert all(Path(path).is_file() for path in options["allowed_paths"])
    assert options["theme"]._stylesheets == []


def test_wrong_preset_is_named_and_the_rest_works(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: Mine\nengine: nothing\n")
    built = build_ui(never, [PRESETS_FOLDER, tmp_path])
    (cards,) = [block for block in built.blocks.values() if block.elem_id == "preset"]
    assert [problem["file"] for problem in cards.props["problems"]] == ["mine.yaml"]
    assert len(cards.props["presets"]) == len(list(PRESETS_FOLDER.glob("*.yaml")))


def test_models_load_first_only_where_the_app_says_so() -> None:
    made: list[int] = []
    build_ui(lambda presets: made.append(len(presets)), loads_first=True)
    assert made == [len(list(PRESETS_FOLDER.glob("*.yaml")))]


def test_cards_of_presets_without_models_are_grey_from_the_start(screen: gr.Blocks) -> None:
    (cards,) = [block for block in screen.blocks.values() if block.elem_id == "preset"]
    assert cards.value == "draft"
    assert set(cards.props["absent"]) == {
        *("latentsync-fast", "latentsync-1.5", "latentsync-1.6-hd"),
        *("wav2lip", "wav2lip-gan"),
    }
    assert cards.props["can_fetch"] is True
    built = build_ui(never, can_fetch=False)
    (cards,) = [block for block in built.blocks.values() if block.elem_id == "preset"]
    assert cards.props["can_fetch"] is False


def test_no_preset_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"put back presets/draft\.yaml"):
        build_ui(never, [tmp_path])
