"""The columns of the draft engine's features, one row per output frame."""

from __future__ import annotations

OPENING, WIDTH, CLOSURE, ACTIVITY, LABIODENTAL = range(5)
