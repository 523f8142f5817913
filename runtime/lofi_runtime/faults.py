"""What is wrong with a finished sound, for a listener: silence, clipping, repetition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.repetition import MOST_REPEATED, repeated_share

Floats = npt.NDArray[np.float32]

_FULL_SCALE = 0.999
_CLIPPED_SHARE = 1e-3
_SILENT_PEAK = 1e-4
_SILENCE_DB = -40.0
_SILENT_SHARE = 0.5
_FRAME = SAMPLE_RATE // 20


def faults(samples: Floats) -> tuple[str, ...]:
    """Say what is wrong with mastered sound; nothing where nothing is.

    Args:
        samples: float32 (2, samples) at 48 kHz, finite.
    """
    return (*clipping(samples), *silence(samples), *repetition(samples))


def clipping(samples: Floats) -> tuple[str, ...]:
    """Say whether more than a thousandth of the samples stand at full scale, at any rate."""
    clipped = float(np.mean(np.abs(samples) >= _FULL_SCALE))
    return (f"distorted: {clipped:.1%} of the samples are clipped",) * (clipped > _CLIPPED_SHARE)


def silence(samples: Floats) -> tuple[str, ...]:
    """Say whether all or most of the sound is silent."""
    if float(np.max(np.abs(samples), initial=0.0)) < _SILENT_PEAK:
        return ("silent",)
    silent = _silent_share(samples)
    return (f"mostly silent: {silent:.0%} of the track",) * (silent > _SILENT_SHARE)


def repetition(samples: Floats) -> tuple[str, ...]:
    """Say whether the sound is stuck in a loop of a second or two."""
    share, lag_sec = repeated_share(samples)
    if share <= MOST_REPEATED:
        return ()
    return (f"repetitive: {share:.0%} of the track repeats what was heard {lag_sec:.1f} s before",)


def _silent_share(samples: Floats) -> float:
    """Share of 50 ms frames more than 40 dB below the loudest one."""
    count = samples.shape[-1] // _FRAME
    frames = samples[:, : count * _FRAME].reshape(2, count, _FRAME)
    power = np.mean(np.square(frames, dtype=np.float64), axis=(0, 2))
    return float(np.mean(power < np.max(power) * 10.0 ** (_SILENCE_DB / 10.0)))
