"""The studio as a visitor meets it: the real app, opened in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from playwright.sync_api import Browser, Page, expect
from served_app import ServedApp

JOB_SECONDS = 120
DESK, PHONE = (1366, 768), (360, 740)


@contextmanager
def open_studio(
    app: ServedApp,
    browser: Browser,
    size: tuple[int, int] = DESK,
    query: str = "",
    **options: object,
) -> Iterator[Page]:
    """Open the studio as a visitor nobody has seen before; its example is in place."""
    screen = {"width": size[0], "height": size[1]}
    with browser.new_context(viewport=screen, **options) as context, context.new_page() as page:
        page.goto(app.url + query)
        await_ready(page)
        yield page


def await_ready(page: Page) -> None:
    """Wait until the example is in place and looked through."""
    expect(page.locator("#clip-view .clip-face img")).to_be_visible(timeout=60_000)
    expect(page.locator("#voice-view audio")).to_be_visible(timeout=30_000)


def choose(page: Page, field: str, path: Path) -> None:
    """Put a file into an upload field instead of what it holds."""
    clear = page.locator(f"#{field} button[aria-label]")
    if clear.count():
        clear.first.click()
    page.set_input_files(f"#{field} input[type=file]", path)
    expect(page.locator(f"#{field}")).to_contain_text(path.stem[:3], timeout=20_000)


def await_score(page: Page) -> None:
    """Wait until the stage shows a judged result."""
    expect(page.locator("#score [data-testid=confidence]")).to_be_visible(
        timeout=JOB_SECONDS * 1000
    )


def await_comparison(page: Page) -> None:
    """Wait until everything that stands beside a result is there."""
    expect(page.locator("#make-both")).to_be_visible(timeout=JOB_SECONDS * 1000)
    expect(page.locator("#cancel")).to_be_disabled(timeout=JOB_SECONDS * 1000)


class KeepsFolders(Protocol):
    """An app whose job folders can be looked at."""

    def job_folders(self) -> list[Path]: ...


def await_empty(app: KeepsFolders, seconds: float) -> None:
    """Wait until no job has a folder any more."""
    deadline = time.monotonic() + seconds
    while app.job_folders():
        assert time.monotonic() < deadline, f"left behind: {app.job_folders()}"
        time.sleep(0.02)
