"""Loudness after ITU-R BS.1770-4, for stereo at 48 kHz."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48_000
"""The filters below hold for this rate only."""

_BLOCK = SAMPLE_RATE * 4 // 10
_STEP = _BLOCK // 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0

# The two filters of the K weighting, as the recommendation's tables 1 and 2 give them.
_SHELF_B = (1.53512485958697, -2.69169618940638, 1.19839281085285)
_SHELF_A = (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS_B = (1.0, -2.0, 1.0)
_HIGH_PASS_A = (1.0, -1.99004745483398, 0.99007225036621)


def integrated_loudness(samples: npt.NDArray[np.float32]) -> float:
    """Measure the gated loudness of stereo (2, samples) at 48 kHz, in LUFS.

    Gives -inf for silence and for less than one block of 0.4 s.
    """
    from scipy.signal import lfilter

    weighted = lfilter(_SHELF_B, _SHELF_A, samples.astype(np.float64), axis=-1)
    weighted = lfilter(_HIGH_PASS_B, _HIGH_PASS_A, weighted, axis=-1)
    power = _block_power(np.asarray(weighted))
    power = power[_lufs(power) > _ABSOLUTE_GATE_LUFS]
    if not power.size:
        return -np.inf
    gate = float(_lufs(power.mean())) + _RELATIVE_GATE_LU
    return float(_lufs(power[_lufs(power) > gate].mean()))


def _block_power(weighted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean square of 0.4 s blocks, three quarters overlapping, channels added."""
    count = max((weighted.shape[-1] - _BLOCK) // _STEP + 1, 0)
    sums = np.concatenate([[0.0], np.cumsum(np.square(weighted).sum(axis=0))])
    starts = np.arange(count) * _STEP
    power: npt.NDArray[np.float64] = (sums[starts + _BLOCK] - sums[starts]) / _BLOCK
    return np.maximum(power, 0.0)


def _lufs(power: npt.NDArray[np.float64] | np.float64) -> npt.NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10.0 * np.log10(power))
