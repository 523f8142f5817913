"""What a source does at the top: flat runs at full scale, and peaks between its samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]
    Flags = npt.NDArray[np.bool_]

FULL_SCALE = 32_766.5 / 32_768
"""The top step of 16 bits: what a converter or an editor clips to."""

_FLAT_AT_FULL_SCALE = 3
_FLAT_BELOW_FULL_SCALE = 6
_FLAT_WITHIN = 1 - 2**-14
_STEPS_ARE_FINE_ABOVE = 0.1  # below, the steps of 16 bits are wider than the tolerance

_TAPS = 24
_KAISER_BETA = 7.0
_ROW = 32
_STRETCH = 8 * _ROW
_STRETCHES_AT_ONCE = 256  # what is made of them stays in the cache


@dataclass(frozen=True)
class TruePeak:
    """What lies between the samples.

    Args:
        amplitude: the largest absolute value, of samples and between them; 1 is full scale.
        over: share of the points between samples that are above full scale, 0 to 1.
    """

    amplitude: float
    over: float


class Tops:
    """The highest and the lowest sample of every short stretch, looked up once for all.

    Args:
        samples: (channels, samples).
    """

    def __init__(self, samples: Samples) -> None:
        import numpy as np

        length = samples.shape[1]
        self.rows = -(-length // _STRETCH)
        whole = length // _STRETCH
        shape = (len(samples), self.rows)
        self.highs, self.lows = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        framed = samples[:, : whole * _STRETCH].reshape(len(samples), whole, _STRETCH)
        self.highs[:, :whole], self.lows[:, :whole] = framed.max(axis=2), framed.min(axis=2)
        if whole < self.rows:
            rest = samples[:, whole * _STRETCH :]
            self.highs[:, whole], self.lows[:, whole] = rest.max(axis=1), rest.min(axis=1)

    @property
    def peak(self) -> float:
        """The largest absolute sample."""
        return max(float(self.highs.max()), -float(self.lows.min()))


def clipped_share(samples: Samples, tops: Tops | None = None) -> float:
    """Give the share of samples in flat tops, 0 to 1.

    A flat top is three or more neighbours at full scale or above it, or six or more at the
    channel's own peak: a file clipped first and turned down later still shows. A loud peak that
    was not clipped touches full scale for a sample or two and does not count.

    Args:
        samples: (channels, samples).
        tops: of the samples, where they are known.
    """
    tops = tops or Tops(samples)
    clipped = 0
    for channel, highs, lows in zip(samples, tops.highs, tops.lows, strict=True):
        highest, lowest = float(highs.max()), float(lows.min())
        for peak, sign in ((highest, 1), (-lowest, -1)):
            if peak >= FULL_SCALE:
                level, shortest = FULL_SCALE, _FLAT_AT_FULL_SCALE
            elif peak > _STEPS_ARE_FINE_ABOVE:
                level, shortest = peak * _FLAT_WITHIN, _FLAT_BELOW_FULL_SCALE
            else:
                continue
            at_top = channel >= level if sign > 0 else channel <= -level
            clipped += _in_runs(at_top, shortest)
    return clipped / samples.size


def _in_runs(flags: Flags, shortest: int) -> int:
    import numpy as np

    at = np.flatnonzero(flags)
    if len(at) < shortest:
        return 0
    breaks = np.flatnonzero(np.diff(at) > 1) + 1
    lengths = np.diff(np.concatenate(([0], breaks, [len(at)])))
    return int(lengths[lengths >= shortest].sum())


def true_peak(samples: Samples, sample_rate: int, tops: Tops | None = None) -> TruePeak:
    """Measure the peak between samples by ITU-R BS.1770-4, annex 2.

    Four times oversampled (twice from 96 kHz, not at all from 192, as the annex allows) by a
    Kaiser-windowed sinc of 24 taps a phase, where the annex's example has 12. Only stretches that
    can hold the peak or an over are: a sum of 24 products cannot exceed the largest of its samples
    times the sum of the taps' absolute values.

    Args:
        samples: (channels, samples).
        sample_rate: of the samples.
        tops: of the samples, where they are known.
    """
    tops = tops or Tops(samples)
    factor = 4 if sample_rate < 96_000 else 2 if sample_rate < 192_000 else 1
    amplitude = tops.peak
    if factor == 1 or amplitude == 0:
        return TruePeak(amplitude, 0.0)
    overs = 0
    least = min(amplitude, 1.0) / _interpolator(factor)[1]
    for channel, highs, lows in zip(samples, tops.highs, tops.lows, strict=True):
        highest, over = _between(channel, factor, _reaching(highs, lows, least))
        amplitude = max(amplitude, highest)
        overs += over
    return TruePeak(amplitude, overs / (samples.size * (factor - 1)))


def _between(channel: Samples, factor: int, stretches: Flags) -> tuple[float, int]:
    """Give the largest value between samples in these stretches, and how many are over 1."""
    import numpy as np

    matrix, _ = _interpolator(factor)
    before, after = _TAPS // 2 - 1, _TAPS // 2
    highest, overs = 0.0, 0
    for first in range(0, len(stretches), _STRETCHES_AT_ONCE):
        wanted = stretches[first : first + _STRETCHES_AT_ONCE]
        if not wanted.any():
            continue
        start, end = first * _STRETCH, (first + len(wanted)) * _STRETCH
        piece = channel[max(0, start - before) : end + after]
        missing = (max(0, before - start), max(0, end + after - len(channel)))
        padded = np.pad(piece, missing) if any(missing) else piece
        step = padded.strides[0]
        shape = (len(wanted), _STRETCH // _ROW, _ROW + _TAPS - 1)
        strides = (_STRETCH * step, _ROW * step, step)
        windows = np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
        between = windows[wanted].reshape(-1, shape[2]) @ matrix
        peak = max(float(between.max()), -float(between.min()))
        highest = max(highest, peak)
        if peak > 1:
            overs += int(np.count_nonzero(np.abs(between) > 1))
    return highest, overs


def _reaching(highs: Samples, lows: Samples, level: float) -> Flags:
    """Flag the stretches that reach `level`, and their neighbours, into which the taps reach."""
    import numpy as np

    loud: Flags = np.maximum(highs, -lows) >= level
    near = loud.copy()
    near[1:] |= loud[:-1]
    near[:-1] |= loud[1:]
    return near


@cache
def _interpolator(factor: int) -> tuple[Samples, float]:
    """Give the matrix from a row and its margins to the points between, and its largest gain."""
    import numpy as np

    half = _TAPS // 2
    places = np.arange(1 - half, half + 1)
    taps = []
    for phase in range(1, factor):
        distance = places - phase / factor
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0, 1 - (distance / half) ** 2)))
        tap = np.sinc(distance) * window
        taps.append(tap / tap.sum())
    phases = np.stack(taps, axis=1)
    matrix = np.zeros((_ROW + _TAPS - 1, _ROW * len(taps)), np.float32)
    for sample in range(_ROW):
        columns = slice(sample * len(taps), (sample + 1) * len(taps))
        matrix[sample : sample + _TAPS, columns] = phases
    return matrix, float(np.abs(phases).sum(axis=0).max())
