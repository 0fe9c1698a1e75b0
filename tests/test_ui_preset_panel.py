"""The panel of settings: what its components hold, and, in a browser, how settings travel."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import gradio as gr
import needy_engine
import pytest
from served_blocks import serve_blocks

from lipsync.engines import ENGINES
from lipsync.errors import InputError
from lipsync.presets import Preset, Problem
from lipsync.types import FITS, EngineSpec
from lipsync.ui.choices import Choices, defaults_for
from lipsync.ui.preset_panel import (
    PresetPanel,
    _Keeper,
    connect_choices,
    lay_out_presets,
    read_choices,
    write_choices,
)
from lipsync.ui.words import words_in
from lipsync.weights import Checkpoint, Download, Licence, ModelStore, WebFile, WeightFile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Stepper:
    """An engine, as far as the panel looks at one, whose painting takes steps."""

    spec = EngineSpec("stepper", "The stepping engine", "Apache-2.0", "none", 16)

    @dataclass(frozen=True)
    class Settings:
        steps: int = field(default=20, metadata={"low": 1, "high": 50})

    @classmethod
    def needed_weights(cls, settings: Settings) -> tuple[str, ...]:
        return ()


CHINESE = {"zh-CN": {"title": "草稿", "sentence": "人人可用。"}}
PRESETS = [
    Preset("draft", "Draft", "Fast, for everyone.", "draft", translations=CHINESE),
    Preset("calm", "Calm", "Small movements.", "draft", {"amplitude": 0.75}),
    Preset("stepper", "Stepper", "Fine but slow.", "stepper", {"steps": 30}, fit="hold"),
]
PROBLEMS = [
    Problem(Path("/srv/mine.yaml"), 4, "'fit' is 'twist'."),
    Problem(Path("/srv/<b>.yaml"), None, "it cannot be read."),
]
DOWNLOAD = Download(WebFile("http://127.0.0.1:9/net.pt"), WeightFile("net.pt", 5, None))
NAMES = [f.name for f in fields(Choices)]


@pytest.fixture(autouse=True)
def _with_stepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "stepper", "test_ui_preset_panel:Stepper")


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


# --- in a browser ---------------------------------------------------------------------------


@contextmanager
def served(presets: list[Preset], problems: list[Problem] = PROBLEMS) -> Iterator[str]:
    with gr.Blocks() as blocks:
        panel = lay_out_presets(presets, problems, ModelStore())
        connect_choices(blocks, panel)
        told = gr.Textbox(elem_id="told", interactive=True)
        gr.Button("tell", elem_id="tell").click(
            lambda *values: repr(astuple(read_choices(*values))), panel.inputs, told
        )
        gr.Button("time", elem_id="time").click(
            lambda: gr.update(times={"draft": "about 12 s"}), None, panel.cards
        )
    with serve_blocks(blocks) as url:
        yield url


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, "stepper", "test_ui_preset_panel:Stepper")
        with served(PRESETS) as url:
            yield url


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with browser.new_context() as context:
        yield open_panel(context.new_page(), address)


def open_panel(page: Page, url: str) -> Page:
    with page.expect_response(lambda response: "gradio_api/run" in response.url, timeout=60_000):
        page.goto(url)
    page.locator(".presets-card").first.wait_for(timeout=30_000)
    return page


def open_advanced(page: Page) -> None:
    page.locator("#advanced > button, #advanced .label-wrap").first.click()
    page.locator(".fits-card").first.wait_for()


def await_query(page: Page, **expected: str) -> None:
    page.wait_for_function(
        """(expected) => {
            const found = new URL(location.href).searchParams;
            return Object.entries(expected).every(([key, value]) => found.get(key) === value);
        }""",
        arg=expected,
    )


def query_of(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def held(page: Page) -> tuple[Any, ...]:
    """Return what the server is told, as a tuple of the fields of `Choices`."""
    field = page.locator("#told textarea")
    field.fill("")
    page.click("#tell")
    page.wait_for_function("document.querySelector('#told textarea').value !== ''")
    told: tuple[Any, ...] = ast.literal_eval(field.input_value())
    return told


@pytest.mark.browser
def test_mouse_and_keys_choose_a_card_and_the_address_follows(page: Page) -> None:
    from playwright.sync_api import expect

    assert query_of(page) == {}
    page.get_by_role("radio", name="Calm").click()
    await_query(page, preset="calm")
    draft = page.get_by_role("radio", name="Draft")
    expect(draft).not_to_be_checked()
    page.keyboard.press("ArrowDown")
    await_query(page, preset="stepper")
    expect(page.get_by_role("radio", name="Stepper")).to_be_checked()
    expect(page.get_by_role("radio", name="Stepper")).to_have_accessible_description(
        "Fine but slow."
    )
    expect(page.get_by_role("radiogroup", name="Preset")).to_be_visible()
    open_advanced(page)
    expect(page.locator("#steps input[type=range]")).to_be_enabled()
    expect(page.locator("#guidance input[type=range]")).to_be_disabled()
    expect(page.locator("#guidance")).to_contain_text("Not used")
    expect(page.get_by_role("radio", name="Hold the end")).to_be_checked()
    assert held(page) == astuple(defaults_for(PRESETS[2]))


@pytest.mark.browser
def test_time_stands_on_the_card_once_it_is_known(page: Page) -> None:
    from playwright.sync_api import expect

    expect(page.locator(".presets-time").first).to_be_empty()
    page.click("#time")
    expect(page.locator("#preset")).to_contain_text("about 12 s")
    expect(page.locator(".presets-time").nth(1)).to_be_empty()


@pytest.mark.browser
def test_every_setting_comes_back_after_a_reload_and_without_the_address(
    page: Page, address: str
) -> None:
    from playwright.sync_api import expect

    page.get_by_role("radio", name="Stepper").click()
    await_query(page, preset="stepper")
    open_advanced(page)
    page.locator("#steps input[type=number]").fill("12")
    await_query(page, steps="12")
    page.locator("#seed input").fill("41")
    await_query(page, seed="41")
    page.get_by_role("radio", name="From the start").click()
    await_query(page, fit="loop")
    page.keyboard.press("ArrowRight")
    await_query(page, fit="cut")
    page.locator("#fps input").click()
    page.get_by_role("option", name="29.97").click()
    await_query(page, fps="30000/1001")
    page.locator("#softness input[type=number]").fill("0.5")
    await_query(page, softness="0.5")
    page.locator("#mark input").check()
    await_query(page, mark="true")
    chosen = ("stepper", 12, 1.5, 41, "30000/1001", "cut", 0.5, True)
    assert held(page) == chosen

    open_panel(page, page.url)
    assert held(page) == chosen
    open_panel(page, address)  # nothing in the address: the browser remembers
    assert held(page) == chosen
    open_advanced(page)
    expect(page.get_by_role("radio", name="Stop early")).to_be_checked()
    expect(page.locator("#fps input")).to_have_value("29.97")


@pytest.mark.browser
def test_dice_throw_another_seed(page: Page) -> None:
    open_advanced(page)
    page.click("#dice")
    page.wait_for_function("new URL(location.href).searchParams.get('seed') > 0")
    assert str(held(page)[NAMES.index("seed")]) == query_of(page)["seed"]


@pytest.mark.browser
def test_link_wins_over_memory_and_does_not_replace_it(page: Page, address: str) -> None:
    page.get_by_role("radio", name="Calm").click()
    await_query(page, preset="calm")
    open_panel(page, f"{address}?preset=stepper&seed=7&__theme=dark")
    assert held(page)[:4] == ("stepper", 30, 1.5, 7)
    open_advanced(page)
    page.get_by_role("radio", name="From the start").click()
    await_query(page, fit="loop", seed="7", __theme="dark")
    assert held(page)[5] == "loop"


@pytest.mark.browser
def test_opened_link_is_forgotten_where_nothing_was_changed(page: Page, address: str) -> None:
    page.get_by_role("radio", name="Calm").click()
    await_query(page, preset="calm")
    open_panel(page, f"{address}?preset=stepper&seed=7")
    open_panel(page, address)
    assert held(page)[0] == "calm"


@pytest.mark.browser
def test_hostile_link_is_told_in_a_sentence_and_the_rest_holds(page: Page, address: str) -> None:
    from playwright.sync_api import expect

    shout = "%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D%27owned%27%22%3E"
    open_panel(page, f"{address}?preset={shout}&steps=99&fps=1e999999&fit=loop&mark=[]")
    notice = page.locator("#link-troubles")
    expect(notice).to_contain_text("no preset called '<img")
    expect(notice).to_contain_text("steps is 99")
    expect(notice).to_contain_text("frame rate is '1e999999'")
    expect(notice).to_contain_text("mark is '[]'")
    assert page.title() != "owned"
    assert held(page) == astuple(replace(defaults_for(PRESETS[0]), fit="loop"))


@pytest.mark.browser
def test_forged_memory_is_ignored(page: Page, address: str) -> None:
    page.evaluate("localStorage.setItem('lipsync-studio-choices', '{\"preset\": [1]}')")
    open_panel(page, address)
    assert held(page) == astuple(defaults_for(PRESETS[0]))


@pytest.mark.browser
def test_visitors_share_nothing(page: Page, browser: Browser, address: str) -> None:
    page.get_by_role("radio", name="Calm").click()
    await_query(page, preset="calm")
    with browser.new_context() as other:
        assert held(open_panel(other.new_page(), address))[0] == "draft"
    assert held(page)[0] == "calm"


@pytest.mark.browser
def test_link_can_be_copied(browser: Browser, address: str) -> None:
    from playwright.sync_api import expect

    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = open_panel(context.new_page(), address)
        page.get_by_role("button", name="Copy link").click()
        expect(page.locator("#link")).to_contain_text("Link copied")
        assert page.evaluate("navigator.clipboard.readText()") == f"{address}?preset=draft"
    with browser.new_context() as context:
        page = context.new_page()
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        open_panel(page, address).get_by_role("button", name="Copy link").click()
        expect(page.get_by_label("Copy this link")).to_have_value(f"{address}?preset=draft")


@pytest.mark.browser
def test_every_length_has_its_picture_and_sentence(page: Page) -> None:
    open_advanced(page)
    drawn = [
        (
            card.locator("input").get_attribute("value"),
            card.locator("svg").bounding_box()["height"] > 10,  # type: ignore[index]
            card.locator("svg .fits-piece").count(),
            card.locator(".fits-sentence").inner_text().endswith("."),
        )
        for card in page.locator(".fits-card").all()
    ]
    pieces = {"bounce": 3, "loop": 3, "cut": 1, "hold": 2, "stretch": 1}
    assert drawn == [(fit, True, pieces[fit], True) for fit in FITS]


@pytest.mark.browser
def test_left_out_files_are_named_without_their_folder(page: Page) -> None:
    from playwright.sync_api import expect

    problems = page.locator(".presets-problems")
    expect(problems.locator("summary")).to_have_text("Preset files left out: 2")
    problems.locator("summary").click()
    expect(problems).to_contain_text("mine.yaml, line 4: 'fit' is 'twist'.")
    expect(problems).to_contain_text("<b>.yaml: it cannot be read.")
    assert "/srv" not in page.content()


@pytest.mark.browser
def test_phone_has_no_sideways_scrolling_and_many_presets_stay_compact(browser: Browser) -> None:
    from playwright.sync_api import expect

    many = [replace(PRESETS[0], name=f"mine-{n}", title=f"Number {n}") for n in range(12)]
    with (
        served(many, []) as url,
        browser.new_context(viewport={"width": 360, "height": 740}) as context,
    ):
        page = open_panel(context.new_page(), url)
        open_advanced(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        height = page.locator("#preset").bounding_box()["height"]  # type: ignore[index]
        assert height < 400
        expect(page.locator(".presets-told")).to_have_text("Fast, for everyone.")
        page.get_by_role("radio", name="Number 3").click()
        await_query(page, preset="mine-3")


@pytest.mark.browser
def test_chinese_visitor_reads_chinese(browser: Browser, address: str) -> None:
    from playwright.sync_api import expect

    with browser.new_context(locale="zh-CN") as context:
        page = open_panel(context.new_page(), f"{address}?fit=x")
        open_advanced(page)
        expect(page.get_by_role("radio", name="草稿")).to_be_checked()
        expect(page.locator("#fps input")).to_have_value("与视频相同")
        expect(page.locator("#link-troubles")).to_contain_text("链接中有些内容无法识别")
        expect(page.locator("#steps")).to_contain_text("不使用此项")
        text = page.locator("#advanced").inner_text() + page.locator("#link").inner_text()
        words = [word for word in text.split() if word.isascii() and word.isalpha()]
        assert [word for word in words if word != "AI"] == []


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_barrier_for_anybody(page: Page, address: str, theme: str) -> None:
    pytest.importorskip("axe_playwright_python")
    from axe import find_violations

    open_panel(page, f"{address}?__theme={theme}&steps=99")
    open_advanced(page)
    page.locator(".presets-problems summary").click()
    assert find_violations(page) == []
