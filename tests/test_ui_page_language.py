"""The page says its language before Gradio asks, and nothing else is touched on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import gradio as gr
import pytest

from lipsync.ui.guard import Message, Receive, Scope, Send
from lipsync.ui.page_language import PageLanguage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

HTML = b"text/html; charset=utf-8"
PAGE = b'<!doctype html><html lang="en"><head><title>x</title></head><p>\xe4\xbd\xa0</p></html>'


def serve(
    parts: list[bytes],
    kind: bytes = HTML,
    status: int = 200,
    accepted: bytes = b"zh-TW,en;q=0.5",
    method: str = "GET",
) -> list[Message]:
    """Return what leaves the middleware for an answer that comes in `parts`."""
    sent: list[Message] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        length = str(sum(map(len, parts))).encode()
        headers = [(b"content-type", kind), (b"content-length", length)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for part in parts:
            more = part is not parts[-1]
            await send({"type": "http.response.body", "body": part, "more_body": more})

    async def receive() -> Message:
        raise AssertionError("nobody needs the request's body")

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"accept-language", accepted)] if accepted else []
    scope: Scope = {"type": "http", "method": method, "path": "/", "headers": headers}
    asyncio.run(PageLanguage(answer)(scope, receive, send))
    return sent


def body_of(sent: list[Message]) -> bytes:
    return b"".join(message["body"] for message in sent[1:])


def headers_of(sent: list[Message]) -> dict[bytes, bytes]:
    return dict(sent[0]["headers"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("cuts", [[], [5], [33, 36]], ids=["whole", "two", "within the tag"])
def test_the_page_begins_with_its_language(method: str, cuts: list[int]) -> None:
    places = [0, *cuts, len(PAGE)]
    parts = [PAGE[a:b] for a, b in pairwise(places)]
    sent = serve(parts, method=method)
    before, head, after = body_of(sent).partition(b"<head>")
    script, end, rest = after.partition(b"</script>")
    assert script.startswith(b"<script>")
    assert b'"zh-CN"' in script
    assert before + head + rest == PAGE
    assert end
    assert headers_of(sent)[b"content-length"] == str(len(body_of(sent))).encode()
    assert b"accept-language" in headers_of(sent)[b"vary"].lower()
    assert not sent[-1].get("more_body", False)


@pytest.mark.parametrize(("accepted", "locale"), [(b"", b"en"), (b"de", b"en"), (b"zh", b"zh-CN")])
def test_it_is_the_language_that_handlers_speak(accepted: bytes, locale: bytes) -> None:
    assert b'"' + locale + b'"' in body_of(serve([PAGE], accepted=accepted))


@pytest.mark.parametrize(
    ("parts", "kind", "status"),
    [
        ([PAGE], b"application/octet-stream", 200),  # a visitor's file
        ([PAGE[:10], PAGE[10:]], b"text/plain; charset=utf-8", 200),
        ([PAGE], HTML, 206),
        ([PAGE], HTML, 404),
        ([b"{}"], b"application/json", 200),
        ([b"<p>no page</p>"], HTML, 200),
        ([b""], HTML, 200),
    ],
)
def test_whatever_is_no_page_passes_as_it_is(parts: list[bytes], kind: bytes, status: int) -> None:
    sent = serve(parts, kind, status)
    assert body_of(sent) == b"".join(parts)
    assert headers_of(sent)[b"content-length"] == str(len(b"".join(parts))).encode()
    assert b"vary" not in headers_of(sent)


def test_what_is_no_page_is_not_held_back() -> None:
    """A film goes through piece by piece, an event as soon as it is there."""
    sent = serve([b"a", b"b", b"c"], b"text/event-stream")
    assert [message.get("body") for message in sent] == [None, b"a", b"b", b"c"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from served_blocks import serve_blocks

    with gr.Blocks() as blocks:
        gr.File(elem_id="of-gradio")
    with serve_blocks(blocks) as served:
        yield served


@pytest.mark.browser
@pytest.mark.parametrize("reader", ["zh-CN", "zh-TW", "zh-HK"])
def test_a_slow_line_changes_no_language(browser: Browser, address: str, reader: str) -> None:
    """Gradio's components keep the words they began with, so these must have come by then."""
    from playwright.sync_api import expect

    loaded = []

    def delay(route: Route) -> None:
        loaded.append(route.request.url.rpartition("/")[2][: len("zh-CN")])
        time.sleep(2)
        route.continue_()

    context = browser.new_context(locale=reader)
    try:
        page = context.new_page()
        page.route("**/assets/zh-*.js", delay)
        page.goto(address)
        expect(page.locator("#of-gradio")).to_contain_text("点击上传", timeout=15_000)
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        assert loaded == ["zh-CN"]
    finally:
        context.close()


@pytest.mark.browser
def test_a_page_of_somebody_elses_speaks_english(browser: Browser, address: str) -> None:
    """A page that holds the app as an element of its own comes from another server."""
    from playwright.sync_api import expect

    def strip(route: Route) -> None:
        answer = route.fetch()
        head, script, rest = answer.text().partition("<script>Object.defineProperties")
        assert script
        route.fulfill(response=answer, body=head + rest.partition("</script>")[2])

    context = browser.new_context(locale="fr")
    try:
        page = context.new_page()
        page.route(address, strip)
        page.goto(address)
        expect(page.locator("#of-gradio")).to_be_visible()
        assert page.evaluate("[navigator.language, studio.locale]") == ["fr", "en"]
    finally:
        context.close()
