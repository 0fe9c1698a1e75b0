"""The history's tab in a real browser."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr
import pytest
from axe import find_violations
from history_jobs import UNSCORED, WHOLE, add_job
from served_blocks import serve_blocks

from lipsync.ui.history import History
from lipsync.ui.history_tab import HistoryHandlers, connect_history, lay_out_history, read_action
from lipsync.ui.visitors import connect_visitor, make_visitor_state, read_visitor

if TYPE_CHECKING:
    from conftest import Ffmpeg
    from playwright.sync_api import Browser, Page


pytestmark = pytest.mark.browser


@dataclass
class Served:
    """The tab on a page of its own, with a button that puts a job into the visitor's history."""

    url: str
    history: History


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("served")
    picture = "testsrc=s=160x90:r=25:d=1.2"
    video = ffmpeg("-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", root / "made.mp4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(root / "uploads"))
        history = History()

        def make(name: str, visitor: Any) -> str:
            record = UNSCORED if "unscored" in name else WHOLE
            job = {"clip_name": name, "record": record}
            visitor = read_visitor(visitor)
            entry = add_job(history, visitor, root / "job", video.read_bytes(), **job)
            return str(history.lend(entry).clip)

        with gr.Blocks(delete_cache=(1, 1)) as blocks:
            visitor = make_visitor_state()
            name = gr.Textbox("holiday.mp4", elem_id="name", label="clip")
            button = gr.Button("make", elem_id="make")
            held = gr.File(visible=False)
            asked = gr.Textbox(elem_id="asked", label="asked")
            tab = lay_out_history()
            handlers = HistoryHandlers(history, {})
            connect_history(connect_visitor(blocks, visitor), tab, handlers, visitor)
            button.click(make, [name, visitor], held).then(
                handlers.list_entries, visitor, tab.widget
            )
            tab.widget.input(lambda value: repr(read_action(value)), tab.widget, asked)
        with serve_blocks(blocks) as url:
            yield Served(url, history)


def open_page(browser: Browser, url: str, **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    page.goto(url)
    page.wait_for_selector(".history-kept:not(:empty)")
    return page


def make_jobs(page: Page, *names: str) -> None:
    for name in names:
        before = page.locator(".history-card").count()
        page.locator("#name textarea, #name input").fill(name)
        page.locator("#make").click()
        page.locator(".history-card").nth(before).wait_for()


def names_on(page: Page) -> list[str]:
    return page.locator(".history-name").all_text_contents()


def button(page: Page, act: str, name: str) -> Any:
    card = page.locator(".history-card", has=page.get_by_role("heading", name=name, exact=True))
    return card.locator(f"[data-act={act}]")


def test_reload_keeps_and_strangers_see_nothing(browser: Browser, served: Served) -> None:
    ada, bob = (open_page(browser, served.url) for _ in range(2))
    assert ada.get_by_text("Nothing here yet").is_visible()
    make_jobs(ada, "first.mp4", "second.mp4")
    make_jobs(bob, "other.mp4")
    for page, names in ((ada, ["second.mp4", "first.mp4"]), (bob, ["other.mp4"])):
        assert names_on(page) == names
        page.reload()
        page.locator(".history-card").first.wait_for()
        assert names_on(page) == names
    token = ada.evaluate("localStorage.getItem('lipsync-studio-visitor')")
    assert token
    assert token not in ada.url
    for page in (ada, bob):
        page.context.close()


def test_delete_asks_first_and_keeps_the_keyboard_in_place(
    browser: Browser, served: Served
) -> None:
    page = open_page(browser, served.url)
    make_jobs(page, "one.mp4", "two.mp4", "three.mp4")
    button(page, "delete", "two.mp4").focus()
    page.keyboard.press("Enter")
    assert page.locator(":focus").text_content() == "Keep it"
    page.keyboard.press("Escape")
    assert page.locator(":focus").get_attribute("data-act") == "delete"
    assert names_on(page) == ["three.mp4", "two.mp4", "one.mp4"]
    button(page, "delete", "two.mp4").click()
    button(page, "yes", "two.mp4").click()
    page.get_by_role("status").get_by_text("two.mp4 was deleted.").wait_for()
    assert names_on(page) == ["three.mp4", "one.mp4"]
    assert "one.mp4" in (page.locator(":focus").text_content() or "")
    page.reload()
    page.locator(".history-card").first.wait_for()
    assert names_on(page) == ["three.mp4", "one.mp4"]
    for name in ("three.mp4", "one.mp4"):
        button(page, "delete", name).click()
        button(page, "yes", name).click()
        page.get_by_text(f"{name} was deleted.").wait_for()
    assert "Nothing here yet" in (page.locator(":focus").text_content() or "")
    page.context.close()


def test_two_are_compared_in_one_player(browser: Browser, served: Served) -> None:
    page = open_page(browser, served.url)
    make_jobs(page, "one.mp4", "two.mp4", "three.mp4")
    for name in ("three.mp4", "one.mp4"):
        button(page, "compare", name).click()
    assert button(page, "compare", "two.mp4").is_disabled()
    assert page.locator(".history-mark").all_text_contents() == ["A", "B"]
    page.get_by_role("button", name="Compare A with B").click()
    page.locator("#history-player .player:not([hidden])").wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('#history-player video')].every(v => v.readyState >= 2)"
    )
    tags = page.locator("#history-player .player-tag").all_text_contents()
    assert tags == ["A · Draft", "B · Draft"]
    page.get_by_role("button", name="Choose none").click()
    assert page.locator(".history-mark").count() == 0
    assert page.locator(":focus").get_attribute("data-act") == "compare"
    page.context.close()


def test_show_and_again_reach_the_other_tab_and_the_file_is_saved(
    browser: Browser, served: Served
) -> None:
    page = open_page(browser, served.url)
    make_jobs(page, "my clip.mp4")
    for act in ("show", "again"):
        button(page, act, "my clip.mp4").click()
        page.wait_for_function(
            "act => document.querySelector('#asked textarea, #asked input').value.includes(act)",
            arg=f"kind='{act}'",
        )
    with page.expect_download() as started:
        button(page, "download", "my clip.mp4").click()
    assert started.value.suggested_filename == "my-clip-synced.mp4"
    assert b"ftyp" in Path(started.value.path()).read_bytes()[:12]
    page.context.close()


def test_files_are_had_by_their_full_address_only(browser: Browser, served: Served) -> None:
    page = open_page(browser, served.url)
    make_jobs(page, "guess.mp4")
    link = button(page, "download", "guess.mp4").get_attribute("href")
    page.context.close()
    for part in ("bytes=0-99", "bytes=-100"):  # a player seeks by asking for parts
        status, headers = fetch(f"{served.url}{link}", Range=part)
        assert (status, headers["content-length"]) == (206, "100"), part
    folder = link.rsplit("/", 1)[0]
    root = f"gradio_api/file={quote(str(served.history.root))}"
    for guess in (
        folder,
        f"{folder}/",
        f"{folder}/../",
        f"{folder}/result.mp4",
        f"{folder}/../{'0' * 32}/guess-synced.mp4",
        folder.rsplit("/", 1)[0],
        root,
        f"{root}/*",
    ):
        assert fetch(f"{served.url}{guess}")[0] in (403, 404), guess


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}
    except urllib.error.HTTPError as error:
        return error.code, {}


def test_gradio_removes_what_its_fields_held_but_not_the_history(
    browser: Browser, served: Served
) -> None:
    """The page removes every second what a component has held for more than one."""
    page = open_page(browser, served.url)
    make_jobs(page, "kept.mp4")
    link = button(page, "download", "kept.mp4").get_attribute("href")
    page.context.close()
    deadline = time.monotonic() + 30
    while list(served.history.root.glob("lent/*/clip/*.mp4")):
        assert time.monotonic() < deadline, "Gradio never removed the lent file"
        time.sleep(0.2)
    assert fetch(f"{served.url}{link}")[0] == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_has_no_sideways_scroll(browser: Browser, served: Served, scheme: Any) -> None:
    page = open_page(
        browser, served.url, viewport={"width": 360, "height": 740}, color_scheme=scheme
    )
    make_jobs(page, "a-name-without-any-blanks-that-goes-on-and-on-and-on.mp4", "unscored.mp4")
    button(page, "delete", "unscored.mp4").click()
    widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    scroll, client = page.evaluate(widths)
    assert scroll <= client
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_from_using_it(browser: Browser, served: Served, scheme: Any) -> None:
    page = open_page(browser, served.url, color_scheme=scheme)
    assert find_violations(page) == []
    make_jobs(page, "one.mp4", "two.mp4", "unscored.mp4")
    button(page, "compare", "one.mp4").click()
    button(page, "compare", "two.mp4").click()
    button(page, "delete", "unscored.mp4").click()
    page.get_by_role("button", name="Compare A with B").click()
    page.locator("#history-player .player:not([hidden])").wait_for()
    assert find_violations(page) == []
    page.context.close()


def test_chinese_has_no_english_left(browser: Browser, served: Served) -> None:
    page = open_page(browser, served.url, locale="zh-CN")
    texts = [page.locator(".history").inner_text()]
    make_jobs(page, "一.mp4", "unscored.mp4")
    button(page, "compare", "一.mp4").click()
    button(page, "delete", "unscored.mp4").click()
    texts.append(page.locator(".history").inner_text())
    texts += page.locator(".history [aria-label]").evaluate_all(
        "all => all.map(one => one.ariaLabel)"
    )
    ours = re.sub(r"一\.mp4|unscored\.mp4|Draft|\b[AB]\b", "", "\n".join(texts))
    assert re.findall(r"[A-Za-z]+", ours) == []
    page.context.close()
