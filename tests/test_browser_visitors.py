"""Several visitors at once: the line, their own results, and nothing of each other's."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Ffmpeg
from served_app import CHROMIUM, ServedApp, serve_app

from lipsync.example import example_voice

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect
from studio_page import await_comparison, await_empty, await_ready, await_score, choose, open_studio

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    with serve_app(tmp_path_factory.mktemp("app")) as served:
        yield served


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Ffmpeg) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("voices")
    return {
        "brief": ffmpeg("-i", example_voice(), "-t", 1.0, folder / "brief.wav"),
        "long": ffmpeg("-stream_loop", 11, "-i", example_voice(), folder / "long.wav"),
    }


def length(page: Page) -> float:
    page.wait_for_function("document.querySelector('#player video').readyState >= 1")
    return page.evaluate("document.querySelector('#player video').duration")


def status_of(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_two_visitors_get_their_own_results_and_settings(
    app: ServedApp, browser: Browser, voices: dict[str, Path]
) -> None:
    with open_studio(app, browser) as ada, open_studio(app, browser) as bob:
        ada.get_by_role("radio", name="Draft, lively").check()
        choose(bob, "voice", voices["brief"])
        ada.click("#generate")
        expect(ada.locator("#status .stage")).to_have_text(re.compile("Looking|Painting|Listening"))
        bob.click("#generate")
        expect(bob.locator("#status")).to_contain_text("One job before yours", timeout=10_000)
        await_comparison(ada)
        await_comparison(bob)
        assert length(ada) == pytest.approx(5.1, abs=0.2)
        assert length(bob) == pytest.approx(1.0, abs=0.1)
        expect(bob.get_by_role("radio", name="Draft", exact=True)).to_be_checked()
        for page, preset in ((ada, "Draft, lively"), (bob, "Draft")):
            page.reload()
            await_ready(page)
            expect(page.get_by_role("radio", name=preset, exact=True)).to_be_checked()
            page.get_by_role("tab", name="History").click()
            expect(page.locator("#history .history-card")).to_have_count(1)
            expect(page.locator("#history .history-card")).to_contain_text(preset)


def test_files_of_another_visitor_cannot_be_guessed(
    app: ServedApp, browser: Browser, voices: dict[str, Path]
) -> None:
    with open_studio(app, browser) as page:
        choose(page, "voice", voices["brief"])
        page.click("#generate")
        await_comparison(page)
        film = page.evaluate("document.querySelector('#player video').src")
    assert status_of(film) == 200  # whoever has the whole address, as its owner has
    served, _, path = film.partition("file=")
    parts = path.split("/")
    guesses = ["/".join(parts[:end]) for end in range(2, len(parts))]
    guesses += [guess + "/" for guess in guesses]
    guesses.append("/".join([*parts[:-2], "0" * len(parts[-2]), parts[-1]]))
    guesses.append("/".join([*parts[:-1], "..", parts[-2], "other.mp4"]))
    for guess in guesses:
        assert status_of(f"{served}file={guess}") in (403, 404), guess


def test_waiting_visitor_can_cancel_and_leaving_frees_the_slot(
    app: ServedApp, browser: Browser, voices: dict[str, Path]
) -> None:
    with open_studio(app, browser) as second:
        with open_studio(app, browser) as first:
            choose(first, "voice", voices["long"])
            first.click("#generate")
            painting = re.compile("Painting")
            expect(first.locator("#status .stage")).to_have_text(painting, timeout=90_000)
            second.click("#generate")
            place = second.locator("#status .left")
            expect(place).to_contain_text("One job before yours", timeout=10_000)
            expect(place).to_contain_text("to wait")
            second.click("#cancel")
            expect(second.locator("#status")).to_contain_text("Cancelled")
            second.click("#generate")
            expect(second.locator("#status")).to_contain_text("One job before", timeout=10_000)
            assert len(app.job_folders()) == 1
        # the first visitor has left
        expect(second.locator("#status .stage")).not_to_have_text(
            re.compile("Waiting|ready"), timeout=2_000
        )
        await_score(second)
    await_empty(app, 1)


def test_shared_link_restores_settings_and_starts_nothing(app: ServedApp, browser: Browser) -> None:
    link = "?preset=draft-calm&fit=loop&seed=7&softness=0.5&mark=true"
    with open_studio(app, browser, query=link) as page:
        expect(page.get_by_role("radio", name="Draft, calm")).to_be_checked()
        page.get_by_role("button", name="Advanced").click()
        expect(page.locator("#seed input")).to_have_value("7")
        expect(page.locator("#mark input")).to_be_checked()
        assert app.job_folders() == []
        expect(page.locator("#status")).to_contain_text("Your result appears here")
