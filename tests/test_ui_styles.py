"""Style sheets as Gradio serves them: it rewrites every selector to stay inside the app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SCREEN = Path(__file__).resolve().parents[1] / "lipsync" / "ui"
SHEETS = sorted(SCREEN.rglob("*.css"))


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_a_dark_rule_has_one_selector(sheet: Path) -> None:
    """In ``.dark a, .dark b {…}`` Gradio moves the first .dark to the front, and b never fits."""
    code = re.sub(r"/\*.*?\*/", "", sheet.read_text("utf-8"), flags=re.DOTALL)
    lists = [rule for rule in re.findall(r"([^{}]+)\{", code) if ".dark" in rule and "," in rule]
    assert lists == []


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_nothing_is_fetched_from_elsewhere(sheet: Path) -> None:
    assert re.findall(r"@import|https?:|url\((?!['\"]?data:)", sheet.read_text("utf-8")) == []
