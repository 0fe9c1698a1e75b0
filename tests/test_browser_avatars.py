"""Avatars in a real browser: made, put to use, made to speak and deleted, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from axe import find_violations
from conftest import Ffmpeg
from served_app import CHROMIUM, ServedApp, serve_app

from lipsync.avatar.store import AvatarStore
from lipsync.example import example_voice

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Locator, Page, Route, expect
from studio_page import JOB_SECONDS, PHONE, await_comparison, choose, open_studio

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    """The app on a person's own machine."""
    with serve_app(tmp_path_factory.mktemp("own")) as served:
        yield served


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    """The app among strangers."""
    with serve_app(tmp_path_factory.mktemp("shared"), LIPSYNC_HOSTED="1") as served:
        yield served


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, face_clip: Path) -> Path:
    path = tmp_path_factory.mktemp("clip") / "mona_2024.mp4"
    path.write_bytes(face_clip.read_bytes())
    return path


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> Path:
    return ffmpeg("-i", example_voice(), "-t", 1.2, tmp_path_factory.mktemp("voice") / "brief.wav")


def open_tab(page: Page, name: str) -> None:
    page.locator(f"#{name}-tab-button").click()


def create(page: Page, clip: Path, name: str | None = None) -> None:
    """Make an avatar, called as its clip suggests where there is no `name`."""
    open_tab(page, "avatars")
    choose(page, "avatar-clip", clip)
    field = page.locator("#avatar-name input, #avatar-name textarea")
    expect(field).to_have_value("mona 2024")
    if name is not None:
        field.fill(name)
    page.click("#avatar-create")
    expect(page.locator("#avatar-status [role=progressbar]")).to_be_visible()
    expect(page.locator("#avatar-cancel")).to_be_enabled()
    ready = re.compile(r"is ready|已准备就绪")
    expect(page.locator("#avatar-status")).to_contain_text(ready, timeout=JOB_SECONDS * 1000)
    expect(field).to_have_value("")
    expect(page.locator("#avatar-cancel")).to_be_disabled()


def card(page: Page, name: str) -> Locator:
    return page.locator(".avatars-card", has=page.get_by_role("heading", name=name, exact=True))


def chosen(page: Page) -> Locator:
    return page.locator("#avatar-choice select")


def forge(route: Route, said: str, forged: str) -> None:
    """Let a request say `forged` where the page says `said`."""
    told = route.request.post_data if route.request.method == "POST" else None
    route.continue_(post_data=told.replace(said, forged) if told else None)


def test_avatar_is_made_speaks_and_goes(
    own: ServedApp, browser: Browser, clip: Path, voice: Path
) -> None:
    with open_studio(own, browser) as page:
        expect(chosen(page)).to_be_hidden()
        open_tab(page, "avatars")
        expect(page.get_by_text("No avatars yet")).to_be_visible()
        create(page, clip)
        # the command line has it now
        (mona,) = AvatarStore(own.folder / "home").list()
        assert mona.name == "mona 2024"
        # and the server hands out nothing of it, not even to whoever knows the whole address
        for kept in (mona.video, mona.thumbnail, mona.video.with_name("manifest.json")):
            answer = page.request.get(f"{own.url}gradio_api/file={quote(str(kept))}")
            assert answer.status in (403, 404), kept
        picture = card(page, "mona 2024").locator("img")
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
        card(page, "mona 2024").get_by_role("button", name="Use mona 2024").click()
        expect(page.locator("#clip")).to_contain_text("mona 2024")
        expect(chosen(page)).to_have_value("mona 2024")
        expect(page.locator("#avatar-choice [role=status]")).to_contain_text("mona 2024 is in use")
        expect(page.locator("#clip-view video")).to_be_visible()
        expect(page.locator("#clip-view .clip-face img")).to_be_visible(timeout=60_000)
        choose(page, "voice", voice)
        page.click("#generate")
        await_comparison(page)
        open_tab(page, "history")
        expect(page.locator("#history .history-card")).to_contain_text("mona 2024.mp4")

        open_tab(page, "avatars")
        card(page, "mona 2024").locator("[data-act=delete]").press("Enter")
        assert page.locator(":focus").text_content() == "Keep it"
        page.keyboard.press("Escape")
        assert page.locator(":focus").get_attribute("data-act") == "delete"
        page.keyboard.press("Enter")
        card(page, "mona 2024").get_by_role("button", name="Yes, delete").click()
        page.get_by_role("status").get_by_text("mona 2024 was deleted.").wait_for()
        assert "No avatars yet" in (page.locator(":focus").text_content() or "")
        assert AvatarStore(own.folder / "home").list() == ()
        open_tab(page, "sync")
        expect(chosen(page)).to_be_hidden()
        expect(page.locator("#clip")).to_contain_text("mona 2024")  # as any other upload


def test_main_tab_chooses_among_avatars_and_forgets_them_for_another_clip(
    own: ServedApp, browser: Browser, clip: Path
) -> None:
    with open_studio(own, browser) as page:
        create(page, clip, "Mona")
        create(page, clip, "Lisa")
        open_tab(page, "sync")
        expect(chosen(page).locator("option")).to_have_text(["None", "Lisa", "Mona"])
        chosen(page).select_option("Mona")
        expect(page.locator("#clip")).to_contain_text("Mona")
        expect(page.locator("#avatar-choice [role=status]")).to_contain_text("Mona is in use")
        chosen(page).select_option("None")
        expect(page.locator("#clip")).not_to_contain_text("Mona")
        chosen(page).select_option("Lisa")
        expect(page.locator("#clip")).to_contain_text("Lisa")
        choose(page, "clip", clip)
        expect(chosen(page)).to_have_value("")
        expect(page.locator("#avatar-choice [role=status]")).to_be_empty()
        open_tab(page, "avatars")
        for name in ("Lisa", "Mona"):
            card(page, name).locator("[data-act=delete]").click()
            card(page, name).locator("[data-act=yes]").click()
            page.get_by_text(f"{name} was deleted.").wait_for()


def test_cancelling_leaves_nothing(own: ServedApp, browser: Browser, ffmpeg: Ffmpeg) -> None:
    long = ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=60", "-pix_fmt", "yuv420p"),
        *("-preset", "ultrafast", own.folder / "long.mp4"),
    )
    with open_studio(own, browser) as page:
        open_tab(page, "avatars")
        choose(page, "avatar-clip", long)
        field = page.locator("#avatar-name input, #avatar-name textarea")
        expect(field).to_have_value("long", timeout=20_000)
        page.click("#avatar-create")
        expect(page.locator("#avatar-status .stage")).to_contain_text(
            "Creating long", timeout=20_000
        )
        page.click("#avatar-cancel")
        expect(page.locator("#avatar-status")).to_contain_text("Cancelled. Nothing was kept.")
        expect(page.locator("#avatar-create")).to_be_enabled()
        expect(page.locator(".avatars-card")).to_have_count(0)
        field.fill("../long")
        field.press("Enter")
        expect(page.locator("#avatar-status [role=alert]")).to_contain_text("cannot be an avatar's")
        # what was brought stays, to be mended
        expect(field).to_have_value("../long")
        expect(page.locator("#avatar-clip")).to_contain_text("long")
    assert AvatarStore(own.folder / "home").list() == ()


def test_strangers_do_not_meet_each_others_avatars(
    shared: ServedApp, browser: Browser, clip: Path
) -> None:
    with open_studio(shared, browser) as ada, open_studio(shared, browser) as bob:
        create(ada, clip, "Mona")
        ada.reload()
        expect(chosen(ada).locator("option")).to_have_text(["None", "Mona"], timeout=20_000)
        bob.reload()
        open_tab(bob, "avatars")
        expect(bob.get_by_text("No avatars yet")).to_be_visible()
        expect(bob.get_by_text("Only this browser can see them")).to_be_visible()
        create(bob, clip, "Lisa")
        # nor where Bob's browser asks for one by its name
        bob.route("**/gradio_api/**", lambda route: forge(route, "Lisa", "Mona"))
        card(bob, "Lisa").locator("[data-act=delete]").click()
        card(bob, "Lisa").locator("[data-act=yes]").click()
        expect(bob.locator(".avatars-troubles")).to_contain_text("There is no avatar called 'Mona'")
        card(bob, "Lisa").locator("[data-act=use]").click()
        expect(bob.locator(".avatars-troubles")).to_contain_text("There is no avatar called 'Mona'")
        open_tab(ada, "avatars")
        expect(ada.locator(".avatars-name")).to_have_text(["Mona"])
    assert not (shared.folder / "home").exists()


@pytest.mark.parametrize(
    ("locale", "scheme"), [("en-US", "light"), ("en-US", "dark"), ("zh-CN", "light")]
)
def test_every_state_is_readable_on_a_phone(
    shared: ServedApp, browser: Browser, clip: Path, locale: str, scheme: str
) -> None:
    with open_studio(shared, browser, PHONE, locale=locale, color_scheme=scheme) as page:

        def look(state: str) -> None:
            page.wait_for_timeout(400)  # colours have faded in
            assert [str(one) for one in find_violations(page)] == [], state
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{state} scrolls sideways by {wide} px"
            if locale == "zh-CN":
                said = page.locator("#avatars-tab, #avatar-choice").all_inner_texts()
                ours = re.sub("mona 2024|fps|kB|MB|mp4", "", " ".join(said))
                assert re.findall("[A-Za-z]{2,}", ours) == [], state

        open_tab(page, "avatars")
        expect(page.locator(".avatars-empty")).to_be_visible()
        look("empty")
        create(page, clip)
        look("list")
        page.locator("[data-act=delete]").click()
        look("question")
        page.keyboard.press("Escape")
        page.locator("[data-act=use]").click()
        expect(chosen(page)).to_be_in_viewport()
        expect(chosen(page)).to_have_value("mona 2024")
        look("in use")
