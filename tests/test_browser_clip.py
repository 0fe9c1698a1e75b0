"""The panel of the chosen clip in a real browser: faces, timeline, the part to use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe import find_violations
from conftest import Ffmpeg
from served_app import CHROMIUM
from served_clip import Served, serve_clip

from lipsync.example import example_photo

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

SECONDS = 60_000  # ms a short scan may take on a busy machine
CROP = "crop=220:220:115:20,scale=320:320,setsar=1"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_clip(tmp_path_factory.mktemp("uploads")) as served:
        yield served


@pytest.fixture(scope="module")
def couple(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    """3 s of two faces side by side, 640 x 320 px, then 1 s of a test picture; 25 fps."""
    path = tmp_path_factory.mktemp("clips") / "couple.mp4"
    graph = (
        f"[0]{CROP},split[a][b];[b]hflip[c];[a][c]hstack,trim=duration=3[two];"
        "[1]setsar=1,trim=duration=1[none];[two][none]concat=n=2,format=yuv420p"
    )
    return ffmpeg(
        *("-loop", 1, "-framerate", 25, "-i", example_photo()),
        *("-f", "lavfi", "-i", "testsrc2=s=640x320:r=25"),
        *("-filter_complex", graph, "-c:v", "libx264", "-preset", "ultrafast"),
        *("-g", 5, "-t", 4, "-movflags", "+faststart", path),
    )


@pytest.fixture
def page(served: Served, browser: Browser) -> Iterator[Page]:
    served.held.gate.set()
    with browser.new_page(viewport={"width": 720, "height": 768}, locale="en") as page:
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(served.url)
        yield page
        assert faults == []


def bring(page: Page, clip: Path) -> Locator:
    page.set_input_files("#clip input[type=file]", clip)
    panel = page.locator("#clip-view .clip")
    expect(panel).to_be_visible(timeout=SECONDS)
    return panel


def scanned(page: Page, clip: Path) -> Locator:
    panel = bring(page, clip)
    expect(panel.locator(".clip-progress")).to_have_text("", timeout=SECONDS)
    return panel


def chosen(page: Page, is_expected: Callable[[list[Any]], bool]) -> list[Any]:
    """Return start, end, face and playhead as a handler reads them, once they are as expected."""
    text = ""
    for _ in range(60):
        page.locator("#read").click()
        page.wait_for_timeout(100)
        text = page.locator("#said textarea").input_value()
        if text and is_expected(json.loads(text)):
            return list(json.loads(text))
    raise AssertionError(f"the handler reads {text}")


def drag(page: Page, panel: Locator, handle: Locator, share: float) -> None:
    """Move a handle by a share of the strip, to the right if positive."""
    taken, track = handle.bounding_box(), panel.locator(".clip-track").bounding_box()
    assert taken is not None
    assert track is not None
    x, y = taken["x"] + 12, taken["y"] + 10
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + share * track["width"], y, steps=4)
    page.mouse.up()


def test_facts_faces_and_timeline(page: Page, couple: Path) -> None:
    panel = scanned(page, couple)
    expect(panel.locator(".clip-facts")).to_have_text("640 × 320 · 25 fps · 4 s")
    expect(panel.get_by_role("radio")).to_have_count(3)
    expect(panel.get_by_role("radio", name="Largest face")).to_be_checked()
    expect(panel.locator(".clip-legend")).to_have_text("face foundno facecut")
    expect(panel.locator(".clip-told")).to_have_text(
        "face found from 0:00.0 to 0:03.0; no face from 0:03.0 to 0:04.0; One cut, at 0:03.0"
    )
    expect(panel.get_by_role("status")).to_contain_text("only 75 %")
    expect(panel.get_by_role("alert")).to_be_hidden()


def test_thumbnail_chooses_a_face(page: Page, couple: Path) -> None:
    panel = scanned(page, couple)
    panel.get_by_role("radio").nth(2).click()
    expect(panel.get_by_role("radio").nth(2)).to_be_checked()
    _, _, (x, y, seconds), _ = chosen(page, lambda now: now[2] is not None)
    assert 400 < x < 600
    assert 60 < y < 260
    assert 0 <= seconds < 3
    expect(panel.locator(".clip-mine")).to_have_count(1)
    panel.get_by_role("radio").nth(2).press("ArrowRight")
    expect(panel.get_by_role("radio", name="Largest face")).to_be_focused()
    chosen(page, lambda now: now[2] is None)
    panel.get_by_role("radio", name="Largest face").press("ArrowRight")
    chosen(page, lambda now: now[2] is not None and now[2][0] < 320)


def test_click_in_the_picture_chooses_a_face(page: Page, couple: Path) -> None:
    panel = scanned(page, couple)
    boxes = panel.locator(".clip-box")
    expect(boxes).to_have_count(2)
    box = boxes.nth(1).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.6 * box["height"])
    expect(panel.get_by_role("radio").nth(2)).to_be_checked()
    chosen(page, lambda now: now[2] is not None and 400 < now[2][0] < 600)
    # enlarged, the boxes lie on the same faces
    panel.get_by_role("button", name="Larger").click()
    stage = panel.locator(".clip-stage").bounding_box()
    large = boxes.nth(1).bounding_box()
    assert stage is not None
    assert large is not None
    assert large["width"] > 1.3 * box["width"]
    assert 0.6 < (large["x"] + large["width"] / 2 - stage["x"]) / stage["width"] < 0.95


def test_boxes_follow_the_moment_that_is_shown(page: Page, couple: Path) -> None:
    panel = scanned(page, couple)
    expect(panel.locator(".clip-box")).to_have_count(2)
    position = panel.get_by_role("slider", name="Position")
    for _ in range(3):
        position.press("Shift+ArrowRight")
    expect(position).to_have_attribute("aria-valuenow", "3")
    expect(panel.locator(".clip-box")).to_have_count(0)  # a frame before the cut they were there
    position.press("ArrowLeft")
    expect(panel.locator(".clip-box")).to_have_count(2)


def test_seeking_by_keyboard_and_mouse(page: Page, couple: Path) -> None:
    panel = scanned(page, couple)
    position = panel.get_by_role("slider", name="Position")
    position.focus()
    position.press("ArrowRight")
    expect(position).to_have_attribute("aria-valuenow", "0.04")
    position.press("Shift+ArrowRight")
    expect(position).to_have_attribute("aria-valuetext", "0:01.0")
    now = chosen(page, lambda now: now[3] == 1.04)
    assert now[:3] == [None, None, None]
    track = panel.locator(".clip-track").bounding_box()
    assert track is not None
    page.mouse.click(track["x"] + track["width"] / 2, track["y"] + 20)
    page.wait_for_function("Math.abs(document.querySelector('.clip video').currentTime - 2) < 0.1")
    chosen(page, lambda now: abs(now[3] - 2) < 0.1)


def test_player_moves_the_playhead(page: Page, couple: Path) -> None:
    panel = scanned(page, couple)
    panel.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.clip video').currentTime > 0.3")
    panel.get_by_role("button", name="Pause").click()
    expect(panel.get_by_role("button", name="Play")).to_be_visible()
    stands = page.evaluate("document.querySelector('.clip video').currentTime")
    chosen(page, lambda now: abs(now[3] - stands) < 0.05)


def test_part_is_trimmed_by_keyboard_mouse_and_number(page: Page, couple: Path) -> None:
    panel = scanned(page, couple)
    start, end = (panel.get_by_role("slider", name=name) for name in ("Start", "End"))
    start.focus()
    start.press("Shift+ArrowRight")
    expect(start).to_have_attribute("aria-valuenow", "1")
    chosen(page, lambda now: now[:2] == [1.0, None])
    start.press("Home")
    drag(page, panel, start, 0.5)
    chosen(page, lambda now: abs(now[0] - 2) < 0.02 and now[1] is None)
    drag(page, panel, start, -0.25)
    drag(page, panel, end, -0.25)
    start_now, end_now, *_ = chosen(page, lambda now: now[1] is not None)
    assert start_now == pytest.approx(1, abs=0.03)
    assert end_now == pytest.approx(3, abs=0.03)
    expect(panel.get_by_role("status")).to_be_hidden()  # here the face is found all the time
    panel.get_by_label("to", exact=True).fill("0.5")
    panel.get_by_label("to", exact=True).press("Enter")
    chosen(
        page, lambda now: now[:2] == [start_now, round(start_now + 0.1, 2)]
    )  # never before the start
    panel.get_by_role("button", name="Whole clip").click()
    chosen(page, lambda now: now[:2] == [None, None])
    expect(panel.get_by_role("button", name="Whole clip")).to_be_disabled()


def test_part_without_a_face_is_told_and_the_face_moves_with_the_part(
    page: Page, couple: Path
) -> None:
    panel = scanned(page, couple)
    panel.get_by_role("radio").nth(1).click()
    start = panel.get_by_label("From", exact=True)
    start.fill("2")
    start.press("Enter")
    chosen(page, lambda now: now[0] == 2.0 and now[2] is not None and 2 <= now[2][2] < 3)
    start.fill("3.2")
    start.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("No face is found in this part")


def test_selection_survives_what_the_scan_finds_later(
    served: Served, page: Page, couple: Path
) -> None:
    served.held.gate.clear()
    panel = bring(page, couple)
    expect(panel.locator(".clip-progress")).to_contain_text("Looking")
    panel.get_by_role("slider", name="Start").press("Shift+ArrowRight")
    end = panel.get_by_role("slider", name="End").bounding_box()
    assert end is not None
    page.mouse.move(end["x"] + 5, end["y"] + 10)
    page.mouse.down()
    page.mouse.move(end["x"] - 95, end["y"] + 10, steps=3)
    held = panel.get_by_role("slider", name="End").get_attribute("aria-valuenow")
    assert held is not None
    assert float(held) < 3.9
    served.held.gate.set()
    expect(panel.get_by_role("radio")).to_have_count(3, timeout=SECONDS)
    expect(panel.get_by_role("slider", name="End")).to_have_attribute("aria-valuenow", held)
    page.mouse.up()
    chosen(page, lambda now: now[:2] == [1.0, float(held)])


def test_earlier_selection_can_be_put_back(page: Page, couple: Path) -> None:
    panel = scanned(page, couple)
    page.locator("#again").click()
    expect(panel.get_by_role("slider", name="Start")).to_have_attribute("aria-valuenow", "0.5")
    expect(panel.get_by_role("slider", name="End")).to_have_attribute("aria-valuenow", "2.5")
    expect(panel.get_by_role("slider", name="Position")).to_have_attribute("aria-valuenow", "1.5")
    expect(panel.get_by_role("radio").nth(2)).to_be_checked()
    chosen(page, lambda now: now == [0.5, 2.5, [475.0, 140.0, 1.0], 1.5])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(
    served: Served, browser: Browser, couple: Path, scheme: str
) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    served.held.gate.set()
    with browser.new_page(viewport={"width": 720, "height": 768}, locale="en") as page:
        page.goto(f"{served.url}?__theme={scheme}")
        panel = scanned(page, couple)
        panel.get_by_role("radio").nth(1).click()
        start = panel.get_by_label("From", exact=True)
        start.fill("3.2")
        start.press("Enter")
        expect(panel.get_by_role("alert")).to_be_visible()
        ours = [
            one for one in find_violations(page) if "clip-" in one.html or ".clip" in one.target
        ]
        assert ours == []


def test_clip_without_a_face_is_told_before_anything_is_spent(
    page: Page, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    clip = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-t", 1, tmp_path / "none.mp4")
    panel = scanned(page, clip)
    expect(panel.get_by_role("alert")).to_contain_text("No face was found")
    expect(panel.get_by_role("radio")).to_have_count(0)


def test_photo_has_no_timeline(page: Page) -> None:
    panel = bring(page, example_photo())
    expect(panel.get_by_role("radio")).to_have_count(2, timeout=SECONDS)
    expect(panel.get_by_role("img", name="The chosen photo")).to_be_visible()
    expect(panel.locator(".clip-facts")).to_contain_text("photo")
    expect(panel.get_by_role("slider")).to_have_count(0)
    panel.locator(".clip-stage").click(position={"x": 5, "y": 5})  # beside the face: nothing
    panel.get_by_role("radio").nth(1).click()
    chosen(page, lambda now: now[2] is not None and now[2][2] == 0)


def test_file_that_no_browser_plays_can_still_be_trimmed(
    page: Page, face_clip: Path, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    clip = ffmpeg("-i", face_clip, "-c:v", "mpeg1video", "-an", tmp_path / "old.mpg")
    panel = scanned(page, clip)
    expect(panel.get_by_text("This browser cannot play the file")).to_be_visible()
    expect(panel.get_by_role("button", name="Play")).to_be_disabled()
    panel.get_by_role("slider", name="Start").press("ArrowRight")
    chosen(page, lambda now: now[0] == 0.1)
    panel.get_by_role("radio").nth(1).click()
    chosen(page, lambda now: now[2] is not None)


def test_next_clip_starts_afresh_and_a_bad_one_says_why(
    page: Page, couple: Path, face_clip: Path, tmp_path: Path
) -> None:
    panel = scanned(page, couple)
    panel.get_by_role("slider", name="Start").press("Shift+ArrowRight")
    panel.get_by_role("radio").nth(1).click()
    chosen(page, lambda now: now[0] == 1.0)
    page.locator("#clip").get_by_label("Clear").click()
    expect(panel).to_be_hidden()
    scanned(page, face_clip)
    expect(panel.locator(".clip-facts")).to_contain_text("320 × 320")
    chosen(page, lambda now: now == [None, None, None, 0])
    page.locator("#clip").get_by_label("Clear").click()
    expect(panel).to_be_hidden()
    diary = tmp_path / "diary.mp4"
    diary.write_text("dear diary" * 100)
    bring(page, diary)
    expect(panel.get_by_role("alert")).to_contain_text("text")
    expect(panel.locator(".clip-stage")).to_be_hidden()
    expect(panel.get_by_role("slider")).to_have_count(0)


def test_phone_in_chinese_fits_and_has_no_english(
    served: Served, browser: Browser, couple: Path
) -> None:
    served.held.gate.set()
    with browser.new_page(viewport={"width": 360, "height": 740}, locale="zh-CN") as page:
        page.goto(served.url)
        panel = scanned(page, couple)
        expect(panel.get_by_role("radio")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        told = panel.evaluate(
            "panel => panel.textContent + [...panel.querySelectorAll('[aria-label], [title]')]"
            ".map(part => part.ariaLabel + part.title).join(' ')"
        )
        assert not any(word in told.lower() for word in ("face", "clip", "part", "from", "cut"))
