"""How the screen's own events run: seen by no client, and without a flicker."""

from __future__ import annotations

from typing import Any

from lipsync.ui.line import DEVICE

# no program can call them, and nothing is drawn over the components while they run
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
# whatever works on the one device waits in one line, programs' jobs included
IN_LINE: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": DEVICE}
ON_DEVICE: dict[str, Any] = {**QUIET, **IN_LINE}
