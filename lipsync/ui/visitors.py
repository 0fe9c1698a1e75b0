"""Who a visitor is: a long random token that the browser keeps, so that a reload is still them.

The token is all it takes to read a visitor's history. It travels in the body of a request, never
in an address, and is neither logged nor written to disk as it is.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

import gradio as gr
from gradio.events import Dependency

from lipsync.ui.events import AT_ONCE

_TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes as `token_urlsafe` writes them
_STORAGE_KEY = "lipsync-studio-visitor"
# Gradio sends this word to every browser, so it hides nothing. It stays the same so that what the
# browser keeps can still be read after a restart of the app.
_STORAGE_WORD = "lipsync-studio"


def make_visitor_state() -> gr.BrowserState:
    """Return the component that holds the visitor's token; it is empty before `connect_visitor`."""
    return gr.BrowserState("", storage_key=_STORAGE_KEY, secret=_STORAGE_WORD)


def new_visitor() -> str:
    """Return a token that nobody can guess, 43 letters, digits, dashes and underscores."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def read_visitor(value: Any) -> str:
    """Return the token that a browser sent; anything that is none makes a new visitor.

    A browser without a token, or with a forged one of the wrong form, so meets an empty history
    instead of an error, and a job it starts is nobody else's.
    """
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return value
    return new_visitor()


def hash_visitor(visitor: str) -> str:
    """Return what stands for a visitor's token on the disk, 64 hexadecimal digits."""
    return hashlib.sha256(visitor.encode()).hexdigest()


def connect_visitor(screen: gr.Blocks, state: gr.BrowserState) -> Dependency:
    """Give every page that loads `screen` its token; ``.then(…)`` follows once it is there."""
    return screen.load(read_visitor, state, state, **AT_ONCE)
