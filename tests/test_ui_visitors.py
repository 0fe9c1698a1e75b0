"""A visitor's token: long, the server's own, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from lipsync.ui.visitors import connect_visitor, make_visitor_state, new_visitor, read_visitor


def test_tokens_are_long_and_differ() -> None:
    tokens = {new_visitor() for _ in range(50)}
    assert len(tokens) == 50
    assert {len(token) for token in tokens} == {43}


def test_own_token_comes_back() -> None:
    token = new_visitor()
    assert read_visitor(token) == token


@pytest.mark.parametrize(
    "value",
    ["", None, 7, True, [], {"a": 1}, "a", "a" * 44, "../" + "a" * 40, "é" * 43, "a" * 43 + "\n"],
)
def test_anything_else_makes_a_new_visitor(value: Any) -> None:
    tokens = {read_visitor(value) for _ in range(2)}
    assert len(tokens) == 2
    assert all(read_visitor(token) == token for token in tokens)


def test_browser_keeps_it_under_one_key_across_restarts() -> None:
    first, second = make_visitor_state(), make_visitor_state()
    assert (first.storage_key, first.secret) == (second.storage_key, second.secret)
    assert first.default_value == "", "a default would be one token for everybody"


def test_load_is_no_endpoint() -> None:
    with gr.Blocks() as screen:
        connect_visitor(screen, make_visitor_state())
    assert screen.get_api_info()["named_endpoints"] == {}
    assert screen.get_api_info()["unnamed_endpoints"] == {}
