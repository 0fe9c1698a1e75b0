"""Accessibility of a page as axe-core sees it: what keeps people from reading or using it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

_GRAVE = ("serious", "critical")
_RUN = "options => axe.run(document, options)"
_OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


@dataclass(frozen=True)
class Violation:
    """One element that breaks one rule."""

    rule: str  # axe's name for it, such as "color-contrast"
    impact: str  # "serious" or "critical"
    target: str  # CSS selector of the element
    html: str  # how the element begins
    reason: str

    def __str__(self) -> str:
        return f"{self.rule} ({self.impact}) at {self.target}: {self.reason}\n    {self.html}"


def find_violations(page: Page, impacts: tuple[str, ...] = _GRAVE) -> list[Violation]:
    """Return what in `page`, as it stands now, breaks a WCAG 2.2 AA rule or a common practice.

    `impacts` are the weights asked for, out of ``minor moderate serious critical``.
    """
    from axe_playwright_python.base import AXE_SCRIPT

    page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(_RUN, _OPTIONS)["violations"]
    return [
        Violation(
            rule=violation["id"],
            impact=node["impact"],
            target=" ".join(map(str, node["target"])),
            html=node["html"][:160],
            reason="; ".join(
                check["message"] for kind in ("any", "all", "none") for check in node[kind]
            ),
        )
        for violation in found
        for node in violation["nodes"]
        if node["impact"] in impacts
    ]
