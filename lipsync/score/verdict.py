"""What a judge's numbers mean in plain words; each judge brings the limits of its own scale."""

from __future__ import annotations

from dataclasses import dataclass

FRAME_MS = 40  # every judge looks 25 times a second


@dataclass(frozen=True)
class Limits:
    """From where on a judge's numbers mean something, on its own scale."""

    lowest: float  # confidence; below it the mouth does not follow this voice
    good: float  # confidence; from here on it follows it well
    offset: int = 2  # frames, from which on a shift is told; one is normal in real footage


def find_verdict(confidence: float, offset: int, limits: Limits) -> str:
    """Return in words what a `confidence` at an `offset` in frames of 40 ms says."""
    if confidence < limits.lowest:
        return "out of sync: the mouth does not follow this voice"
    if abs(offset) >= limits.offset:
        way = "early" if offset > 0 else "late"
        return f"shifted: the sound comes {abs(offset) * FRAME_MS} ms too {way}"
    return "in sync" if confidence >= limits.good else "roughly in sync"
