"""Log-mel distance in dB: how far two sounds of one length are apart, band by band.

The bands are those the vocoder is given (ACE-Step: 128 from 40 Hz to 16 kHz, 2048-sample windows
every 512), at the sound's own sample rate. Above 48 kHz windows and hops are twice as long, above
96 kHz four times, so that no band falls between two bins.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from lofi_engine.metrics.stft import framed, hann, powers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

BANDS = 128
FFT_SIZE = 2048
HOP = 512
LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
FLOOR_DB = -100.0
"""What lies lower in a band counts as this: full scale's mean square is 0 dB, the dither of 16-bit
files some -119 dB a band. So silence written in two ways is no difference."""

_MOST_RATE = 48_000  # that FFT_SIZE is enough for
_BLOCK = 128


def mel_distance_db(found: Samples, reference: Samples, sample_rate: int) -> float:
    """Give the mean absolute difference of levels, over all channels, frames and bands.

    A sound that is 6 dB louder everywhere is 6 dB away; 0.0 for the same sound.

    Args:
        found: float32 (channels, samples), at least `shortest_samples`.
        reference: of the same shape.
        sample_rate: of both, in Hz.
    """
    import numpy as np

    both = np.concatenate([found, reference]).astype(np.float32, copy=False)
    frames = _framed(both, sample_rate)
    total, count = 0.0, 0
    for first in range(0, frames.shape[1], _BLOCK):
        levels = _levels(frames[:, first : first + _BLOCK], sample_rate)
        apart = np.abs(levels[: len(found)] - levels[len(found) :])
        total += float(apart.sum(dtype=np.float64))
        count += apart.size
    return total / count


def mel_levels_db(samples: Samples, sample_rate: int) -> Samples:
    """Measure the level in every band, not below `FLOOR_DB`.

    A band's power is the mean square of what lies in it; neighbouring bands share what is between
    their middles, so that all bands add up to the sound's mean square from 40 Hz to 16 kHz.

    Args:
        samples: float32 (channels, samples), at least `shortest_samples`.
        sample_rate: in Hz.

    Returns:
        float32 (channels, frames, bands) in dB of full scale's mean square.
    """
    return _levels(_framed(samples, sample_rate), sample_rate)


def shortest_samples(sample_rate: int) -> int:
    """Give the fewest samples that can be measured at a sample rate in Hz."""
    return _times(sample_rate) * FFT_SIZE // 2 + 1


def _times(sample_rate: int) -> int:
    """Give by what windows and hops are longer."""
    return int(2 ** max(0, math.ceil(math.log2(sample_rate / _MOST_RATE))))


def _framed(samples: Samples, sample_rate: int) -> Samples:
    size = _times(sample_rate) * FFT_SIZE
    return framed(samples, size, _times(sample_rate) * HOP, size)


def _levels(frames: Samples, sample_rate: int) -> Samples:
    import numpy as np

    size = frames.shape[-1]
    banded = powers(frames, hann(size), size) @ _filters(sample_rate, size)
    floor = np.float32(10.0 ** (FLOOR_DB / 10.0))
    levels: Samples = np.float32(10.0) * np.log10(np.maximum(banded, floor))
    return levels


@lru_cache(maxsize=8)
def _filters(sample_rate: int, fft_size: int) -> Samples:
    """Give (bins, bands): triangles of height 1, times what makes |X|^2 a mean square."""
    import numpy as np
    from librosa.filters import mel

    triangles = mel(
        sr=sample_rate,
        n_fft=fft_size,
        n_mels=BANDS,
        fmin=LOWEST_HZ,
        fmax=min(HIGHEST_HZ, sample_rate / 2),
        norm=None,
    )
    window = hann(fft_size).astype(np.float64)
    scale = 2.0 / (fft_size * float(np.square(window).sum()))
    return np.ascontiguousarray(triangles.T * scale, np.float32)
