"""The resampler before the DCAE: the one its latents were learned through.

A short windowed sinc dulls the highest mel bands a little, and the DCAE was trained on such audio:
a sharper resampler (soxr) moves its latents by 4 %. Everything else is resampled by soxr.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99


def resample_as_trained(samples: Floats, from_rate: int, to_rate: int) -> Floats:
    """Resample (channels, samples) from one rate to another, in Hz.

    Returns:
        float32 (channels, ceil(samples * to_rate / from_rate)); `samples` itself at equal rates.
    """
    if from_rate == to_rate:
        return samples
    from scipy.signal import resample_poly

    common = gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    # The library's stubs leave out that `window` may be the filter itself.
    resampled = resample_poly(samples, up, down, axis=1, window=_taps(up, down))  # type: ignore[call-overload]
    return np.ascontiguousarray(resampled, dtype=np.float32)


@lru_cache(maxsize=4)
def _taps(up: int, down: int) -> Floats:
    """Give the low-pass at the rate both rates divide: a sinc under a Hann window.

    It cuts at 0.99 of the lower rate's half and ends at its sixth zero on either side, as
    `torchaudio.functional.resample` has it by default (Smith, "Digital Audio Resampling", 2002).
    """
    cutoff = min(up, down) * _ROLLOFF
    reach = ceil(_ZERO_CROSSINGS * up * down / cutoff)
    crossings = np.arange(-reach, reach + 1) * (cutoff / (up * down))
    crossings = crossings.clip(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = np.cos(np.pi * crossings / (2 * _ZERO_CROSSINGS)) ** 2
    # The library multiplies by `up`, for the zeros it puts between samples.
    taps: Floats = (np.sinc(crossings) * window * cutoff / (up * down)).astype(np.float32)
    return taps
