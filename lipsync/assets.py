"""Where the files that ship with the program lie."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"


def asset_path(name: str) -> Path:
    """Return the path of a bundled file; a missing one is a broken installation."""
    path = ASSETS / name
    if not path.is_file():
        raise FileNotFoundError(f"bundled file {name} is missing from {ASSETS}: reinstall")
    return path
