"""The panel of settings in a real browser: how settings are chosen, and how they travel."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gradio as gr
import pytest
import stepping_engine
from axe import find_violations
from served_app import CHROMIUM
from served_blocks import serve_blocks
from stepping_engine import PRESETS, PROBLEMS

from lipsync.engines import ENGINES
from lipsync.presets import Preset, Problem
from lipsync.types import FITS
from lipsync.ui.choices import Choices, defaults_for
from lipsync.ui.preset_panel import connect_choices, lay_out_presets, read_choices
from lipsync.weights import ModelStore

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

NAMES = [f.name for f in fields(Choices)]


@pytest.fixture(autouse=True)
def _with_stepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, *stepping_engine.ENGINE)


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
        patch.setitem(ENGINES, *stepping_engine.ENGINE)
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


def test_mouse_and_keys_choose_a_card_and_the_address_follows(page: Page) -> None:
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


def test_time_stands_on_the_card_once_it_is_known(page: Page) -> None:
    expect(page.locator(".presets-time").first).to_be_empty()
    page.click("#time")
    expect(page.locator("#preset")).to_contain_text("about 12 s")
    expect(page.locator(".presets-time").nth(1)).to_be_empty()


def test_every_setting_comes_back_after_a_reload_and_without_the_address(
    page: Page, address: str
) -> None:
    page.get_by_role("radio", name="Stepper").click()
    await_query(page, preset="stepper")
    open_advanced(page)
    steps = page.locator("#steps input[type=number]")
    expect(steps).to_have_value("30")  # the preset's own has come, and comes over no other
    steps.fill("12")
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


def test_dice_throw_another_seed(page: Page) -> None:
    open_advanced(page)
    page.click("#dice")
    page.wait_for_function("new URL(location.href).searchParams.get('seed') > 0")
    assert str(held(page)[NAMES.index("seed")]) == query_of(page)["seed"]


def test_link_wins_over_memory_and_does_not_replace_it(page: Page, address: str) -> None:
    page.get_by_role("radio", name="Calm").click()
    await_query(page, preset="calm")
    open_panel(page, f"{address}?preset=stepper&seed=7&__theme=dark")
    assert held(page)[:4] == ("stepper", 30, 1.5, 7)
    open_advanced(page)
    page.get_by_role("radio", name="From the start").click()
    await_query(page, fit="loop", seed="7", __theme="dark")
    assert held(page)[5] == "loop"


def test_opened_link_is_forgotten_where_nothing_was_changed(page: Page, address: str) -> None:
    page.get_by_role("radio", name="Calm").click()
    await_query(page, preset="calm")
    open_panel(page, f"{address}?preset=stepper&seed=7")
    open_panel(page, address)
    assert held(page)[0] == "calm"


def test_hostile_link_is_told_in_a_sentence_and_the_rest_holds(page: Page, address: str) -> None:
    shout = "%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D%27owned%27%22%3E"
    open_panel(page, f"{address}?preset={shout}&steps=99&fps=1e999999&fit=loop&mark=[]")
    notice = page.locator("#link-troubles")
    expect(notice).to_contain_text("no preset called '<img")
    expect(notice).to_contain_text("steps is 99")
    expect(notice).to_contain_text("frame rate is '1e999999'")
    expect(notice).to_contain_text("mark is '[]'")
    assert page.title() != "owned"
    assert held(page) == astuple(replace(defaults_for(PRESETS[0]), fit="loop"))


def test_forged_memory_is_ignored(page: Page, address: str) -> None:
    page.evaluate("localStorage.setItem('lipsync-studio-choices', '{\"preset\": [1]}')")
    open_panel(page, address)
    assert held(page) == astuple(defaults_for(PRESETS[0]))


def test_visitors_share_nothing(page: Page, browser: Browser, address: str) -> None:
    page.get_by_role("radio", name="Calm").click()
    await_query(page, preset="calm")
    with browser.new_context() as other:
        assert held(open_panel(other.new_page(), address))[0] == "draft"
    assert held(page)[0] == "calm"


def test_link_can_be_copied(browser: Browser, address: str) -> None:
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


def test_left_out_files_are_named_without_their_folder(page: Page) -> None:
    problems = page.locator(".presets-problems")
    expect(problems.locator("summary")).to_have_text("Preset files left out: 2")
    problems.locator("summary").click()
    expect(problems).to_contain_text("mine.yaml, line 4: 'fit' is 'twist'.")
    expect(problems).to_contain_text("<b>.yaml: it cannot be read.")
    assert "/srv" not in page.content()


def test_phone_has_no_sideways_scrolling_and_many_presets_stay_compact(browser: Browser) -> None:
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


def test_chinese_visitor_reads_chinese(browser: Browser, address: str) -> None:
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_barrier_for_anybody(page: Page, address: str, theme: str) -> None:
    pytest.importorskip("axe_playwright_python")
    open_panel(page, f"{address}?__theme={theme}&steps=99")
    open_advanced(page)
    page.locator(".presets-problems summary").click()
    assert find_violations(page) == []
