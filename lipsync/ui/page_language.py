"""The page says which language it speaks, before any script of Gradio's asks the browser.

Gradio reads ``navigator.language`` while it starts, and most of its components keep for good the
words they began with. Left to itself it speaks German to de and Traditional Chinese to zh-TW,
beside labels of ours in another language. So the page answers in the browser's place, with the
locale that the handlers choose for the same visitor (`words.choose_locale`); scripts read it there.
"""

from __future__ import annotations

from lipsync.ui.guard import Application, Message, Receive, Scope, Send
from lipsync.ui.words import choose_locale

_HEAD = b"<head>"
_SCRIPT = (
    "<script>Object.defineProperties(navigator, "
    '{{language: {{value: "{0}"}}, languages: {{value: Object.freeze(["{0}"])}}}});</script>'
)


class PageLanguage:
    """ASGI middleware that puts the locale at the head of every HTML page; see the module.

    It must stand outside the `Guard`, by which no visitor's file is a page any more, and inside
    whatever compresses.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and what answers it back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accepted: bytes = dict(scope["headers"]).get(b"accept-language", b"")
        script = _SCRIPT.format(choose_locale(accepted.decode("latin-1"))).encode()
        start: Message = {}  # of a page, kept until its length is known
        page = bytearray()

        async def spoken(message: Message) -> None:
            if message["type"] == "http.response.start" and _begins_page(message):
                start.update(message)
            elif not start:
                await send(message)
            else:
                page.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _send_page(send, start, bytes(page), script)

        await self._app(scope, receive, spoken)


def _begins_page(message: Message) -> bool:
    kind: bytes = dict(message["headers"]).get(b"content-type", b"")
    return message["status"] == 200 and kind.startswith(b"text/html")


async def _send_page(send: Send, start: Message, page: bytes, script: bytes) -> None:
    before, head, after = page.partition(_HEAD)
    if head:
        page = before + head + script + after
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(page)).encode()))
        headers.append((b"vary", b"Accept-Language"))
        start = {**start, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": page})
