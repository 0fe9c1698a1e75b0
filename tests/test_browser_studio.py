"""Making, judging and keeping a result, as a visitor does it: real app, browser and files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from conftest import Ffmpeg
from served_app import CHROMIUM, ServedApp, serve_app

from lipsync.example import example_photo, example_voice
from lipsync.pipeline import LipSyncPipeline
from lipsync.steps import exhaust
from lipsync.types import Request

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect
from studio_page import (
    JOB_SECONDS,
    await_comparison,
    await_empty,
    await_ready,
    await_score,
    choose,
    open_studio,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    with serve_app(tmp_path_factory.mktemp("app")) as served:
        yield served


@pytest.fixture
def page(app: ServedApp, browser: Browser) -> Iterator[Page]:
    with open_studio(app, browser) as page:
        yield page


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example photo speaking the example voice: a clip with speech of its own."""
    path = tmp_path_factory.mktemp("clip") / "portrait.mp4"
    request = Request(video=example_photo(), audio=example_voice(), output=path, score=False)
    exhaust(LipSyncPipeline().sync(request))
    return path


@pytest.fixture(scope="module")
def long_voice(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    """A minute of speech, so that a job is still running when it is cancelled."""
    path = tmp_path_factory.mktemp("voice") / "long.wav"
    return ffmpeg("-stream_loop", 11, "-i", example_voice(), path)


@pytest.fixture(scope="module")
def brief_voice(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    path = tmp_path_factory.mktemp("voice") / "brief.wav"
    return ffmpeg("-i", example_voice(), "-t", 3.2, path)


def save(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download(timeout=60_000) as download:
        page.click(button)
    kept = folder / download.value.suggested_filename
    download.value.save_as(kept)
    return kept


def num_frames(path: Path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_upload_generate_judge_compare_and_keep(
    app: ServedApp, page: Page, clip: Path, brief_voice: Path, tmp_path: Path
) -> None:
    choose(page, "clip", clip)
    expect(page.locator("#clip-view")).to_contain_text("512 × 512")
    choose(page, "voice", brief_voice)
    expect(page.locator("#preset .presets-time").first).to_contain_text("about", timeout=60_000)
    page.click("#generate")
    expect(page.locator("#status [role=progressbar]")).to_be_visible()
    expect(page.locator("#cancel")).to_be_enabled()
    await_score(page)
    assert 0 <= float(page.get_by_test_id("confidence").first.inner_text()) <= 1
    assert re.search(r"\d+ ms|together", page.get_by_test_id("offset").first.inner_text())
    expect(page.locator("#generate")).to_be_enabled()

    await_comparison(page)
    assert page.locator("#player video").count() == 2
    page.wait_for_function(
        "[...document.querySelectorAll('#player video')].every(film => film.readyState >= 2)"
    )
    length = page.evaluate("document.querySelector('#player video').duration")
    assert length == pytest.approx(3.2, abs=0.1)
    expect(page.get_by_test_id("baseline")).to_be_visible()  # the source speaks, too

    assert num_frames(save(page, "#download", tmp_path)) == 80
    page.click("#make-both")
    with page.expect_download(timeout=60_000) as download:
        pass
    download.value.save_as(tmp_path / "both.mp4")
    assert num_frames(tmp_path / "both.mp4") == 80
    with av.open(str(tmp_path / "both.mp4")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (1024, 512)
    record = json.loads(save(page, "#record", tmp_path).read_text())
    assert record["score"]["judge"] == "correlate"
    assert record["baseline"]["judge"] == "correlate"
    assert record["settings"]["preset"] == "draft"
    assert str(app.folder) not in json.dumps(record)
    await_empty(app, 1)


def test_score_bar_seeks_the_player(page: Page) -> None:
    page.click("#generate")
    await_score(page)
    page.locator("#score button[data-seek]").nth(2).click()
    page.wait_for_function("document.querySelector('#player video').currentTime >= 2")


def test_preview_is_three_seconds_from_the_playhead(page: Page, tmp_path: Path) -> None:
    page.click("#preview")
    expect(page.locator("#score")).to_contain_text("preview", timeout=JOB_SECONDS * 1000)
    assert num_frames(save(page, "#download", tmp_path)) == 75


def test_try_again_changes_one_setting_and_runs(page: Page, clip: Path, brief_voice: Path) -> None:
    choose(page, "voice", brief_voice)
    page.click("#generate")
    await_comparison(page)
    choose(page, "clip", clip)  # not what the result on the stage was made of
    page.locator("#again input").click()
    page.get_by_role("option", name="Draft, lively").click()
    expect(page.locator("#status [role=progressbar]")).to_be_visible()
    await_comparison(page)
    expect(page.get_by_role("radio", name="Draft, lively")).to_be_checked()
    page.get_by_role("tab", name="History").click()
    cards = page.locator("#history .history-card")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("Draft, lively")
    expect(cards.first).to_contain_text("astronaut")
    expect(cards.last).to_contain_text("Draft")


def test_history_shows_a_job_again_and_puts_its_settings_back(
    app: ServedApp, page: Page, clip: Path, brief_voice: Path
) -> None:
    choose(page, "clip", clip)
    choose(page, "voice", brief_voice)
    page.get_by_role("radio", name="Draft, calm").check()
    page.click("#generate")
    await_comparison(page)
    page.reload()
    await_ready(page)
    expect(page.locator("#player video")).to_have_count(0)
    page.get_by_role("tab", name="History").click()
    page.locator("#history").get_by_role("button", name=re.compile("^Show")).click()
    await_score(page)
    expect(page.locator("#player video").first).to_be_visible()
    page.get_by_role("radio", name="Draft, lively").check()
    page.get_by_role("tab", name="History").click()
    page.locator("#history").get_by_role("button", name=re.compile("settings")).click()
    expect(page.get_by_role("radio", name="Draft, calm")).to_be_checked()
    expect(page.locator("#clip")).to_contain_text("portrait")
    expect(page.locator("#voice")).to_contain_text("brief")


def test_cancel_in_each_stage_keeps_nothing_and_frees_the_slot(
    app: ServedApp, page: Page, clip: Path, long_voice: Path, brief_voice: Path
) -> None:
    choose(page, "clip", clip)
    choose(page, "voice", long_voice)
    films = app.films()
    for stage in ("Reading|Looking|Listening", "Painting"):
        page.click("#generate")
        expect(page.locator("#status .stage")).to_have_text(re.compile(stage), timeout=60_000)
        page.click("#cancel")
        await_empty(app, 1.0)
        expect(page.locator("#status")).to_contain_text("Cancelled")
        expect(page.locator("#generate")).to_be_enabled()
    assert app.films() == films
    choose(page, "voice", brief_voice)
    page.click("#generate")
    at_work = re.compile("Reading|Looking|Listening|Painting")
    expect(page.locator("#status .stage")).to_have_text(at_work, timeout=1_000)
    await_score(page)
    page.click("#cancel")  # only the comparison is being made
    await_empty(app, 1.0)
    expect(page.locator("#score [data-testid=confidence]")).to_be_visible()


def test_clip_without_a_face_says_so_before_anything_is_spent(
    page: Page, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    clip = ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", "-c:v", "libx264"),
        *("-preset", "ultrafast", tmp_path / "pattern.mp4"),
    )
    choose(page, "clip", clip)
    expect(page.locator("#clip-view [role=alert]")).to_contain_text("face", timeout=60_000)


def test_bad_file_shows_its_sentence(app: ServedApp, page: Page, tmp_path: Path) -> None:
    text = tmp_path / "diary.mp4"
    text.write_text("dear diary, this is not a film\n" * 50)
    choose(page, "clip", text)
    expect(page.locator("#clip-view [role=alert]")).to_contain_text("text", timeout=20_000)
    page.click("#generate")
    expect(page.locator("#status [role=alert]")).to_contain_text("holds text", timeout=20_000)
    assert "Traceback" not in page.content()
    expect(page.locator("#generate")).to_be_enabled()
    await_empty(app, 1)


def test_missing_voice_is_asked_for(page: Page) -> None:
    page.locator("#voice button[aria-label]").first.click()
    page.click("#generate")
    expect(page.locator("#status [role=alert]")).to_contain_text("choose a voice", timeout=20_000)


def test_camera_and_microphone_fill_the_fields(app: ServedApp, browser: Browser) -> None:
    allowed = {"permissions": ["camera", "microphone"]}
    with open_studio(app, browser, **allowed) as page:
        camera, microphone = page.locator("#camera"), page.locator("#microphone")
        microphone.get_by_role("button", name="Record the voice").click()
        page.wait_for_timeout(1200)
        microphone.get_by_role("button", name="Stop").click()
        expect(page.locator("#voice table")).to_contain_text("microphone", timeout=20_000)
        expect(page.locator("#voice-view")).to_contain_text("kHz", timeout=20_000)
        camera.get_by_role("button", name="Open the camera").click()
        camera.get_by_role("button", name="Record a clip").click()
        page.wait_for_timeout(1500)
        camera.get_by_role("button", name="Stop").click()
        expect(page.locator("#clip table")).to_contain_text("camera", timeout=20_000)
        expect(page.locator("#clip-view")).to_contain_text("fps", timeout=60_000)
        camera.get_by_role("button", name="Open the camera").click()
        camera.get_by_role("button", name="Take a photo").click()
        expect(page.locator("#clip table")).to_contain_text("photo", timeout=20_000)
        expect(page.locator("#clip-view")).to_contain_text("· photo", timeout=60_000)


def test_page_asks_nobody_but_the_app(app: ServedApp, browser: Browser) -> None:
    with browser.new_page() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(app.url)
        await_ready(page)
        strangers = [url for url in asked if not url.startswith((app.url, "data:", "blob:"))]
        assert strangers == []


def test_job_deleted_elsewhere_says_so_when_it_is_tried_again(
    page: Page, brief_voice: Path
) -> None:
    choose(page, "voice", brief_voice)
    page.click("#generate")
    await_comparison(page)
    page.get_by_role("tab", name="History").click()
    page.locator("#history").get_by_role("button", name=re.compile("^Delete")).click()
    page.locator("#history").get_by_role("button", name=re.compile("^(Delete|Yes)")).first.click()
    expect(page.locator("#history .history-card")).to_have_count(0)
    page.get_by_role("tab", name="Sync").click()
    page.locator("#again input").click()
    page.get_by_role("option").first.click()
    expect(page.locator(".toast-wrap")).to_contain_text("no longer", timeout=10_000)
    expect(page.locator("#generate")).to_be_enabled()
