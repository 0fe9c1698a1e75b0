"""The flagship preset from the screen, with small stand-ins for its checkpoints in one's folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from served_app import CHROMIUM
from served_blocks import serve_blocks
from standin_models import make_standins
from torch import nn

from lipsync.engines.latentsync.settings import LatentSyncSettings
from lipsync.pipeline import LipSyncPipeline
from lipsync.residence import Residence
from lipsync.ui.layout import build_ui
from lipsync.weights import ModelStore

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect
from studio_page import await_comparison, await_empty, await_ready, choose

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

STEPS, GUIDANCE = 3, 1.7
FLAGSHIP = "LatentSync 1.5"


@dataclass
class Watch:
    """Counts the passes of the UNet, and holds one of them up where that is asked for."""

    passes: list[int] = field(default_factory=list)  # how many pictures each one was given
    hold_at: int | None = None
    is_held: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, network: nn.Module, given: tuple[Any, ...]) -> None:
        self.passes.append(len(given[0]))
        if len(self.passes) == self.hold_at:
            self.is_held.set()
            assert self.may_go_on.wait(60)


@dataclass(frozen=True)
class Served:
    url: str
    folder: Path
    pipeline: LipSyncPipeline
    watch: Watch

    def job_folders(self) -> list[Path]:
        """Return the folders of jobs that are running, or were left behind."""
        return list(self.folder.glob("jobs/job-*"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("flagship")
    store = ModelStore(folder / "cache", make_standins(folder / "own"))
    pipeline = LipSyncPipeline(residence=Residence(store, device="cpu"))
    watch = Watch()
    with closing(pipeline), pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "served"))
        settings = LatentSyncSettings()
        pipeline.load("latentsync", {})
        name = f"UNet {settings.checkpoint}"
        with pipeline.residence.use(name, lambda: pytest.fail("it was loaded already")) as unet:
            unet.register_forward_pre_hook(watch)
        screen = build_ui(
            lambda _: pipeline, job_root=folder / "jobs", residence=pipeline.residence
        )
        with serve_blocks(screen) as url:
            yield Served(url, folder, pipeline, watch)


@pytest.fixture
def page(served: Served, browser: Browser, short_voice: Path) -> Iterator[Page]:
    """The studio with the flagship chosen, few steps, and a short voice."""
    with browser.new_context() as context, context.new_page() as page:
        page.goto(served.url)
        await_ready(page)
        choose(page, "voice", short_voice)
        page.get_by_role("radio", name=FLAGSHIP).click()
        expect(page.get_by_role("radio", name=FLAGSHIP)).to_be_checked()
        page.locator("#advanced > button, #advanced .label-wrap").first.click()
        for slider, value in (("steps", STEPS), ("guidance", GUIDANCE)):
            number = page.locator(f"#{slider} input[type=number]")
            expect(number).to_be_enabled()
            number.fill(str(value))
            page.wait_for_function(
                "([name, value]) => new URL(location.href).searchParams.get(name) === value",
                arg=[slider, str(value)],
            )
        yield page


def test_sliders_reach_the_sampler(served: Served, page: Page, tmp_path: Path) -> None:
    before = len(served.watch.passes)
    page.click("#generate")
    expect(page.locator("#status [role=progressbar]")).to_be_visible()
    await_comparison(page)
    with page.expect_download() as download:
        page.click("#record")
    download.value.save_as(tmp_path / "record.json")
    settings = json.loads((tmp_path / "record.json").read_text("utf-8"))["settings"]
    assert (settings["preset"], settings["engine"]) == ("latentsync-1.5", "latentsync")
    sampled = settings["engine_settings"]
    assert (sampled["steps"], sampled["guidance"]) == (STEPS, GUIDANCE)
    passes = served.watch.passes[before:]
    assert passes
    assert len(passes) % STEPS == 0  # so many for every window
    assert set(passes) == {2}  # with guidance, with and without the voice
    assert served.job_folders() == []

    page.get_by_role("tab", name="Models").click()
    parts = page.locator(".models-part")
    expect(parts).to_have_count(3)
    expect(parts.filter(has_text="UNet latentsync-1.5")).to_contain_text("idle")
    assert served.pipeline.residence.loads.total() == 3  # none of them again for the job


def test_cancel_stops_within_one_step_and_leaves_nothing(served: Served, page: Page) -> None:
    watch, kept = served.watch, set(served.folder.glob("served/**/*.mp4"))
    watch.passes.clear()
    watch.hold_at = 2  # the second step of the first window
    page.click("#generate")
    assert watch.is_held.wait(60)
    page.click("#cancel")
    expect(page.locator("#status")).to_contain_text("ancelled", timeout=20_000)
    watch.may_go_on.set()
    await_empty(served, 20)
    assert len(watch.passes) == 2  # the one that was held up, and none after it
    assert set(served.folder.glob("served/**/*.mp4")) == kept
    expect(page.locator("#generate")).to_be_enabled()
    assert all(part.users == 0 for part in served.pipeline.parts())
