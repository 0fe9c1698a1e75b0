"""The history's tab: forged wishes, whose jobs are listed, and the list in a real browser."""

from __future__ import annotations

import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr
import numpy as np
import pytest
from axe import find_violations
from served_blocks import serve_blocks

from lipsync.errors import InputError
from lipsync.record import make_record
from lipsync.types import Request, Result, Size, SyncScore
from lipsync.ui.choices import Choices
from lipsync.ui.history import Entry, History
from lipsync.ui.history_tab import (
    Action,
    HistoryHandlers,
    connect_history,
    lay_out_history,
    read_action,
)
from lipsync.ui.visitors import connect_visitor, make_visitor_state, new_visitor, read_visitor

if TYPE_CHECKING:
    from conftest import Ffmpeg
    from playwright.sync_api import Browser, Page

ENGLISH = gr.Request(headers={"accept-language": "en"})
CHINESE = gr.Request(headers={"accept-language": "zh-CN,zh;q=0.9"})
REQUEST = Request(Path("clip.mp4"), Path("voice.wav"), Path("out.mp4"))
SCORE = SyncScore("correlate", "Worth a lot.", 0.8149, 0, Fraction(25), "in sync")
RESULT = Result(
    output=REQUEST.output,
    num_frames=30,
    fps=Fraction(25),
    size=Size(90, 160),
    duration=1.2,
    score=SCORE,
    score_reason=None,
    skipped=(),
    timings={},
)
WHOLE = make_record(REQUEST, RESULT)
UNSCORED = make_record(replace(REQUEST, part=(0.0, 3.0)), replace(RESULT, score=None))


def add_job(history: History, visitor: str, folder: Path, result: bytes, **changes: Any) -> Entry:
    folder.mkdir(exist_ok=True, parents=True)
    for name in ("clip.mp4", "voice.wav"):
        (folder / name).write_bytes(name.encode())
    (folder / "out.mp4").write_bytes(result)
    given: dict[str, Any] = {
        "result": folder / "out.mp4",
        "clip": folder / "clip.mp4",
        "voice": folder / "voice.wav",
        "thumbnail": np.full((90, 160, 3), (90, 120, 140), np.uint8),
        "record": WHOLE,
        "choices": Choices(preset="draft"),
        "preset": "Draft",
        "clip_name": "holiday.mp4",
    }
    return history.add(visitor, **(given | changes))


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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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
