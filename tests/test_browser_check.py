"""The tab that scores clips, in a real browser: many clips at once, the table, its CSV file."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from axe import find_violations
from conftest import Ffmpeg
from served_app import CHROMIUM
from served_blocks import serve_blocks

from lipsync.example import example_photo
from lipsync.pipeline import LipSyncPipeline
from lipsync.types import Request
from lipsync.ui.check import Checker
from lipsync.ui.check_tab import connect_check, lay_out_check
from lipsync.ui.jobs import Jobs
from lipsync.ui.widgets import make_widget

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

DESK, PHONE = {"width": 1366, "height": 768}, {"width": 360, "height": 740}
SECONDS = 60_000  # ms a check of short clips may take on a busy machine


def made_row(id_: int, name: str, **known: Any) -> dict[str, Any]:
    keys = ("rank", "level", "verdict", "confidence", "offset", "worst", "seconds")
    return {"id": id_, "name": name, "state": "scored", "note": "", **dict.fromkeys(keys), **known}


ROWS = [
    made_row(0, "b10.mp4", rank=3, level="good", verdict="In sync", confidence=0.9, offset=40),
    made_row(1, "b9.mp4", rank=0, level="bad", verdict="Out of sync", confidence=0.2, offset=-80),
    made_row(2, "a.mp4", state="failed", note="It is broken."),
    made_row(3, "c.mp4", rank=0, level="bad", verdict="Out of sync", confidence=0.1, offset=400),
    made_row(4, "<b>d</b>.mp4", rank=1, level="poor", verdict="Shifted", confidence=0.95, worst=7),
]


@dataclass(frozen=True)
class Served:
    url: str
    jobs: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("check")
    pipeline = LipSyncPipeline()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "served"))
        with gr.Blocks(analytics_enabled=False) as screen:
            connect_check(screen, lay_out_check(), Checker(lambda: pipeline, Jobs(folder / "jobs")))
        with serve_blocks(screen) as url:
            yield Served(url, folder / "jobs")
    pipeline.close()


@pytest.fixture(scope="module")
def clips(
    tmp_path_factory: pytest.TempPathFactory, short_voice: Path, face_clip: Path, ffmpeg: Ffmpeg
) -> list[Path]:
    """A talking face under a name that is a formula, a broken file, and a clip without a face."""
    folder = tmp_path_factory.mktemp("clips")
    good, broken = folder / "=1+1 好.mp4", folder / "broken.mp4"
    pipeline = LipSyncPipeline()
    for _ in pipeline.sync(Request(example_photo(), short_voice, good, score=False)):
        pass
    pipeline.close()
    broken.write_bytes(face_clip.read_bytes()[:2000])
    bars = ("-f", "lavfi", "-i", "testsrc=s=160x120:r=25", "-i", short_voice)
    return [broken, good, ffmpeg(*bars, "-t", 1, folder / "faceless.mp4")]


@pytest.fixture(scope="module")
def long_clip(
    tmp_path_factory: pytest.TempPathFactory, short_voice: Path, face_clip: Path, ffmpeg: Ffmpeg
) -> Path:
    """Two minutes of a face, so that the check still runs when it is cancelled."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    looped = ("-stream_loop", 119, "-i", face_clip, "-stream_loop", 119, "-i", short_voice)
    return ffmpeg(*looped, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-t", 120, path)


@contextmanager
def open_page(
    browser: Browser, url: str, size: dict[str, int], locale: str = "en-US", **options: Any
) -> Iterator[Page]:
    with browser.new_context(viewport=size, locale=locale, **options) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url)
        yield page


def start(page: Page, paths: list[Path]) -> None:
    page.set_input_files("#check-clips input[type=file]", paths)
    expect(page.locator("#check-clips")).to_contain_text(paths[-1].stem[:4], timeout=20_000)
    page.locator("#check").click()


def names(page: Page) -> list[str]:
    return page.locator(".check-row .check-name bdi").all_inner_texts()


def await_empty(jobs: Path) -> None:
    deadline = time.monotonic() + 10  # far shorter than the clip takes
    while any(jobs.glob("job-*")):
        assert time.monotonic() < deadline, "the job did not stop"
        time.sleep(0.02)


@pytest.fixture
def table(browser: Browser) -> Iterator[Page]:
    with gr.Blocks(analytics_enabled=False) as screen:
        shown = gr.Textbox(elem_id="shown")
        made = make_widget("check", None, elem_id="check-table", rows=ROWS, summary="Five", csv="a")
        made.input(lambda chosen: f"row {chosen}", made, shown)
    with serve_blocks(screen) as url, open_page(browser, url, DESK) as page:
        expect(page.locator(".check-row")).to_have_count(5)
        yield page


def test_table_starts_with_the_worst_and_sorts_by_keyboard(table: Page) -> None:
    assert names(table) == ["c.mp4", "b9.mp4", "<b>d</b>.mp4", "b10.mp4", "a.mp4"]
    header = table.locator("th.check-verdict")
    expect(header).to_have_attribute("aria-sort", "ascending")
    table.locator("th.check-name button").focus()
    table.keyboard.press("Enter")
    assert names(table) == ["<b>d</b>.mp4", "a.mp4", "b9.mp4", "b10.mp4", "c.mp4"]
    expect(header).to_have_attribute("aria-sort", "none")
    expect(table.locator("th.check-name")).to_have_attribute("aria-sort", "ascending")
    table.keyboard.press("Space")
    assert names(table) == ["c.mp4", "b10.mp4", "b9.mp4", "a.mp4", "<b>d</b>.mp4"]
    expect(table.locator("th.check-name")).to_have_attribute("aria-sort", "descending")


def test_what_has_no_value_stays_last_either_way(table: Page) -> None:
    offset = table.locator("th.check-offset button")
    offset.click()
    assert (
        names(table)
        == ["b9.mp4", "b10.mp4", "c.mp4", "a.mp4", "<b>d</b>.mp4"][:3] + names(table)[3:]
    )
    assert set(names(table)[3:]) == {"a.mp4", "<b>d</b>.mp4"}
    offset.click()
    assert names(table)[:3] == ["c.mp4", "b10.mp4", "b9.mp4"]
    assert set(names(table)[3:]) == {"a.mp4", "<b>d</b>.mp4"}


def test_row_opens_by_click_and_by_key(table: Page) -> None:
    table.locator(".check-row").nth(4).locator(".check-note").click()
    expect(table.locator("#shown textarea")).to_have_value("row 2")
    expect(table.locator(".check-row[aria-current]")).to_contain_text("a.mp4")
    table.get_by_role("button", name="b9.mp4").focus()
    table.keyboard.press("Enter")
    expect(table.locator("#shown textarea")).to_have_value("row 1")
    expect(table.get_by_role("button", name="b9.mp4")).to_be_focused()
    expect(table.locator(".check-row[aria-current]")).to_have_count(1)


def test_many_clips_are_scored_listed_opened_and_saved(
    served: Served, browser: Browser, clips: list[Path], tmp_path: Path
) -> None:
    with open_page(browser, served.url, DESK) as page:
        start(page, clips)
        expect(page.locator("#check-status")).to_contain_text("3 clips checked", timeout=SECONDS)
        assert names(page)[0] == "=1+1 好.mp4"
        assert sorted(names(page)[1:]) == ["broken.mp4", "faceless.mp4"]
        expect(page.locator(".check-summary")).to_contain_text("One clip scored")
        expect(page.locator(".check-summary")).to_contain_text("2 could not be scored")
        first = page.locator(".check-row").first
        assert re.fullmatch(r"[01]\.\d\d", first.locator(".check-confidence").inner_text())
        assert re.fullmatch(r"[+−]?\d+ ms", first.locator(".check-offset").inner_text())
        expect(first.locator("img")).to_be_visible()

        first.click()
        expect(page.locator("#check-opened h3")).to_have_text("=1+1 好.mp4")
        page.wait_for_function(
            "document.querySelector('#check-player .player-after').readyState >= 2"
        )
        expect(page.locator("#check-card")).not_to_be_empty()
        page.get_by_role("button", name="broken.mp4").click()
        expect(page.locator("#check-card [role=alert]")).to_contain_text("broken.mp4")
        expect(page.locator("#check-player video")).to_have_count(0)

        assert find_violations(page) == []
        with page.expect_download() as download:
            page.get_by_role("link", name="Download as CSV").click()
        assert download.value.suggested_filename == "lipsync-check.csv"
        kept = tmp_path / "kept.csv"
        download.value.save_as(kept)
        text = kept.read_bytes().decode("utf-8-sig")
        assert kept.read_bytes().startswith(b"\xef\xbb\xbf")
        lines = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [line["file_name"] for line in lines] == ["'=1+1 好.mp4", *names(page)[1:]]
        assert "broken" in next(x for x in lines if x["file_name"] == "broken.mp4")["reason"]
        await_empty(served.jobs)


def test_nothing_chosen_is_told_at_once(served: Served, browser: Browser) -> None:
    with open_page(browser, served.url, DESK) as page:
        page.locator("#check").click()
        expect(page.locator("#check-status [role=alert]")).to_contain_text("choose one or more")
        expect(page.locator("#check")).to_be_enabled()


def test_cancel_keeps_finished_rows_and_frees_the_device(
    served: Served, browser: Browser, clips: list[Path], long_clip: Path
) -> None:
    with open_page(browser, served.url, DESK) as page:
        start(page, [clips[0], long_clip])
        expect(page.locator("#check-status")).to_contain_text("Clip 2 of 2", timeout=20_000)
        expect(page.locator("#check-status .left")).to_contain_text("left", timeout=20_000)
        page.locator("#check-cancel").click()
        await_empty(served.jobs)
        expect(page.locator("#check-status")).to_contain_text("Stopped. 1 of 2 clips were checked.")
        assert names(page) == ["broken.mp4"]
        expect(page.get_by_role("link", name="Download as CSV")).to_be_visible()
        expect(page.locator("#check-cancel")).to_be_disabled()
        page.locator("#check").click()
        expect(page.locator("#check-status")).to_contain_text("Clip 2 of 2", timeout=20_000)
        page.close()
        await_empty(served.jobs)


def test_phone_shows_cards_without_sideways_scrolling_in_chinese(
    served: Served, browser: Browser, clips: list[Path]
) -> None:
    with open_page(browser, served.url, PHONE, "zh-CN", is_mobile=True, has_touch=True) as page:
        start(page, clips)
        expect(page.locator("#check-status")).to_contain_text("已检查 3 段视频", timeout=SECONDS)
        page.locator(".check-row").first.click()
        expect(page.locator("#check-opened h3")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        wide = "[...document.querySelectorAll('.check-row td')].map((cell) => cell.offsetWidth)"
        assert max(page.evaluate(wide)) < PHONE["width"]
        told = page.evaluate(
            "[...document.querySelectorAll('#check-table, #check-status, #check-buttons')]"
            ".map((part) => part.innerText).join(' ')"
        )
        for name in [*names(page), "CSV", "moov"]:
            told = told.replace(name, "")
        assert re.findall(r"[A-Za-z]{2,}", told) == []
