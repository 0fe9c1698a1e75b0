"""*Fix offset* as a visitor uses it: a clip that is off, a click, a file that is not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe import find_violations
from conftest import Ffmpeg
from served_app import CHROMIUM, ServedApp, serve_app

from lipsync.example import example_photo, example_voice
from lipsync.media.probe import probe_clip
from lipsync.pipeline import LipSyncPipeline
from lipsync.record import score_to_json
from lipsync.steps import exhaust
from lipsync.types import Request, SyncScore

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect
from studio_page import (
    JOB_SECONDS,
    PHONE,
    await_comparison,
    await_empty,
    await_score,
    open_studio,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

FRAMES = 8  # by which the sound comes after the lips
LONG = JOB_SECONDS * 1000  # ms


@dataclass(frozen=True)
class OffClip:
    """The example's own result with its sound moved, and what the judge says of it."""

    path: Path
    score: SyncScore


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    with serve_app(tmp_path_factory.mktemp("app")) as served:
        yield served


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> OffClip:
    folder, pipeline = tmp_path_factory.mktemp("clip"), LipSyncPipeline()
    made = folder / "made.mp4"
    exhaust(pipeline.sync(Request(example_photo(), example_voice(), made, score=False)))
    late = ("-c:v", "copy", "-af", f"adelay={FRAMES * 40}:all=1", "-c:a", "aac")
    path = ffmpeg("-i", made, *late, "-shortest", folder / "late & off.mp4")
    score = pipeline.score(path)
    pipeline.close()
    return OffClip(path, score)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory, off: OffClip, ffmpeg: Ffmpeg) -> Path:
    """A minute of it, so that its repair still runs when it is stopped."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return ffmpeg("-stream_loop", 11, "-i", off.path, "-c", "copy", path)


def check(page: Page, path: Path) -> None:
    """Let the tab score a clip, and open its row."""
    page.get_by_role("tab", name=re.compile("Check a clip|检查视频")).click()
    page.set_input_files("#check-clips input[type=file]", path)
    expect(page.locator("#check-clips")).to_contain_text(path.stem[:4], timeout=20_000)
    page.locator("#check").click()
    row = page.locator(".check-row").first
    expect(row).to_contain_text(re.compile(r"\d\.\d\d"), timeout=LONG)  # its confidence
    expect(page.locator("#check")).to_be_enabled(timeout=LONG)
    row.click()
    expect(page.locator("#check-card .score-card")).to_be_visible()


def frames_off(page: Page, card: str) -> float:
    """Return by how many frames of 40 ms the lips are early or late, as the card tells it."""
    said = page.locator(f"{card} [data-testid=offset]").inner_text()
    return int(re.search(r"(\d+) ms", said)[1]) / 40  # type: ignore[index]


def test_checked_clip_is_repaired_to_a_new_file_that_is_in_step(
    app: ServedApp, browser: Browser, off: OffClip, tmp_path: Path
) -> None:
    with open_studio(app, browser) as page:
        check(page, off.path)
        assert frames_off(page, "#check-card") == pytest.approx(FRAMES, abs=1)
        assert re.fullmatch(
            r"\d\.\d\d", page.locator("#check-card [data-testid=confidence]").inner_text()
        )
        expect(page.locator("#check-card")).to_contain_text("Out of sync")
        expect(page.locator("#check-card")).to_contain_text("One frame (40 ms) is normal")
        assert find_violations(page) == []

        page.get_by_role("button", name="Fix offset").click()
        expect(page.locator("#check-card [data-testid=repaired]")).to_be_visible(timeout=LONG)
        assert frames_off(page, "#check-card") < 1.5
        expect(page.locator("#check-card")).to_contain_text("In sync")
        expect(page.locator("#check-card .score-fix")).to_have_count(0)
        expect(page.locator("#check-opened h3")).to_have_text("late & off-repaired.mp4")
        expect(page.locator(".check-row")).to_have_count(2)
        current = page.locator(".check-row[aria-current]")
        expect(current).to_contain_text("off-repaired.mp4")
        expect(current.locator(".check-note")).to_contain_text("Offset repaired")
        expect(page.locator("#check-repair")).to_be_hidden()
        assert find_violations(page) == []

        with page.expect_download() as download:
            page.get_by_role("link", name="Save the repaired clip").click()
        kept = tmp_path / "kept.mp4"
        download.value.save_as(kept)
        assert download.value.suggested_filename.endswith("off-repaired.mp4")
        assert probe_clip(kept).num_frames == probe_clip(off.path).num_frames
        assert abs(LipSyncPipeline().score(kept).offset_frames) < 1.5
        await_empty(app, 10)


def test_stopped_repair_leaves_the_row_as_it_was(
    app: ServedApp, browser: Browser, long_clip: Path
) -> None:
    with open_studio(app, browser) as page:
        check(page, long_clip)
        there = set(app.folder.rglob("*-repaired*"))
        page.get_by_role("button", name="Fix offset").click()
        expect(page.locator("#check-repair")).to_contain_text("Checking the sync", timeout=30_000)
        assert find_violations(page) == []
        page.locator("#check-stop-repair").click()
        expect(page.locator("#check-repair")).to_contain_text("Cancelled. Nothing was kept.")
        await_empty(app, 10)
        expect(page.locator("#check-stop-repair")).to_be_hidden()
        expect(page.locator(".check-row")).to_have_count(1)
        expect(page.locator("#check-card .score-fix")).to_be_visible()
        assert set(app.folder.rglob("*-repaired*")) == there


def make_off(app: ServedApp, page: Page, off: OffClip) -> None:
    """Make the example, and let it be found off in the history."""
    before = set(app.folder.glob("gradio/history/*/*/record.json"))
    page.click("#generate")
    await_score(page)
    await_comparison(page)
    (kept,) = set(app.folder.glob("gradio/history/*/*/record.json")) - before
    (result,) = kept.parent.glob("*-synced.mp4")
    shutil.copy(off.path, kept.parent / "off.part")
    (kept.parent / "off.part").replace(result)  # what was lent of it stays what it was
    record = json.loads(kept.read_text("utf-8")) | {"score": score_to_json(off.score)}
    kept.write_text(json.dumps(record), "utf-8")


def test_job_out_of_the_history_is_repaired_to_a_new_job(
    app: ServedApp, browser: Browser, off: OffClip, tmp_path: Path
) -> None:
    with open_studio(app, browser) as page:
        make_off(app, page, off)
        page.get_by_role("tab", name="History").click()
        page.locator(".history-show").click()
        expect(page.locator("#score .score-fix")).to_be_visible()
        assert frames_off(page, "#score") == pytest.approx(FRAMES, abs=1)
        assert find_violations(page) == []

        page.get_by_role("button", name="Fix offset").click()
        expect(page.locator("#score [data-testid=repaired]")).to_contain_text(
            "Offset repaired: the sound was moved by −320 ms.", timeout=LONG
        )
        assert frames_off(page, "#score") < 1.5
        expect(page.locator("#score .score-fix")).to_have_count(0)
        expect(page.locator("#status")).to_be_hidden()
        page.wait_for_function("document.querySelector('#player .player-after').readyState >= 2")
        expect(page.locator("#make-both")).to_be_visible()
        with page.expect_download() as download:
            page.click("#download")
        kept = tmp_path / "kept.mp4"
        download.value.save_as(kept)
        assert abs(LipSyncPipeline().score(kept).offset_frames) < 1.5
        with page.expect_download() as download:
            page.click("#record")
        record = json.loads(Path(download.value.path()).read_text("utf-8"))
        assert record["repaired_offset_frames"] == -FRAMES

        page.get_by_role("tab", name="History").click()
        expect(page.locator(".history-card")).to_have_count(2)
        expect(page.locator(".history-card").first).to_contain_text("Offset repaired")
        assert find_violations(page) == []
        await_empty(app, 10)


def test_phone_in_chinese_has_no_english_and_no_sideways_scroll(
    app: ServedApp, browser: Browser, off: OffClip
) -> None:
    options = {"locale": "zh-CN", "is_mobile": True, "has_touch": True}
    with open_studio(app, browser, PHONE, **options) as page:
        check(page, off.path)
        texts = [page.locator("#check-card").inner_text()]
        page.get_by_role("button", name="修正偏移").click()
        expect(page.locator("#check-card [data-testid=repaired]")).to_be_visible(timeout=LONG)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        texts += [page.locator(part).inner_text() for part in ("#check-card", "#check-table")]
        named = r"late & off(-repaired)?\.mp4|correlate|CSV|\bms\b"
        assert re.findall(r"[A-Za-z]{2,}", re.sub(named, "", "\n".join(texts))) == []
        assert find_violations(page) == []
