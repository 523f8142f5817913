"""Loudness by ITU-R BS.1770-4 and a look-ahead limiter: what makes every track sit alike.

For stereo at 48 kHz, in pieces: memory grows by a few bytes a millisecond, whatever the length.
Scipy is imported when something is measured, in the worker.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE

Samples = npt.NDArray[np.float32]

TARGET_LUFS = -14.0
"""Loudness of every track, whichever backend makes it: what streaming services play at.

Lofi's peaks stand 13 to 16 dB above its loudness, so the limiter has a dB or two to do, no more.
"""
PEAK_DBFS = -1.0
"""No peak is above it, between samples neither."""
MAX_GAIN_DB = 20.0
"""A quieter track is raised by this much and no more: what is left is noise."""

_BETWEEN_SAMPLES_DB = 0.3
CEILING = 10.0 ** ((PEAK_DBFS - _BETWEEN_SAMPLES_DB) / 20.0)
"""No sample is above it; sound with as little treble as lofi reaches 0.3 dB more between two."""

_CLOSE_ENOUGH_DB = 0.1
_CHUNK = 1 << 20
_HOP_SEC = 0.1
_LIMIT_BLOCK = 48
_LIMIT_ROWS = 1 << 14


@cache
def _k_weighting() -> npt.NDArray[np.float64]:
    """Return BS.1770's two filters for 48 kHz as second-order sections (2, 6)."""
    shelf = (1.53512485958697, -2.69169618940638, 1.19839281085285)
    shelf_poles = (1.0, -1.69065929318241, 0.73248077421585)
    high_pass = (1.0, -2.0, 1.0)
    high_pass_poles = (1.0, -1.99004745483398, 0.99007225036621)
    return np.array([(*shelf, *shelf_poles), (*high_pass, *high_pass_poles)])


def integrated_loudness(samples: Samples) -> float:
    """Measure the gated loudness of stereo (2, samples) at 48 kHz, in LUFS.

    Gives -inf for silence and for less than one block of 0.4 s.
    """
    from scipy.signal import sosfilt

    hop = int(SAMPLE_RATE * _HOP_SEC)
    chunk = _CHUNK // hop * hop
    hops: list[npt.NDArray[np.float64]] = []
    sections = _k_weighting()
    state = np.zeros((sections.shape[0], samples.shape[0], 2))
    for start in range(0, samples.shape[1] - hop + 1, chunk):
        piece = samples[:, start : start + chunk]
        weighted, state = sosfilt(sections, piece, zi=state)
        whole = weighted.shape[1] // hop
        energy = (weighted[:, : whole * hop] ** 2).reshape(2, whole, hop).mean(axis=2).sum(axis=0)
        hops.append(energy)
    power = np.concatenate(hops) if hops else np.zeros(0)
    if power.size < 4:
        return -np.inf
    blocks = np.convolve(power, np.full(4, 0.25), "valid")
    loud = blocks[blocks > 10.0 ** ((-70.0 + 0.691) / 10.0)]
    if not loud.size:
        return -np.inf
    gated = loud[loud > 0.1 * loud.mean()]
    return float(-0.691 + 10.0 * np.log10(gated.mean()))


def to_target(samples: Samples) -> bool:
    """Bring float32 (2, samples) at 48 kHz to `TARGET_LUFS` with peaks at `CEILING`, in place.

    Limiting costs some loudness, so it is done twice.

    Returns:
        False for what has no loudness to measure, silence or less than 0.4 s: it is only limited.
    """
    left_db = MAX_GAIN_DB
    for _ in range(2):
        loudness = integrated_loudness(samples)
        if not np.isfinite(loudness):
            limit(samples, CEILING)
            return False
        gain_db = min(TARGET_LUFS - loudness, left_db)
        samples *= np.float32(10.0 ** (gain_db / 20.0))
        limit(samples, CEILING)
        left_db -= gain_db
        if abs(gain_db) < _CLOSE_ENOUGH_DB:
            break
    return True


def limit(samples: Samples, ceiling: float) -> None:
    """Hold the peaks of float32 (2, samples) at `ceiling`, in place, without a click.

    The least gain each millisecond needs is held 4 ms to either side and averaged over 7 ms, so it
    is already down when a peak comes, and at no sample above what that sample needs.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    total = samples.shape[1]
    rows = -(-total // _LIMIT_BLOCK)
    peaks = np.zeros(rows, np.float32)
    for row in range(0, rows, _LIMIT_ROWS):
        piece = samples[:, row * _LIMIT_BLOCK : (row + _LIMIT_ROWS) * _LIMIT_BLOCK]
        starts = np.arange(0, piece.shape[1], _LIMIT_BLOCK)
        blocks = np.maximum.reduceat(np.abs(piece), starts, axis=1)
        peaks[row : row + starts.size] = blocks.max(axis=0)
    wanted = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9))
    if wanted.min() >= 1.0:
        return
    gain = uniform_filter1d(minimum_filter1d(wanted, 9), 7)
    centres = (np.arange(rows) + 0.5) * _LIMIT_BLOCK
    for start in range(0, total, _CHUNK):
        piece = samples[:, start : start + _CHUNK]
        position = np.arange(start, start + piece.shape[1])
        piece *= np.interp(position, centres, gain).astype(np.float32)
