"""Multi-resolution STFT distance between two sounds of one length.

Yamamoto, Song & Kim, "Parallel WaveGAN", ICASSP 2020, equations 4 to 6; the terms are those of
Arık, Jun & Diamos, "Fast Spectrogram Inversion", 2018. Sizes, the floor under the magnitudes and
how resolutions and channels are joined are the defaults of auraloss 0.4's
`MultiResolutionSTFTLoss`, so that values can be held against those published with it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Resolution:
    """One short-time Fourier transform.

    Args:
        fft_size: in samples.
        hop: from one frame to the next, in samples.
        window: length of the periodic Hann window, in samples, in the middle of `fft_size`.
    """

    fft_size: int
    hop: int
    window: int


RESOLUTIONS = (Resolution(512, 50, 240), Resolution(1024, 120, 600), Resolution(2048, 240, 1200))
"""The paper's (its table 1), which auraloss keeps at any sample rate."""

SHORTEST_SAMPLES = max(one.fft_size for one in RESOLUTIONS) // 2 + 1
"""The ends are mirrored by half a transform, which needs one sample more than that."""

_POWER_FLOOR = 1e-8  # auraloss's `eps`
_BLOCK = 64  # frames at a time: their spectra stay in the processor's cache
_PIECE = 64 * _BLOCK  # frames for one thread


@dataclass(frozen=True)
class StftDistance:
    """What two sounds differ by; 0 and 0 for the same sound.

    Args:
        convergence: the Frobenius norm of the magnitudes' difference over that of the reference's
            magnitudes: loud partials weigh most.
        log_magnitude: mean absolute difference of the magnitudes' natural logarithms: quiet bins
            weigh as much as loud ones.
    """

    convergence: float
    log_magnitude: float

    @property
    def total(self) -> float:
        """Both terms at equal weight."""
        return self.convergence + self.log_magnitude


def stft_distance(
    found: Samples, reference: Samples, resolutions: Sequence[Resolution] = RESOLUTIONS
) -> StftDistance:
    """Measure the distance of a sound from a reference, the mean of all resolutions.

    Each channel has its own transforms; the norms and the mean run over all channels together, so
    a channel that is silent in the reference does not divide by nothing.

    Args:
        found: float32 (channels, samples), at least `SHORTEST_SAMPLES`.
        reference: of the same shape.
        resolutions: to measure at.
    """
    both = _stacked(found, reference)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [_distance_at(both, resolution, pool) for resolution in resolutions]
    return StftDistance(
        sum(part.convergence for part in parts) / len(parts),
        sum(part.log_magnitude for part in parts) / len(parts),
    )


def framed(samples: Samples, fft_size: int, hop: int, window: int) -> Samples:
    """Cut sound into frames around 0, hop, 2 hop, ... with both ends mirrored.

    Args:
        samples: float32 (channels, samples), more than half of `fft_size`.
        fft_size: of the transform that the frames are for; the window lies in its middle.
        hop: from one frame to the next, in samples.
        window: how much of a frame is kept, in samples.

    Returns:
        A view, (channels, frames, window); frames = 1 + samples // hop.
    """
    import numpy as np

    half = fft_size // 2
    padded = np.pad(samples, ((0, 0), (half, half)), mode="reflect")
    begin = (fft_size - window) // 2
    frames = np.lib.stride_tricks.sliding_window_view(padded, fft_size, axis=1)[:, ::hop]
    kept: Samples = frames[..., begin : begin + window]
    return kept


def hann(size: int) -> Samples:
    """Give the periodic Hann window."""
    import numpy as np

    return np.hanning(size + 1)[:-1].astype(np.float32)


def powers(frames: Samples, window: Samples, fft_size: int) -> Samples:
    """Transform frames; gives |X|^2, float32 (channels, frames, fft_size // 2 + 1)."""
    import numpy as np
    from scipy.fft import rfft

    spectra = rfft(frames * window, fft_size, axis=-1, overwrite_x=True)
    squared: Samples = np.square(spectra.real)
    squared += np.square(spectra.imag)
    return squared


def _stacked(found: Samples, reference: Samples) -> Samples:
    import numpy as np

    return np.concatenate([found, reference]).astype(np.float32, copy=False)


def _distance_at(both: Samples, resolution: Resolution, pool: Executor) -> StftDistance:
    """Measure at one resolution; the first half of the channels is found, the second reference."""
    frames = framed(both, resolution.fft_size, resolution.hop, resolution.window)
    pieces = [frames[:, first : first + _PIECE] for first in range(0, frames.shape[1], _PIECE)]
    # Summed in the order of the pieces: the number of threads changes no digit.
    sums = list(pool.map(lambda piece: _sums(piece, resolution), pieces))
    difference, energy, logarithms = (math.fsum(parts) for parts in zip(*sums, strict=True))
    count = len(both) // 2 * frames.shape[1] * (resolution.fft_size // 2 + 1)
    return StftDistance(math.sqrt(difference / energy), logarithms / count)


def _sums(frames: Samples, resolution: Resolution) -> tuple[float, float, float]:
    """Give sums over frames: |found - reference|^2, |reference|^2 and the logarithms' distance."""
    import numpy as np

    channels = len(frames) // 2
    window = hann(resolution.window)
    difference = energy = logarithms = 0.0
    for first in range(0, frames.shape[1], _BLOCK):
        power = powers(frames[:, first : first + _BLOCK], window, resolution.fft_size)
        np.maximum(power, np.float32(_POWER_FLOOR), out=power)
        energy += float(power[channels:].sum(dtype=np.float64))
        # log|X| - log|Y| is half of log(|X|^2 / |Y|^2): one logarithm for two.
        ratio = np.log(power[:channels] / power[channels:])
        logarithms += 0.5 * float(np.abs(ratio, out=ratio).sum(dtype=np.float64))
        magnitude = np.sqrt(power, out=power)
        apart = magnitude[:channels] - magnitude[channels:]
        difference += float(np.square(apart, out=apart).sum(dtype=np.float64))
    return difference, energy, logarithms
