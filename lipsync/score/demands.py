"""What every judge demands of a clip: a sound, and a second of the face."""

from __future__ import annotations

import numpy as np

from lipsync.errors import InputError

_LEAST_SECONDS = 1.0  # of visible face
_SILENT_DB = -60.0


def require_sound(samples: np.ndarray) -> None:
    """Raise InputError where (N,) float32 samples are silent."""
    loudest = 20 * np.log10(np.abs(samples).max(initial=0.0) + 1e-9)
    if loudest < _SILENT_DB:
        raise InputError("The sound is silent, so there is nothing to compare the mouth with.")


def require_face(seconds: float) -> None:
    """Raise InputError where the face is visible for less than a second."""
    if seconds < _LEAST_SECONDS:
        raise InputError(
            f"The face is visible for only {seconds:.1f} s; a score needs 1 s or more."
        )
