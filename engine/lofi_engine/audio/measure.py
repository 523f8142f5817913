"""Measures a source before any gain: what the quality limits of a recipe are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

FRAME_SEC = 0.05
SILENCE_BELOW_DB = 40.0
"""A frame this far below the track's own loudness is silent."""
SILENCE_FLOOR_DBFS = -70.0
"""A frame below this is silent in any track."""
FULL_SCALE = 32_766.5 / 32_768
"""The top step of 16 bits: what a converter or an editor clips to."""
_FLAT_AT_FULL_SCALE = 3
_FLAT_BELOW_FULL_SCALE = 6
_FLAT_WITHIN = 1 - 2**-14
_CEILING_DBFS = -120.0


@dataclass(frozen=True)
class Loudness:
    """What a source measures.

    Args:
        peak_dbfs: the largest absolute sample.
        rms_dbfs: of the frames that are not silent, offset removed.
        clipped: share of samples that stand flat at the top, 0 to 1.
        silent: share of frames that are silent, 0 to 1.
        dc_offset: the largest channel mean, signed.
    """

    peak_dbfs: float
    rms_dbfs: float
    clipped: float
    silent: float
    dc_offset: float


def measure(samples: Samples, sample_rate: int) -> Loudness:
    """Measure (channels, samples) as decoded, before any gain."""
    import numpy as np

    means = samples.mean(axis=1, dtype=np.float64)
    dc_offset = float(means[np.argmax(np.abs(means))])
    rms_dbfs, silent = _silence(samples, means.astype(np.float32), sample_rate)
    return Loudness(
        peak_dbfs=round(decibels(float(np.abs(samples).max())), 3),
        rms_dbfs=round(rms_dbfs, 3),
        clipped=round(clipped_share(samples), 7),
        silent=round(silent, 5),
        dc_offset=round(dc_offset, 6),
    )


def decibels(amplitude: float) -> float:
    """Give an amplitude in dBFS, -120 at the least."""
    import math

    return max(_CEILING_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else _CEILING_DBFS


def clipped_share(samples: Samples) -> float:
    """Give the share of samples in flat tops, 0 to 1.

    A flat top is three or more neighbours at full scale or above it, or six or more at the
    channel's own peak: a file clipped first and turned down later still shows. A loud peak that
    was not clipped touches full scale for a sample or two and does not count.

    Args:
        samples: (channels, samples).
    """
    import numpy as np

    clipped = 0
    for channel in samples:
        for sign in (1.0, -1.0):
            signed = channel * np.float32(sign)
            peak = float(signed.max())
            at_full_scale = _in_runs(signed >= FULL_SCALE, _FLAT_AT_FULL_SCALE)
            if peak >= FULL_SCALE:
                clipped += at_full_scale
            elif peak > 0.1:  # below, the steps of 16 bits are wider than the tolerance
                clipped += _in_runs(signed >= peak * _FLAT_WITHIN, _FLAT_BELOW_FULL_SCALE)
    return clipped / samples.size


def _in_runs(flags: npt.NDArray[np.bool_], shortest: int) -> int:
    import numpy as np

    edges = np.diff(np.concatenate(([False], flags, [False])).astype(np.int8))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths[lengths >= shortest].sum())


def _silence(samples: Samples, means: Samples, sample_rate: int) -> tuple[float, float]:
    """Give the loudness of what sounds (dBFS) and the share of frames that do not."""
    import numpy as np

    frame = max(1, round(FRAME_SEC * sample_rate))
    count = max(1, samples.shape[1] // frame)
    powers = np.zeros(count)
    for channel, mean in zip(samples, means, strict=True):
        framed = (channel[: count * frame] - mean).reshape(count, -1)
        powers += np.square(framed, dtype=np.float64).mean(axis=1)
    levels = 10 * np.log10(powers / len(samples) + 1e-12)
    sounding = levels > SILENCE_FLOOR_DBFS
    if not sounding.any():
        return _CEILING_DBFS, 1.0
    rms_dbfs = float(10 * np.log10((10 ** (levels[sounding] / 10)).mean()))
    silent = levels <= max(SILENCE_FLOOR_DBFS, rms_dbfs - SILENCE_BELOW_DB)
    return rms_dbfs, float(silent.mean())


def bandwidth_hz(samples: Samples, sample_rate: int) -> int:
    """Find where the sound ends: the highest frequency within 80 dB of the strongest one.

    A file re-encoded from a lower bitrate ends at that encoder's low-pass. So does lofi that was
    filtered on purpose: this is for a note to a human, never for refusing.

    Args:
        samples: (channels, samples).
        sample_rate: of the samples.
    """
    import numpy as np

    size, windows = 4096, 64
    mid = samples.mean(axis=0)
    if len(mid) < size:
        return sample_rate // 2
    starts = np.linspace(0, len(mid) - size, windows).astype(int)
    framed = np.stack([mid[start : start + size] for start in starts]) * np.hanning(size)
    spectrum = np.square(np.abs(np.fft.rfft(framed, axis=1))).mean(axis=0)
    smooth = np.convolve(spectrum, np.full(9, 1 / 9), mode="same")
    heard = np.flatnonzero(smooth > smooth.max() * 1e-8)
    if not len(heard) or smooth.max() == 0:
        return 0
    return round(float(heard[-1]) * sample_rate / size)
