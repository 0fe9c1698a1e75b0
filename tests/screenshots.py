"""Take the README's pictures from the real app, and time its start: ``make screenshots``.

Every picture is made of the bundled example only: NASA's photo, for some cut to the face, and our
voice.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from conftest import run_ffmpeg
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from served_app import ROOT, ServedApp, open_browser, serve_app
from studio_page import JOB_SECONDS, PHONE, await_comparison, choose, open_studio

from lipsync.example import example_photo

FOLDER = ROOT / "assets" / "screenshots"
MAX_BYTES = 300_000
STARTS = 3
PORTRAIT = "crop=346:216:45:0"  # of the photo: the face, in the middle where the wipe stands
MOMENT = 1.8  # second of the example at which the lips are closed, on the photo they smile
SHIFT = 0.32  # seconds by which one of the checked clips has its sound moved

# in the visitor's hands: the button works, clip and voice of the example are there
USABLE = """() => {
    const button = document.querySelector("#generate");
    const parts = ["#clip-view img", "#voice-view audio"];
    return button && !button.disabled && parts.every((part) => document.querySelector(part));
}"""


def main() -> None:
    """Write six pictures, each below 300 kB, and print how long the app takes to start."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, open_browser() as browser:
        folder = Path(name)
        starts = [measure_start(browser, make_folder(folder / str(n))) for n in range(STARTS)]
        told = ", ".join(f"{seconds:.1f}" for seconds in starts)
        say(f"from starting the process to a usable screen: {told} s")
        say(f"median {statistics.median(starts):.1f} s")
        portrait = run_ffmpeg("-i", example_photo(), "-vf", PORTRAIT, folder / "portrait.png")
        with serve_app(make_folder(folder / "app")) as app:
            picture_phone(app, browser)
            picture_dark(app, browser, portrait)
            picture_desk(app, browser, portrait)


def measure_start(browser: Browser, folder: Path) -> float:
    """Return the seconds from starting ``app.py`` to a screen whose Generate does its work."""
    started = time.monotonic()
    with serve_app(folder) as app, browser.new_context() as context, context.new_page() as page:
        page.goto(app.url, wait_until="commit")
        page.wait_for_function(USABLE, timeout=60_000)
        return time.monotonic() - started


def picture_phone(app: ServedApp, browser: Browser) -> None:
    """The first screen on a small phone that reads Chinese."""
    options = {"locale": "zh-CN", "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    with open_studio(app, browser, PHONE, **options) as page:
        await_times(page)
        save(page, "phone")


def picture_dark(app: ServedApp, browser: Browser, portrait: Path) -> None:
    """A result, for whoever prefers the dark."""
    with open_studio(app, browser, color_scheme="dark") as page:
        bring(page, portrait)
        make_result(page)
        save(page, "finished-job-dark")


def picture_desk(app: ServedApp, browser: Browser, portrait: Path) -> None:
    """One visit: the first screen, a result, the history of two, and three clips checked."""
    with open_studio(app, browser) as page:
        await_times(page)
        save(page, "first-screen")
        bring(page, portrait)
        make_result(page)
        save(page, "finished-job")
        with page.expect_download() as download:
            page.click("#download")
        film = portrait.with_name(download.value.suggested_filename)
        download.value.save_as(film)

        page.get_by_role("radio", name="Draft, lively").check()
        make_result(page)
        page.get_by_role("tab", name="History").click()
        cards = page.locator("#history .history-card")
        expect(cards).to_have_count(2)
        for place in (0, 1):
            cards.nth(place).locator("[data-act=compare]").click()
        save(page, "history")

        page.get_by_role("tab", name="Check a clip").click()
        page.set_input_files("#check-clips input[type=file]", spoil(film))
        page.click("#check")
        expect(page.locator("#check-status")).to_contain_text("checked", timeout=60_000)
        page.locator(".check-row").first.click()
        expect(page.locator("#check-opened .player")).to_be_visible()
        save(page, "check")


def spoil(film: Path) -> list[Path]:
    """Return `film` and two worse copies of it: the sound too late, and no sound at all."""
    late, mute = film.with_name("sound-too-late.mp4"), film.with_name("no-sound.mp4")
    moved = ("-itsoffset", SHIFT, "-i", film)
    run_ffmpeg("-i", film, *moved, "-map", "0:v", "-map", "1:a", "-c:v", "copy", late)
    run_ffmpeg("-i", film, "-an", "-c:v", "copy", mute)
    return [film, late, mute]


def bring(page: Page, portrait: Path) -> None:
    """Put the portrait in the place of the whole photo, and wait until it is looked through."""
    choose(page, "clip", portrait)
    with Image.open(portrait) as picture:
        expect(page.locator("#clip-view")).to_contain_text("{} × {}".format(*picture.size))
    expect(page.locator("#clip-view .clip-face img")).to_be_visible(timeout=60_000)
    await_times(page)


def make_result(page: Page) -> None:
    """Generate, and stand in mid-speech with the comparison in place."""
    page.click("#generate")
    expect(page.locator("#cancel")).to_be_enabled()  # what is shown now is of this job
    await_comparison(page)
    page.wait_for_function("document.querySelector('#player .player').dataset.comparable == 'true'")
    page.evaluate(f"studio.seek('player', {MOMENT})")
    page.wait_for_function(
        "[...document.querySelectorAll('#player video')].every("
        f"(film) => !film.seeking && Math.abs(film.currentTime - {MOMENT}) < 0.1)"
    )


def await_times(page: Page) -> None:
    """Wait until every preset that can be used says how long it takes."""
    times = page.locator("#preset .presets-time:not(:empty)")
    usable = page.locator("#preset .presets-radio:not([aria-disabled])")
    expect(times).to_have_count(usable.count())
    expect(times.first).to_be_visible(timeout=JOB_SECONDS * 1000)


def save(page: Page, name: str) -> None:
    """Write what the page shows as a small PNG."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # transitions end, the last picture of a film is drawn
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    page.wait_for_timeout(200)
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    # 256 colours: a third of the size, and hardly a difference
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
    say(f"{path.relative_to(ROOT)} {path.stat().st_size} bytes")
    if path.stat().st_size >= MAX_BYTES:
        sys.exit(f"{path} is not smaller than {MAX_BYTES} bytes")


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
