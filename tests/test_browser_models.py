"""Grey presets and the Models tab, in a real browser and with a real server to fetch from."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import needy_engine
import pytest
from axe import find_violations
from served_app import CHROMIUM
from served_blocks import serve_blocks
from torch import nn
from weights_fixtures import hub_checkpoint, make_store
from weights_server import Fault, WeightsServer, serve_weights

from lipsync.engines import ENGINES
from lipsync.pipeline import LipSyncPipeline
from lipsync.residence import Residence
from lipsync.ui.layout import build_ui
from lipsync.weights import ModelStore

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

DESK, PHONE = {"width": 1366, "height": 768}, {"width": 360, "height": 740}
PRESET = """\
title: Fine
sentence: Needs a model.
engine: needy
order: 1
translations:
  zh-CN: {title: 精细, sentence: 需要模型。}
"""
DRAFT = "title: Draft\nsentence: Fast, for everyone.\nengine: draft\n"


@dataclass
class Served:
    """The screen, what it fetches from, and where that goes."""

    url: str
    server: WeightsServer
    store: ModelStore
    residence: Residence


@contextmanager
def serve_screen(folder: Path, *, can_fetch: bool = True) -> Iterator[Served]:
    presets = folder / "presets"
    presets.mkdir()
    (presets / "fine.yaml").write_text(PRESET, "utf-8")
    (presets / "draft.yaml").write_text(DRAFT, "utf-8")
    with serve_weights() as server, pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, *needy_engine.ENGINE)
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "served"))
        store = make_store(folder / "models", server, hub_checkpoint(server))
        residence = Residence(store, device="cpu")
        screen = build_ui(
            lambda _: LipSyncPipeline(residence=residence),
            [presets],
            folder / "jobs",
            residence=residence,
            can_fetch=can_fetch,
        )
        with serve_blocks(screen) as url:
            yield Served(url, server, store, residence)


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_screen(tmp_path_factory.mktemp("models")) as served:
        yield served


@pytest.fixture
def served(screen: Served) -> Iterator[Served]:
    """The screen with nothing fetched yet."""
    screen.store.remove("tiny")
    screen.server.faults.clear()
    screen.server.released.clear()
    yield screen
    screen.server.released.set()
    deadline = time.monotonic() + 20
    while screen.store.state("tiny").kind == "partial" and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def open_page(
    browser: Browser, url: str, size: dict[str, int] | None = None, **options: Any
) -> Iterator[Page]:
    viewport: Any = size or DESK
    with browser.new_context(viewport=viewport, **options) as context, context.new_page() as page:
        page.goto(url)
        expect(page.locator("#voice-view audio")).to_be_visible(timeout=60_000)
        yield page


@pytest.fixture
def page(served: Served, browser: Browser) -> Iterator[Page]:
    with open_page(browser, served.url) as opened:
        yield opened


def open_tab(page: Page, name: str = "Models") -> Locator:
    """Open the tab and return the card of the one checkpoint."""
    page.get_by_role("tab", name=name, exact=True).click()
    card = page.locator(".models-card")
    expect(card).to_be_visible()
    return card


def fetch(page: Page) -> None:
    page.get_by_role("button", name="Fetch Tiny net").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes, fetch").click()


def fine(page: Page) -> Locator:
    return page.get_by_role("radio", name="Fine")


def test_opens_on_draft_and_the_grey_card_says_why(page: Page) -> None:
    draft = page.get_by_role("radio", name="Draft")
    expect(draft).to_be_checked()
    expect(fine(page)).to_have_attribute("aria-disabled", "true")
    reason = "Needs models that are not on this machine: Tiny net, 40 kB."
    expect(fine(page)).to_have_accessible_description(re.compile(re.escape(reason)))
    fine(page).click(force=True, position={"x": 5, "y": 5})  # the mouse does not choose it
    expect(draft).to_be_checked()
    expect(page.locator(".presets-told")).to_have_text(reason)  # but is told
    draft.focus()
    expect(page.locator(".presets-told")).not_to_have_text(reason)
    page.keyboard.press("ArrowDown")  # nor do the keys
    expect(fine(page)).to_be_focused()
    expect(page.locator(".presets-told")).to_have_text(reason)
    expect(draft).to_be_checked()
    assert "preset" not in page.url
    assert find_violations(page) == []


def test_a_link_to_the_grey_preset_opens_another_and_says_so(
    served: Served, browser: Browser
) -> None:
    with open_page(browser, f"{served.url}?preset=fine") as page:
        expect(page.get_by_role("radio", name="Draft")).to_be_checked()
        expect(page.locator("#link-troubles")).to_contain_text("not on this machine (Tiny net")


def test_from_the_card_to_a_fetched_model_without_a_restart(
    served: Served, page: Page, browser: Browser
) -> None:
    served.server.faults = [Fault(stall_after=20_000)]
    page.get_by_role("button", name="Fetch the models for Fine").click()
    dialog = page.get_by_role("dialog", name="Fetch 40 kB onto this machine?")
    expect(dialog).to_contain_text("Test licence · Do as you like.")
    assert find_violations(page) == []
    assert served.server.asked == []  # nothing before the answer
    dialog.get_by_role("button", name="No, leave it").click()
    expect(dialog).to_be_hidden()
    fetch(page)

    card = page.locator(".models-card")
    bar = card.get_by_role("progressbar", name="Tiny net")
    expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]\d?$"), timeout=20_000)
    expect(card.locator(".models-errand")).to_contain_text("of 40 kB")
    with open_page(browser, served.url) as other:  # who sees the same, and begins no second one
        open_tab(other)
        expect(other.get_by_role("progressbar", name="Tiny net")).to_be_visible()
        expect(other.get_by_role("button", name="Stop what is done to Tiny net")).to_be_visible()
    page.get_by_role("tab", name="Sync").click()
    expect(fine(page)).to_have_attribute("aria-disabled", "true")
    served.server.released.set()
    expect(fine(page)).not_to_have_attribute("aria-disabled", "true", timeout=20_000)
    expect(page.get_by_role("button", name="Fetch the models for Fine")).to_have_count(0)
    fine(page).click()
    expect(fine(page)).to_be_checked()
    page.wait_for_function("location.search.includes('preset=fine')")
    assert len(served.server.gets()) == 2  # the second went on after the stall

    card = open_tab(page)
    expect(card).to_contain_text("Here")
    card.get_by_role("button", name="Verify Tiny net").click()
    expect(card).to_contain_text("Whole, every byte of it.", timeout=20_000)


def test_a_download_outlives_the_page_that_began_it(served: Served, browser: Browser) -> None:
    served.server.faults = [Fault(stall_after=20_000)]
    with open_page(browser, served.url) as page:
        open_tab(page)
        fetch(page)
        expect(page.get_by_role("progressbar", name="Tiny net")).to_be_visible()
    served.server.released.set()
    with open_page(browser, served.url) as later:
        expect(open_tab(later)).to_contain_text("Fetched", timeout=20_000)
        later.get_by_role("tab", name="Sync").click()
        expect(fine(later)).not_to_have_attribute("aria-disabled", "true")


def test_cancel_keeps_what_has_arrived(served: Served, page: Page) -> None:
    served.server.faults = [Fault(slow=0.2)]
    card = open_tab(page)
    fetch(page)
    expect(card.get_by_role("progressbar")).to_have_attribute(
        "aria-valuenow", re.compile(r"^[1-9]"), timeout=20_000
    )
    card.get_by_role("button", name="Stop what is done to Tiny net").click()
    expect(card).to_contain_text("What has arrived is kept", timeout=20_000)
    expect(card.locator(".models-state")).to_have_text(re.compile(r"^\d+ % is here$"))
    expect(card.get_by_role("button", name="Fetch Tiny net")).to_have_text("Go on fetching")
    served.server.faults = []
    fetch(page)
    expect(card).to_contain_text("Fetched", timeout=20_000)
    assert served.server.gets()[-1].range is not None


def test_delete_asks_first_and_a_chosen_preset_gives_way(served: Served, browser: Browser) -> None:
    for _ in served.store.pull("tiny"):
        pass
    with open_page(browser, f"{served.url}?preset=fine") as page:
        expect(fine(page)).to_be_checked()
        card = open_tab(page)
        delete = card.get_by_role("button", name="Delete Tiny net")
        delete.click()
        dialog = page.get_by_role("dialog", name="Delete Tiny net?")
        expect(dialog).to_contain_text("This frees 40 kB")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(delete).to_be_focused()
        assert served.store.state("tiny").kind == "here"
        delete.click()
        dialog.get_by_role("button", name="Yes, delete").click()
        expect(page.locator(".models-said")).to_have_text("Deleted Tiny net, 40 kB freed.")
        assert served.store.state("tiny").kind == "absent"
        page.get_by_role("tab", name="Sync").click()
        expect(page.get_by_role("radio", name="Draft")).to_be_checked()
        expect(fine(page)).to_have_attribute("aria-disabled", "true")


def test_trouble_is_a_sentence_on_the_card(served: Served, page: Page) -> None:
    served.server.head_faults = [Fault(status=403)]
    card = open_tab(page)
    fetch(page)
    expect(card.get_by_role("alert")).to_contain_text(re.compile(r"403.*\.$"), timeout=20_000)
    expect(card.get_by_role("button", name="Fetch Tiny net")).to_be_visible()


def test_what_is_loaded_can_be_released(served: Served, page: Page) -> None:
    with served.residence.use("UNet tiny", lambda: nn.Linear(10, 10, bias=False)):
        open_tab(page)
        part = page.locator(".models-part")
        expect(part).to_contain_text("UNet tiny")
        expect(part).to_contain_text("float32 on cpu, 400 B")
        expect(part).to_contain_text("in use")
    release = page.get_by_role("button", name="Release what is idle")
    release.click()
    expect(page.locator(".models-said")).to_have_text("One part released")
    expect(part).to_have_count(0)
    assert served.residence.parts() == ()


def test_visitors_of_a_shared_app_only_look(browser: Browser, tmp_path: Path) -> None:
    with serve_screen(tmp_path, can_fetch=False) as served, open_page(browser, served.url) as page:
        expect(page.get_by_role("button", name=re.compile("Fetch"))).to_have_count(0)
        owner = re.compile("up to its owner")
        expect(fine(page)).to_have_accessible_description(owner)
        card = open_tab(page)
        expect(card).to_contain_text("Test licence")
        expect(card.get_by_role("button")).to_have_count(0)
        expect(page.locator("#models")).to_contain_text(owner)


@pytest.mark.parametrize(
    ("tab", "options"),
    [
        ("Models", {"color_scheme": "dark"}),
        ("模型", {"size": PHONE, "locale": "zh-CN", "is_mobile": True, "has_touch": True}),
    ],
    ids=["dark", "phone"],
)
def test_everybody_can_read_the_tab(
    served: Served, browser: Browser, tab: str, options: dict[str, Any]
) -> None:
    with open_page(browser, served.url, **options) as page:
        card = open_tab(page, tab)
        expect(card.get_by_role("button")).to_have_count(1)
        assert find_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        if tab == "模型":
            card.get_by_role("button", name=re.compile("^下载")).click()
            assert find_violations(page) == []
            page.get_by_role("dialog").get_by_role("button", name="是，下载").click()
            expect(card).to_contain_text("下载完成，校验和正确。", timeout=20_000)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            told = page.locator("#models").inner_text()
            place = card.locator(".models-place").inner_text()
            for known in (place, "Tiny net", "Test licence", "Do as you like.", "kB"):
                told = told.replace(known, "")
            assert re.findall("[A-Za-z]{2,}", told) == []
