"""What only the samples themselves tell: clipping, peaks, clicks."""

from __future__ import annotations

import numpy as np

from lofi_engine.metrics.embeddings.sound_window import (
    SILENCE,
    Window,
    decibels,
    treble_power,
)

_NEAR_PEAK = 0.944  # half a dB below
_BLOCK, _ROW = 48, 40  # clicks: blocks of 1 ms, held against the 40 ms around them
_CLICK = 12.0


def measure_samples(window: Window) -> dict[str, float]:
    """Measure how samples crowd below the peak, the crest factor and clicks."""
    sizes = np.abs(window.samples)
    peaks = sizes.max(axis=1, keepdims=True)
    crowd = (sizes >= _NEAR_PEAK * peaks).mean() if peaks.min() > 0 else 1.0
    crest = np.square(peaks.max(), dtype=np.float64) + SILENCE
    return {
        "peak-crowd": float(np.log10(crowd + 1e-6)),
        "crest": float(decibels(crest / (window.mean_square + SILENCE))),
        "clicks": _clicks_a_second(window),
    }


def _clicks_a_second(window: Window) -> float:
    """Give the square root of how often a millisecond stands out above 4 kHz."""
    treble = treble_power(window)
    blocks = treble[: treble.size // _BLOCK * _BLOCK].reshape(-1, _BLOCK).sum(axis=1)
    rows = blocks[: blocks.size // _ROW * _ROW].reshape(-1, _ROW)
    floor = 1e-6 * window.mean_square * _BLOCK + SILENCE
    sudden = rows > _CLICK * np.median(rows, axis=1, keepdims=True) + floor
    return float(np.sqrt(sudden.sum() / window.duration_sec))
