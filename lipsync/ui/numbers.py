"""What a client calls a number: values come as JSON, may be forged, and true is no 1 here."""

from __future__ import annotations

from typing import Any

_MOST = 1e15  # leaves out nan, infinity and whole numbers that no float can hold


def is_number(value: Any) -> bool:
    """Return whether `value` is a finite int or float of a size that can be reckoned with."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _MOST


def is_whole(value: Any) -> bool:
    """Return whether `value` is an int (20.0 is none), of any size."""
    return isinstance(value, int) and not isinstance(value, bool)
