"""Every state of the screen for every reader: sizes, languages, light and dark, keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe import find_violations
from conftest import Ffmpeg
from served_app import CHROMIUM, ServedApp, serve_app

from lipsync.example import example_photo, example_voice

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect
from studio_page import DESK, PHONE, await_comparison, choose, open_studio

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

# what stays in Latin letters for a Chinese reader: names, units, file endings and formats
_LATIN = re.compile(
    r"Lipsync Studio|AI|correlate|CSV|JSON|PNG|astronaut\S*|example\S*|portrait\S*|brief\S*"
    r"|\.(?:png|m4a|mp4|wav)|\d[\d.]*\s*[GKM]?B|fps|kHz|ms|px"
    # models and their licences
    r"|LatentSync|Stable Diffusion|ft-mse|Whisper|tiny|small|StableSyncNet|SyncNet|Wav2Lip|GAN"
    r"|/\S+/home/avatars|InsightFace|buffalo_l|CreativeML Open RAIL\+\+-M|MIT|LRS2"
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    with serve_app(tmp_path_factory.mktemp("app")) as served:
        yield served


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    return ffmpeg(
        *("-loop", 1, "-framerate", 25, "-i", example_photo(), "-i", example_voice()),
        *("-t", 2, "-vf", "crop=400:400:30:0,scale=320:320,format=yuv420p"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
        tmp_path_factory.mktemp("clip") / "portrait.mp4",
    )


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    path = tmp_path_factory.mktemp("voice") / "brief.wav"
    return ffmpeg("-i", example_voice(), "-t", 2.0, path)


def walk_states(page: Page, clip: Path, voice: Path) -> Iterator[str]:
    """Lead a page through the states of the screen, stopping at each."""
    yield "first screen"

    def open_tab(name: str) -> None:
        page.locator(f"#{name}-tab-button").click()

    page.locator("#advanced button").first.click()
    expect(page.locator("#seed input")).to_be_visible()
    yield "advanced"
    page.locator("#advanced button").first.click()
    choose(page, "clip", clip)
    expect(page.locator("#clip-view [role=slider]").first).to_be_visible(timeout=60_000)
    choose(page, "voice", voice)
    yield "clip"
    page.click("#generate")
    expect(page.locator("#status [role=progressbar]")).to_be_visible()
    yield "running"
    await_comparison(page)
    yield "result"
    open_tab("avatars")
    expect(page.locator(".avatars-empty")).to_be_visible()
    yield "avatars"
    open_tab("history")
    expect(page.locator("#history .history-card")).to_have_count(1, timeout=20_000)
    yield "history"
    open_tab("check")
    expect(page.locator("#check")).to_be_visible()
    yield "check"
    open_tab("models")
    expect(page.locator("#models .models-card").first).to_be_visible(timeout=20_000)
    yield "models"
    page.locator(".models-card button").first.click()
    expect(page.locator(".models-dialog")).to_be_visible()
    yield "question"
    page.keyboard.press("Escape")
    open_tab("sync")
    page.locator("#voice button[aria-label]").first.click()
    page.click("#generate")
    expect(page.locator("#status [role=alert]")).to_be_visible(timeout=20_000)
    yield "trouble"


def settle(page: Page) -> None:
    """Wait until colours have faded in and Gradio's own names have been replaced by ours."""
    page.wait_for_timeout(400)


@pytest.mark.parametrize(
    ("size", "locale", "scheme"),
    [
        (DESK, "en-US", "light"),
        (DESK, "en-US", "dark"),
        (PHONE, "zh-CN", "light"),
        (PHONE, "en-US", "dark"),
    ],
)
def test_every_state_is_readable_by_everybody(
    app: ServedApp,
    browser: Browser,
    clip: Path,
    voice: Path,
    size: tuple[int, int],
    locale: str,
    scheme: str,
) -> None:
    options = {"locale": locale, "color_scheme": scheme}
    with open_studio(app, browser, size, **options) as page:
        if scheme == "dark":
            expect(page.locator("body.dark, .dark").first).to_be_attached()
        for state in walk_states(page, clip, voice):
            settle(page)
            assert [str(violation) for violation in find_violations(page)] == [], state
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{state} scrolls sideways by {wide} px"


def test_chinese_reader_meets_no_english(
    app: ServedApp, browser: Browser, clip: Path, voice: Path
) -> None:
    with open_studio(app, browser, locale="zh-CN") as page:
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        for state in walk_states(page, clip, voice):
            settle(page)
            said = page.locator("body").inner_text()
            said += "\n" + "\n".join(
                page.evaluate(
                    """() => [...document.querySelectorAll("[aria-label], [title], [alt]")]
                    .filter(element => element.checkVisibility())
                    .map(element => ["aria-label", "title", "alt"]
                        .map(name => element.getAttribute(name) ?? "").join(" "))"""
                )
            )
            left = sorted(set(re.findall(r"[A-Za-z]{2,}", _LATIN.sub("", said))))
            assert left == [], f"{state}: {left}"


def test_first_screen_needs_no_scrolling(app: ServedApp, browser: Browser) -> None:
    with open_studio(app, browser) as page:
        assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")


def test_button_and_what_it_says_stay_in_sight_with_everything_open(
    app: ServedApp, browser: Browser, face_clip: Path
) -> None:
    with open_studio(app, browser) as page:
        choose(page, "clip", face_clip)
        expect(page.locator("#clip-view .clip-track")).to_be_visible()
        page.locator("#advanced button").first.click()
        expect(page.locator("#mark")).to_be_attached()
        page.evaluate("scrollTo(0, 0)")
        for part in ("#consent", "#generate"):
            box = page.locator(part).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= DESK[1], part
        page.locator("#generate").click(trial=True)  # nothing lies over it


def test_empty_fields_show_all_they_say(app: ServedApp, browser: Browser) -> None:
    with open_studio(app, browser) as page:
        for field in ("clip", "voice"):
            page.locator(f"#{field} button[aria-label]").first.click()
            words = page.locator(f"#{field} [data-testid=upload-text]")
            expect(words).to_be_visible()
            inside = words.evaluate(
                """(words) => {
                    const range = document.createRange();
                    range.selectNodeContents(words);
                    const [text, field] = [range, words.closest(".block")]
                        .map((part) => part.getBoundingClientRect());
                    const label = words.closest(".block").querySelector("label")
                        .getBoundingClientRect();
                    return text.bottom <= field.bottom && text.top >= label.bottom;
                }"""
            )
            assert inside, field


def test_job_by_keyboard_alone(app: ServedApp, browser: Browser) -> None:
    with open_studio(app, browser) as page:
        page.keyboard.press("Tab")
        for _ in range(60):
            if page.evaluate("document.activeElement.id") == "generate":
                break
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "generate"
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", "focus cannot be seen"
        page.keyboard.press("Enter")
        expect(page.locator("#status [role=progressbar]")).to_be_visible()
        page.locator("#cancel").press("Enter")
        expect(page.locator("#status")).to_contain_text("Cancelled")
