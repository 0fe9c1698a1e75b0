"""What counts as a number where values may be forged."""

from __future__ import annotations

from typing import Any

import pytest

from lipsync.ui.numbers import is_number, is_whole


@pytest.mark.parametrize("value", [0, -7, 20.0, 1e-300, 10**15])
def test_numbers(value: Any) -> None:
    assert is_number(value)
    assert is_whole(value) == isinstance(value, int)


@pytest.mark.parametrize(
    "value", [True, None, "1", [1], float("nan"), float("inf"), -float("inf"), 10**400]
)
def test_forged_numbers(value: Any) -> None:
    assert not is_number(value)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_no_whole_numbers(value: Any) -> None:
    assert not is_whole(value)
