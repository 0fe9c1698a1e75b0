"""Which clips share a recording: excerpts of one another, or two faces made to speak one sound.

Published examples travel from repository to repository under new names. A clip that is cut from
another one is no fresh witness, so such clips are fitted and held out together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import resample_poly

from lipsync.train.clips import TalkingClip

_SLOWER = 4  # 4 kHz tells recordings apart well enough
_SHARED = 0.3  # correlation at the best shift; excerpts reach .5 to 1, other voices stay under .2


@dataclass(frozen=True)
class Separation:
    """Clips that may be learnt from, and those that are too near the held-out ones."""

    clips: tuple[TalkingClip, ...]
    refused: dict[str, str]  # clip name -> why


def share_sound(one: TalkingClip, other: TalkingClip) -> bool:
    """Tell whether a stretch of one clip's sound is in the other, whatever its place there."""
    first, second = _fingerprint(one), _fingerprint(other)
    length = next_fast_len(len(first) + len(second), real=True)
    product = rfft(first, length) * np.conj(rfft(second, length))
    return bool(np.abs(irfft(product, length)).max() > _SHARED)


def separate(clips: Sequence[TalkingClip], held_out: Sequence[TalkingClip]) -> Separation:
    """Take away the clips that share sound with one of the held-out ones."""
    kept, refused = [], {}
    for clip in clips:
        near = [other.name for other in held_out if share_sound(clip, other)]
        if near:
            refused[clip.name] = f"shares its sound with the held-out {', '.join(near)}"
        else:
            kept.append(clip)
    return Separation(tuple(kept), refused)


def name_groups(clips: Sequence[TalkingClip]) -> dict[str, str]:
    """Return clip name -> name of its group's first clip; groups share sound, however remotely."""
    groups: dict[str, str] = {}
    for index, clip in enumerate(clips):
        near = {groups[other.name] for other in clips[:index] if share_sound(clip, other)}
        first = min(near, default=clip.name)
        groups = {name: first if group in near else group for name, group in groups.items()}
        groups[clip.name] = first
    return groups


def _fingerprint(clip: TalkingClip) -> np.ndarray:
    """Return the sound at 4 kHz, its low end weakened, with unit norm."""
    slow = np.diff(resample_poly(clip.samples, 1, _SLOWER))
    return np.asarray(slow / max(float(np.linalg.norm(slow)), 1e-9))
