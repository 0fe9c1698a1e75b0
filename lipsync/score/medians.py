"""Running medians: robust against single outliers, and honest at the ends if one wants."""

from __future__ import annotations

import numpy as np


def running_median(values: np.ndarray, width: int, beyond: float = np.nan) -> np.ndarray:
    """Return (N,) float64: the median of the `width` (odd) values around each of (N,).

    NaN is no value and stays none. What lies `beyond` the ends counts too unless it is NaN.
    """
    values = np.asarray(values, np.float64)
    padded = np.pad(values, width // 2, constant_values=beyond)
    around = np.lib.stride_tricks.sliding_window_view(padded, width)
    smooth = np.full_like(values, np.nan)
    is_known = np.isfinite(values)
    smooth[is_known] = np.nanmedian(around[is_known], axis=1)
    return smooth
