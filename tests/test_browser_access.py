"""What Gradio itself puts on the page can be read, named and operated by everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from axe import find_violations
from served_blocks import serve_blocks

from lipsync.example import example_voice
from lipsync.ui.words import words_in

pytest.importorskip("playwright", reason="playwright is not installed")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

READERS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "chinese": {"locale": "zh-CN"},
    "phone": {"viewport": {"width": 360, "height": 740}},
}


def complain(kind: str) -> None:
    gr.Warning(kind)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A page with every kind of Gradio component that the studio uses."""
    with gr.Blocks(title="Lipsync Studio") as blocks:
        gr.HTML("<h1>Lipsync Studio</h1>")
        with gr.Tabs():
            for number in range(9):  # more than a phone is wide
                with gr.Tab(f"部分 {number}", elem_id=f"tab-{number}"):
                    if number:
                        continue
                    gr.File(label="空", elem_id="empty")
                    gr.File(str(example_voice()), label="满", elem_id="full")
                    gr.Slider(1, 9, label="步数", elem_id="slider")
                    gr.Number(3, label="种子")
                    gr.Dropdown(["甲", "乙"], label="选择")
                    gr.Checkbox(label="标记")
                    with gr.Accordion("更多", open=True):
                        kind = gr.Textbox(label="文字", elem_id="kind")
                    complaint = gr.Button("开始", variant="primary", elem_id="complain")
                    gr.DownloadButton("下载", str(example_voice()))
        complaint.click(complain, kind, None)
    with serve_blocks(blocks) as served:
        yield served


@pytest.fixture(params=READERS)
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(**READERS[request.param])
    page = context.new_page()
    page.goto(address)
    page.get_by_role("slider", name="步数", exact=True).wait_for()
    yield page
    context.close()


def test_no_grave_violation(page: Page) -> None:
    assert [str(violation) for violation in find_violations(page)] == []


def test_the_chosen_tab_can_be_read(page: Page) -> None:
    """axe-core leaves this one out where the line under the tab confuses it."""
    colours = page.evaluate(
        """() => [document.querySelector("[role=tab][aria-selected=true]"), document.body].map(
            (one, n) => getComputedStyle(one)[n ? "backgroundColor" : "color"].match(/\\d+/g)
        )"""
    )
    text, ground = (luminance([int(value) for value in colour[:3]]) for colour in colours)
    assert (max(text, ground) + 0.05) / (min(text, ground) + 0.05) >= 4.5


def luminance(colour: list[int]) -> float:
    """Return the relative luminance of an sRGB colour, as WCAG defines it."""
    parts = [value / 255 for value in colour]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_fields_are_named_by_their_labels(page: Page) -> None:
    """The labels here are Chinese, so what is left of Gradio's English shows."""
    from playwright.sync_api import expect

    locale = page.evaluate("studio.locale")
    words = words_in(locale)
    expect(page.get_by_role("spinbutton", name="步数", exact=True)).to_be_visible()
    upload = {"en": "空: Drop File Here - or - Click to Upload", "zh-CN": "空: 将文件拖放到此处"}
    expect(page.get_by_role("button", name=upload[locale])).to_be_visible()
    reset = words("access.reset", field="步数")
    expect(page.get_by_role("button", name=reset, exact=True)).to_be_visible()
    if locale == "zh-CN":
        names = page.eval_on_selector_all(
            "[aria-label]", "all => all.map(one => one.getAttribute('aria-label'))"
        )
        names = [name.replace(example_voice().name, "") for name in names]
        assert [name for name in names if re.search("[A-Za-z]{2}", name)] == []


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("Connection errored out. ", "access.connection"),
        ("Invalid file type: .txt. Only .mp4 allowed.", "access.file-type"),
        ("File size exceeds the maximum allowed size of 500 mb", "access.too-large"),
    ],
)
def test_messages_of_gradio_are_put_plainly(
    browser: Browser, address: str, said: str, key: str
) -> None:
    from playwright.sync_api import expect

    context = browser.new_context(locale="zh-CN")
    try:
        page = context.new_page()
        page.goto(address)
        page.fill("#kind textarea", said)
        page.click("#complain")
        toast = page.get_by_test_id("toast-body")
        expect(toast).to_contain_text(words_in("zh-CN")(key))
        expect(toast).to_contain_text(words_in("zh-CN")("access.note"))
        assert re.findall("[A-Za-z]{2,}", toast.inner_text()) == []
        expect(page.get_by_role("button", name="关闭", exact=True)).to_be_visible()
    finally:
        context.close()


def test_an_upload_says_so_in_the_visitors_language(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    big = tmp_path / "big.bin"
    big.write_bytes(bytes(3_000_000))
    context = browser.new_context(locale="zh-CN")
    try:
        page = context.new_page()
        page.goto(address)
        page.locator("#empty input[type=file]").wait_for(state="attached")
        page.route("**/upload?*", lambda route: None)  # the upload stays on its way
        page.set_input_files("#empty input[type=file]", big)
        expect(page.locator("#empty .uploading")).to_have_text(
            words_in("zh-CN")("access.uploading", count=1)
        )
    finally:
        context.close()


def test_the_finder_finds(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content('<html lang="en"><title>x</title><main><h1>a</h1><img src="data:,"></main>')
    found = find_violations(page)
    assert [(one.rule, one.impact, one.target) for one in found] == [
        ("image-alt", "critical", "img")
    ]
    assert "alt" in found[0].reason
    page.close()
