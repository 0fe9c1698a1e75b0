"""The sync judge's mel: filters, mel, linear spectrum, silence, and which columns a window has.

Or, where the family has arrays only, the mel that Wav2Lip's networks hear.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from conformance_wav2lip import check_mel
from golden_folder import Check, Family, Skip, largest_error
from golden_sound import read_wave

from lipsync.audio.mel import mel_filters, sync_amplitudes, sync_columns, sync_level, sync_mel

LEVEL = 1e-4  # on a scale from -4 to 4
HOP = 200  # samples per column


def check(family: Family) -> Iterator[Check | Skip]:
    """Compare everything that was recorded of one voice."""
    facts = family.facts
    if "source" not in facts:
        yield from check_mel(family)
        return
    path = family.clips / facts["source"]
    if not path.exists():
        yield Skip(family.name, f"there is no {path.name} among the clips")
        return
    samples = read_wave(path)[slice(*facts["samples"])]
    filters = mel_filters(800, 55.0, 7600.0)
    mel = sync_mel(samples)
    linear = np.concatenate([sync_level(block) for block in sync_amplitudes(samples)], axis=1)
    silence = sync_mel(np.zeros(HOP * (facts["silence"]["shape"][1] - 1), np.float32))
    windows = [sync_columns(int(frame)) for frame in facts["windows"]]
    columns = np.array([[window.start, window.stop] for window in windows])
    arrays = {
        "mel": (mel, LEVEL),
        "linear_frames_0_50_100": (linear[:, [0, 50, 100]], LEVEL),
        "mel_basis_row_sums": (filters.sum(axis=1), 1e-6),
        "mel_basis_argmax": (filters.argmax(axis=1), 0),
        "mel_basis_rows_0_40_79": (filters[[0, 40, 79]], 1e-6),
    }
    for name, (ours, tolerance) in arrays.items():
        recorded = family.arrays[name]
        yield Check(f"{family.name}.{name}", largest_error(ours, recorded), tolerance)
    numbers = {
        "shape": (np.array(mel.shape), facts["shape"], 0),
        "rows_mean": (mel.mean(axis=1), facts["rows_mean"], LEVEL),
        "linear_mean": (linear.mean(), facts["linear_stats"]["mean"], LEVEL),
        "silence": (silence, np.full(facts["silence"]["shape"], -4.0), 0),
        "windows": (columns, list(facts["windows"].values()), 0),
    }
    for name, (ours, stated, tolerance) in numbers.items():
        error = largest_error(np.asarray(ours), np.asarray(stated))
        yield Check(f"{family.name}.{name}", error, tolerance)
