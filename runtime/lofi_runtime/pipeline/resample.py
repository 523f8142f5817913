"""The one resampler: soxr at high quality."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def resample(samples: Floats, from_rate: int, to_rate: int) -> Floats:
    """Resample (channels, samples) from one rate to another, in Hz.

    Returns:
        float32 (channels, about samples * to_rate / from_rate); `samples` itself at equal rates.
    """
    if from_rate == to_rate:
        return samples
    import soxr

    resampled = soxr.resample(samples.T, from_rate, to_rate, quality="HQ").T
    return np.ascontiguousarray(resampled, dtype=np.float32)
