"""The peak between samples, by plain oversampling: ITU-R BS.1770-4, annex 2."""

from __future__ import annotations

import numpy as np


def true_peak_dbfs(samples: np.ndarray, times: int = 4) -> float:
    """Give the highest peak of (2, samples) after oversampling, in dBFS."""
    from scipy.signal import resample_poly

    finer = resample_poly(samples.astype(np.float64), times, 1, axis=1)
    return float(20.0 * np.log10(np.abs(finer).max() + 1e-12))
