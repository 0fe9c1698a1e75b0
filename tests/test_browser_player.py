"""The player and the score card in a real browser; every frame of the videos shows its number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe import find_violations
from numbered_films import BITS
from PIL import Image
from served_app import CHROMIUM
from served_player import (
    FRAMES,
    await_frame,
    await_rest,
    press,
    serve_player,
    show,
    shown,
    watch_together,
)

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_player(tmp_path_factory.mktemp("films")) as url:
        yield url


@pytest.fixture
def page(url: str, browser: Browser) -> Iterator[Page]:
    with browser.new_page(viewport={"width": 1366, "height": 768}) as page:
        page.goto(url)
        yield page


def test_plays_together_and_pauses_on_one_frame(page: Page) -> None:
    show(page, "both")
    press(page, "Space")
    expect(page.locator(".player")).to_have_attribute("data-playing", "true")
    watch_together(page, 1500, moved=20, seconds=0.5)
    press(page, "k")
    await_rest(page)
    frame = int(page.locator(".player").get_attribute("data-frame") or -1)
    await_frame(page, frame)
    assert shown(page) == [frame, frame]
    expect(page.locator(".player")).to_have_attribute("data-drift", "0")


def test_together_after_a_seek_while_playing(page: Page) -> None:
    show(page, "both")
    press(page, "Space")
    page.wait_for_function("document.querySelector('.player').dataset.frame > 5")
    page.evaluate("studio.seek('player', 2.5)")
    page.wait_for_function("document.querySelector('.player').dataset.frame > 64")
    seen = watch_together(page, 1000, moved=12, seconds=2.5)
    assert min(pair[0] for pair in seen if pair[0] is not None) >= 58


def test_together_in_slow_motion(page: Page) -> None:
    show(page, "both")
    press(page, "s")
    press(page, "s")
    expect(page.get_by_role("radio", name="0.25×")).to_be_checked()
    press(page, "Space")
    page.wait_for_function("document.querySelector('.player').dataset.frame > 1")
    seen = watch_together(page, 1500, moved=6, seconds=0.1)
    assert max(pair[0] for pair in seen if pair[0] is not None) < 20


def test_steps_move_both_by_exactly_one_frame(page: Page) -> None:
    show(page, "both")
    for key, frame in (
        *((".", 1), (".", 2), ("ArrowRight", 3), (",", 2), ("ArrowLeft", 1)),
        *(("Shift+ArrowRight", 26), ("Shift+ArrowLeft", 1), ("End", FRAMES - 1)),
        *((".", FRAMES - 1), (",", FRAMES - 2), ("Home", 0), (",", 0)),
    ):
        press(page, key)
        await_frame(page, frame)
        await_rest(page)
        assert shown(page) == [frame, frame], key
    page.get_by_role("button", name="One frame on").click()
    await_frame(page, 1)


def test_timeline_seeks_both_and_says_where(page: Page) -> None:
    show(page, "both")
    timeline = page.get_by_role("slider", name="Place in the video")
    timeline.fill("70")
    await_frame(page, 70)
    await_rest(page)
    assert shown(page) == [70, 70]
    expect(timeline).to_have_attribute("aria-valuetext", "0:02.8 / 0:05.0")
    expect(page.locator(".player-time")).to_have_text("0:02.8 / 0:05.0")


def test_skipped_stretch_is_marked_where_it_is(page: Page) -> None:
    show(page, "plain")
    bar = page.locator(".player-bar").bounding_box()
    mark = page.locator(".player-mark").bounding_box()
    assert bar is not None
    assert mark is not None
    assert (mark["x"] - bar["x"]) / bar["width"] == pytest.approx(0.2, abs=0.01)
    assert mark["width"] / bar["width"] == pytest.approx(0.2, abs=0.01)
    assert page.locator(".player-mark").get_attribute("title") == "no face is seen"


def test_before_arriving_late_keeps_the_place(page: Page) -> None:
    show(page, "plain")
    expect(page.get_by_role("radio", name="Wipe")).to_be_hidden()
    page.evaluate("studio.seek('player', 2)")
    await_frame(page, 50)
    # on the page, not in the window: a button further down scrolls it when it is pressed
    place = """(() => {
      const { x, y, width, height } = document.querySelector(".player").getBoundingClientRect();
      return [x + scrollX, y + scrollY, width, height];
    })()"""
    before = page.evaluate(place)
    show(page, "both")
    await_frame(page, 50)
    await_rest(page)
    assert shown(page) == [50, 50]
    assert page.evaluate(place) == before
    expect(page.get_by_role("radio", name="Wipe")).to_be_checked()


def test_before_arriving_while_playing_does_not_halt(page: Page) -> None:
    show(page, "plain")
    press(page, "Space")
    page.wait_for_function("document.querySelector('.player').dataset.frame > 10")
    show(page, "both")
    page.wait_for_timeout(300)
    expect(page.locator(".player")).to_have_attribute("data-playing", "true")
    watch_together(page, 800, moved=10, seconds=1.2)
    assert page.evaluate("document.querySelector('.player-after').currentTime") > 1


def test_repeats_and_stops_at_the_end(page: Page) -> None:
    show(page, "both")
    press(page, "l")
    press(page, "End")
    await_frame(page, FRAMES - 1)
    page.evaluate("studio.seek('player', 4.6)")
    await_frame(page, 115)
    press(page, "Space")
    page.wait_for_function("+document.querySelector('.player').dataset.frame < 50", timeout=10_000)
    watch_together(page, 500, moved=5, seconds=0.5)
    press(page, "l")
    page.evaluate("studio.seek('player', 4.6)")
    expect(page.locator(".player")).to_have_attribute("data-playing", "false", timeout=10_000)
    await_frame(page, FRAMES - 1)
    await_rest(page)
    assert shown(page) == [FRAMES - 1, FRAMES - 1]
    press(page, "Space")  # plays once more, from the start
    page.wait_for_function("+document.querySelector('.player').dataset.frame < 60")


def test_wipe_by_mouse_and_keys(page: Page) -> None:
    show(page, "both")
    handle = page.get_by_role("slider", name="Line between before and after")
    picture = page.locator(".player-picture").bounding_box()
    assert picture is not None
    y = picture["y"] + picture["height"] / 2
    page.mouse.move(picture["x"] + picture["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(picture["x"] + picture["width"] * 0.2, y, steps=4)
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuenow", "20")
    expect(handle).to_have_attribute("aria-valuetext", "Before 20 %, After 80 %")
    clip = page.evaluate("getComputedStyle(document.querySelector('.player-before')).clipPath")
    assert "80%" in clip
    expect(page.locator(".player")).to_have_attribute("data-playing", "false")
    for key, value in (("ArrowRight", 22), ("PageUp", 32), ("Home", 0), ("ArrowLeft", 0)):
        handle.press(key)
        expect(handle).to_have_attribute("aria-valuenow", str(value))
    handle.press("End")
    expect(handle).to_have_attribute("aria-valuenow", "100")
    expect(page.locator(".player")).to_have_attribute("data-frame", "0")


def test_views(page: Page) -> None:
    show(page, "both")
    boxes = {}
    for name in ("Side by side", "After", "Before"):
        page.get_by_role("radio", name=name).check()
        sides = [page.locator(f".player-{side}") for side in ("before", "after")]
        boxes[name] = [side.bounding_box() for side in sides]
        visible = sides[0].evaluate("(video) => getComputedStyle(video).opacity")
        assert visible == ("0" if name == "After" else "1")
    left, right = boxes["Side by side"]
    assert left["x"] + left["width"] == pytest.approx(right["x"], abs=1)
    assert left["width"] == pytest.approx(right["width"], abs=1)


def test_still_is_the_frame_on_the_screen_in_full_size(page: Page, tmp_path: Path) -> None:
    show(page, "both")
    page.evaluate("studio.seek('player', 1.7)")
    await_frame(page, 42)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save this frame").click()
    assert download.value.suggested_filename == "clip-frame-0042.png"
    download.value.save_as(tmp_path / "still.png")
    picture = np.asarray(Image.open(tmp_path / "still.png").convert("L"))
    assert picture.shape == (202, 360)
    columns = picture[100, (np.arange(BITS) + 0.5).astype(int) * 40 + 20] > 127
    assert (columns * 2 ** np.arange(BITS)).sum() == 42


def test_click_on_a_second_of_the_score_seeks(page: Page) -> None:
    show(page, "both")
    page.get_by_role("button", name="second 4: 0.30, the weakest").click()
    await_frame(page, 75)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    await_frame(page, 100)
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    await_frame(page, 0)
    expect(page.locator(".score-bar[tabindex='0']")).to_have_count(1)


def test_two_results_of_other_length_and_rate_are_kept_by_time(page: Page) -> None:
    show(page, "results")
    expect(page.locator(".player-tag-before")).to_have_text("<b>One")
    page.evaluate("studio.seek('player', 1)")
    await_frame(page, 25)
    await_rest(page)
    assert shown(page) == [25, 30]  # 25 and 30 frames a second
    page.evaluate("studio.seek('player', 4)")
    await_frame(page, 100)
    await_rest(page)
    assert shown(page) == [100, 59]
    page.evaluate("studio.seek('player', 0)")
    await_frame(page, 0)
    press(page, "Space")
    page.wait_for_function("document.querySelector('.player').dataset.frame > 5")
    watch_together(page, 800, moved=8, seconds=0.2, rates=(25, 30))
    page.wait_for_function("document.querySelector('.player').dataset.frame > 60")
    assert shown(page)[1] == 59
    assert page.evaluate("document.querySelector('.player-after').paused") is False


def test_of_two_results_the_one_on_the_screen_is_heard(page: Page) -> None:
    muted = "[...document.querySelectorAll('.player video')].map((video) => video.muted)"
    show(page, "results")
    assert page.evaluate(muted) == [False, True]
    page.get_by_role("radio", name="One").check()
    assert page.evaluate(muted) == [True, False]
    press(page, "m")
    assert page.evaluate(muted) == [True, True]
    page.get_by_role("radio", name="Two").check()
    press(page, "m")
    assert page.evaluate(muted) == [False, True]
    show(page, "both")
    page.get_by_role("radio", name="Before").check()
    assert page.evaluate(muted) == [False, True]


def test_missing_files_are_said(page: Page) -> None:
    page.click("#lost")
    expect(page.locator(".player [role=alert]")).to_contain_text("nothing to compare with")
    expect(page.get_by_role("radio", name="Wipe")).to_be_hidden()
    page.click("#gone")
    expect(page.locator(".player [role=alert]")).to_contain_text("can no longer be played")
    show(page, "both")
    expect(page.locator(".player [role=alert]")).to_be_hidden()
    page.click("#none")
    expect(page.locator(".player")).to_be_hidden()


def test_buttons_keep_their_keys(page: Page) -> None:
    show(page, "both")
    page.get_by_role("button", name="Repeat").press("Space")
    expect(page.get_by_role("button", name="Repeat")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".player")).to_have_attribute("data-playing", "false")
    page.get_by_role("radio", name="Wipe").press("ArrowRight")
    expect(page.get_by_role("radio", name="Side by side")).to_be_checked()
    expect(page.locator(".player")).to_have_attribute("data-frame", "0")
    page.locator(".player summary").click()
    expect(page.locator(".player-keys")).to_contain_text("slow motion")
    page.keyboard.press("Escape")
    expect(page.locator(".player-keys dl")).to_be_hidden()


def test_full_screen_and_back(page: Page) -> None:
    show(page, "both")
    press(page, "f")
    expect(page.get_by_role("button", name="Leave full screen")).to_be_visible()
    stage = page.locator(".player-stage").bounding_box()
    assert stage is not None
    assert stage["height"] > 500
    press(page, "f")
    expect(page.get_by_role("button", name="Full screen", exact=False)).to_be_visible()


@pytest.mark.parametrize("name", ["both", "tall"])
def test_fits_a_desk_and_a_phone(page: Page, name: str) -> None:
    show(page, name)
    assert page.locator(".player").bounding_box()["height"] <= 402
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for button in page.locator(".player-button:visible").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 40


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_use_it(page: Page, url: str, theme: str) -> None:
    page.goto(f"{url}?__theme={theme}")
    show(page, "both")
    page.locator(".player summary").click()
    assert find_violations(page) == []
