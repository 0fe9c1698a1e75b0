"""Which columns of the mel belong to which frame: the published inference's rule and training's."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from golden_folder import Check, Family, largest_error

from lipsync.audio.mel import NUM_MELS
from lipsync.engines.wav2lip.chunks import (
    COLUMNS,
    chunk_starts,
    published_starts,
    take_chunks,
)
from lipsync.errors import InputError

_ENDS = 20  # starts that were kept at either end of a long voice
_TRAINING_FPS = Fraction(25)


def check(family: Family) -> Iterator[Check]:
    """Compare every length of voice at every rate, then the windows of training."""
    for case in family.facts["chunks"]:
        vector = f"{family.name}.{case['mel_frames']} columns at {case['fps']:.5g} fps"
        if case["mel_frames"] < COLUMNS:
            yield Check(f"{vector} (refused: no network takes these)", not is_refused(case), 0)
        else:
            yield Check(vector, count_wrong(case), 0)
    windows = family.facts["train_windows"]
    starts = chunk_starts(max(map(int, windows)) + 5, _TRAINING_FPS)
    for frame, window in windows.items():
        vector = f"{family.name}.train_windows.{frame}"
        own = starts[int(frame) + 1]  # a frame's window begins one frame before it
        yield Check(f"{vector}.sync_start", abs(int(own) - window["sync_start"]), 0)
        if window["indiv_starts"] is not None:
            ours = starts[int(frame) : int(frame) + 5]
            error = largest_error(ours, np.array(window["indiv_starts"]))
            yield Check(f"{vector}.indiv_starts", error, 0)


def is_refused(case: dict[str, Any]) -> bool:
    """Say whether a voice that makes a window narrower than the network's is turned away."""
    try:
        published_starts(case["mel_frames"], case["fps"])
    except InputError:
        return True
    return False


def count_wrong(case: dict[str, Any]) -> int:
    """Count what differs: how many windows, where each begins, what is in it, what is shown."""
    count = case["mel_frames"]
    starts = published_starts(count, case["fps"])
    kept = starts if case["starts_complete"] else np.concatenate([starts[:_ENDS], starts[-_ENDS:]])
    columns = np.tile(np.arange(count, dtype=np.float32), (NUM_MELS, 1))
    chunks = take_chunks(columns, starts)[:, 0]
    wrong = [
        len(starts) != case["chunks"],
        not np.array_equal(kept, case["starts"]),
        not np.array_equal(chunks[:, 0, 0], starts),
        chunks[-1].shape != (NUM_MELS, case["last_len"]),
        min(len(starts), 40) != case["frames_used_of_40"],
    ]
    return sum(wrong)
