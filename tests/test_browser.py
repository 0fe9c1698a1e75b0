"""The screen as a visitor meets it: the real app, a real browser, real files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Ffmpeg
from served_app import CHROMIUM, ServedApp, serve_app

from lipsync.example import example_voice

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, BrowserContext, Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

JOB_SECONDS = 90
DESK, PHONE = (1366, 768), (360, 740)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    with serve_app(tmp_path_factory.mktemp("app")) as served:
        yield served


@pytest.fixture
def page(app: ServedApp, browser: Browser) -> Iterator[Page]:
    with open_page(app, browser, DESK) as page:
        yield page


def open_page(app: ServedApp, browser: Browser | BrowserContext, size: tuple[int, int]) -> Page:
    page = browser.new_page()
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(app.url)
    # the example is in place when the page is ready
    expect(page.locator("#clip-preview img")).to_be_visible(timeout=30_000)
    expect(page.locator("#voice-preview audio")).to_be_visible()
    return page


def choose(page: Page, field: str, path: Path) -> None:
    page.locator(f"#{field}").get_by_label("Clear").click()
    page.set_input_files(f"#{field} input[type=file]", path)
    expect(page.locator(f"#{field}")).to_contain_text(path.stem[:3], timeout=20_000)


def await_empty(app: ServedApp, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while app.job_folders():
        assert time.monotonic() < deadline, f"left behind: {app.job_folders()}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def long_voice(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    """A minute of speech, so that a job is still running when it is cancelled."""
    path = tmp_path_factory.mktemp("voice") / "long.wav"
    return ffmpeg("-stream_loop", 11, "-i", example_voice(), path)


def test_upload_generate_score_play_download(
    app: ServedApp, page: Page, face_clip: Path, tmp_path: Path
) -> None:
    choose(page, "clip", face_clip)
    expect(page.locator("#clip-preview")).to_contain_text("320 × 320 · 25 fps")
    choose(page, "voice", example_voice())
    page.click("#generate")
    expect(page.locator("#status [role=progressbar]")).to_be_visible()
    expect(page.locator("#cancel")).to_be_enabled()
    confidence = page.get_by_test_id("confidence")
    expect(confidence).to_be_visible(timeout=JOB_SECONDS * 1000)
    assert 0 <= float(confidence.inner_text()) <= 1
    assert re.search(r"-?\d+ ms", page.get_by_test_id("offset").inner_text())
    expect(page.locator("#score")).to_contain_text("Judged by")

    page.wait_for_function("document.querySelector('#video video').readyState >= 2")
    length = page.evaluate("document.querySelector('#video video').duration")
    assert length == pytest.approx(5.1, abs=0.3)
    page.evaluate("document.querySelector('#video video').play()")
    page.wait_for_function("document.querySelector('#video video').currentTime > 0.3")

    with page.expect_download() as download:
        page.click("#download")
    kept = tmp_path / "kept.mp4"
    download.value.save_as(kept)
    assert download.value.suggested_filename == "face-synced.mp4"
    assert kept.read_bytes()[4:8] == b"ftyp"
    await_empty(app, 1)
    expect(page.locator("#generate")).to_be_enabled()
    expect(page.locator("#cancel")).to_be_disabled()


def test_example_runs_on_one_click(app: ServedApp, page: Page) -> None:
    page.click("#generate")
    expect(page.get_by_test_id("confidence")).to_be_visible(timeout=JOB_SECONDS * 1000)
    expect(page.locator("#video video")).to_be_visible()


def test_cancel_keeps_nothing_and_frees_the_slot(
    app: ServedApp, page: Page, face_clip: Path, long_voice: Path
) -> None:
    choose(page, "clip", face_clip)
    choose(page, "voice", long_voice)
    results = app.results()
    for stage in ("Reading|Looking", "Painting"):
        page.click("#generate")
        expect(page.locator("#status .stage")).to_have_text(re.compile(stage), timeout=30_000)
        page.click("#cancel")
        await_empty(app, 1.0)
        expect(page.locator("#status")).to_contain_text("Cancelled. Nothing was kept.")
        expect(page.locator("#generate")).to_be_enabled()
    assert app.results() == results
    choose(page, "voice", example_voice())
    page.click("#generate")
    expect(page.get_by_test_id("confidence")).to_be_visible(timeout=JOB_SECONDS * 1000)


def test_waiting_visitor_can_cancel_and_leaving_frees_the_slot(
    app: ServedApp, browser: Browser, face_clip: Path, long_voice: Path
) -> None:
    first, second = (open_page(app, browser, DESK) for _ in range(2))
    with second:
        choose(first, "clip", face_clip)
        choose(first, "voice", long_voice)
        first.click("#generate")
        expect(first.locator("#status .stage")).to_have_text("Painting the mouth", timeout=30_000)
        second.click("#generate")
        expect(second.locator("#status")).to_contain_text("Waiting for its turn")
        second.click("#cancel")
        expect(second.locator("#status")).to_contain_text("Cancelled")
        second.click("#generate")
        expect(second.locator("#status")).to_contain_text("Waiting for its turn")
        assert len(app.job_folders()) == 1
        first.close()
        expect(second.get_by_test_id("confidence")).to_be_visible(timeout=JOB_SECONDS * 1000)
    await_empty(app, 1)


def test_bad_file_shows_its_sentence(app: ServedApp, page: Page, tmp_path: Path) -> None:
    text = tmp_path / "diary.mp4"
    text.write_text("dear diary, this is not a film\n" * 50)
    choose(page, "clip", text)
    expect(page.locator("#clip-preview [role=alert]")).to_contain_text("text")
    page.click("#generate")
    alert = page.locator("#status [role=alert]")
    expect(alert).to_contain_text("holds text", timeout=20_000)
    assert "Traceback" not in page.content()
    expect(page.locator("#generate")).to_be_enabled()
    await_empty(app, 1)


def test_recorded_voice_becomes_the_voice(app: ServedApp, browser: Browser) -> None:
    with (
        browser.new_context(permissions=["microphone"]) as context,
        open_page(app, context, DESK) as page,
    ):
        page.locator("#microphone").get_by_role("button", name="Record").click()
        page.wait_for_timeout(1000)
        page.locator("#microphone").get_by_role("button", name="Stop").click()
        expect(page.locator("#voice")).to_contain_text(".wav", timeout=20_000)
        expect(page.locator("#voice-preview")).to_contain_text("kHz")


def test_missing_voice_is_asked_for(page: Page) -> None:
    page.locator("#voice").get_by_label("Clear").click()
    page.click("#generate")
    expect(page.locator("#status [role=alert]")).to_contain_text("choose a voice", timeout=20_000)


def test_grey_sliders_say_why(page: Page) -> None:
    page.get_by_role("button", name="Advanced").click()
    for name in ("steps", "guidance"):
        slider = page.locator(f"#{name}")
        expect(slider.locator("input[type=range]")).to_be_disabled()
        expect(slider).to_contain_text("not used")


def test_preset_changes_its_sentence(page: Page) -> None:
    page.get_by_label("Draft, lively").check()
    expect(page.locator("#preset-sentence")).to_contain_text("larger mouth movements")


def test_first_screen_needs_no_scrolling(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")


def test_phone_has_no_sideways_scrolling(app: ServedApp, browser: Browser) -> None:
    with open_page(app, browser, PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_page_asks_nobody_but_the_app(app: ServedApp, browser: Browser) -> None:
    with browser.new_page() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(app.url)
        expect(page.locator("#clip-preview img")).to_be_visible(timeout=30_000)
        strangers = [url for url in asked if not url.startswith((app.url, "data:", "blob:"))]
        assert strangers == []
