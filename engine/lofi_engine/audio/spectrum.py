"""What a track's spectrum says: where its sound ends, and what lies under it all the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]
    Spectrum = npt.NDArray[np.float64]

STEP_DB = 25.0
"""A fall this steep is made by an encoder or a resampler, hardly by a filter meant to be heard."""

_SIZE = 4096
_WINDOWS = 128
_ENDS_BELOW = 1e-8  # 80 dB under the strongest
_SMOOTH_BINS = 9
_GAP_HZ = 300.0  # on either side of a step: no filter is a wall
_SPAN_HZ = 1_000.0
_STEPS_FROM_HZ = 5_000.0  # no encoder cuts lower; music's own tones fall as steeply there
_NOTHING = 1e-16
_SOUNDING = 1e-9  # of full scale, -90 dB: a digital silence says nothing of the noise
_QUIET_SHARE = 0.1
_FLOOR_DBFS = -120.0


@dataclass(frozen=True)
class SpectrumFacts:
    """What was found.

    Args:
        bandwidth_hz: the highest frequency within 80 dB of the strongest one, or where the level
            falls by 25 dB and more in one step, as under an encoder's low-pass.
        cutoff_db: the largest fall in one step, from 5 kHz on.
        noise_floor_dbfs: level of what is under everything, all the time.
    """

    bandwidth_hz: int
    cutoff_db: float
    noise_floor_dbfs: float


def spectrum_facts(samples: Samples, sample_rate: int) -> SpectrumFacts:
    """Measure 128 windows spread over a track.

    A file re-encoded from a lower bitrate ends at that encoder's low-pass. So does lofi that was
    filtered on purpose: this is for a note to a human, never for refusing.

    The noise floor is what every band has in the quietest tenth of the time, of the band in the
    middle when they are put in order, times the number of bands: hiss, which is everywhere and
    always, not crackle, which comes and goes, nor a pad that never pauses, which is in few bands.
    That tenth of a steady noise is below its mean by a known factor (its power is exponentially
    distributed), which is put back.

    Args:
        samples: (channels, samples).
        sample_rate: of the samples.
    """
    import numpy as np

    if samples.shape[1] < _SIZE:
        return SpectrumFacts(sample_rate // 2, 0.0, _FLOOR_DBFS)
    starts = np.unique(np.linspace(0, samples.shape[1] - _SIZE, _WINDOWS).astype(int))
    window = np.hanning(_SIZE).astype(np.float32)
    mean = np.zeros(_SIZE // 2 + 1)
    floor = np.zeros(_SIZE // 2 + 1)
    for channel in samples:
        powers = _powers(channel, starts, window) / np.float32(len(samples))
        mean += powers.mean(axis=0)
        floor += _steady(powers)
    bandwidth_hz, cutoff_db = _end(mean, sample_rate)
    bands = floor[: round(bandwidth_hz * _SIZE / sample_rate) + 1]
    noise_dbfs = 10 * float(np.log10(np.median(bands) * len(bands) + 1e-12))
    return SpectrumFacts(bandwidth_hz, round(cutoff_db, 1), round(noise_dbfs, 2))


def _powers(channel: Samples, starts: npt.NDArray[np.intp], window: Samples) -> Samples:
    """Give (windows, bins), scaled so that a window's sum is its mean square."""
    import numpy as np
    from scipy.fft import rfft

    framed = np.lib.stride_tricks.sliding_window_view(channel, _SIZE)[starts]
    # The mean is no sound, and the window would spread it over the lowest bins.
    framed = framed - framed.mean(axis=1, keepdims=True)
    spectra = rfft(framed * window, axis=1, overwrite_x=True)
    scale = np.float32(2 / (_SIZE * float(np.square(window, dtype=np.float64).sum())))
    powers: Samples = (np.square(spectra.real) + np.square(spectra.imag)) * scale
    return powers


def _steady(powers: Samples) -> Spectrum:
    """Give each bin's power in the quietest tenth of the time that is not digital silence."""
    import numpy as np

    sounding = powers[powers.sum(axis=1) > _SOUNDING]
    if not len(sounding):
        return np.zeros(powers.shape[1])
    at = int(_QUIET_SHARE * len(sounding))
    quiet = np.partition(sounding.T, at, axis=1)[:, at].astype(np.float64)
    # The k-th smallest of n exponential values has this mean (Rényi 1953).
    below = (1 / np.arange(len(sounding) - at, len(sounding) + 1)).sum()
    steady: Spectrum = quiet / below
    return steady


def _end(mean: Spectrum, sample_rate: int) -> tuple[int, float]:
    """Find where the sound ends, and the step there."""
    import numpy as np

    smooth = np.convolve(mean, np.full(_SMOOTH_BINS, 1 / _SMOOTH_BINS), mode="same")
    if smooth.max() == 0:
        return 0, 0.0
    end = int(np.flatnonzero(smooth > smooth.max() * _ENDS_BELOW)[-1])
    step, fall_db = _step(smooth, sample_rate)
    if fall_db >= STEP_DB:
        end = min(end, step)  # what an encoder leaves above its low-pass is no sound
    return round(end * sample_rate / _SIZE), fall_db


def _step(smooth: Spectrum, sample_rate: int) -> tuple[int, float]:
    """Give the bin above which the level falls most, and by how much.

    The fall is from the mean of the kHz before to the most that there is anywhere above.
    """
    import numpy as np

    gap, span, first = (
        round(hertz * _SIZE / sample_rate) for hertz in (_GAP_HZ, _SPAN_HZ, _STEPS_FROM_HZ)
    )
    at = np.arange(first, len(smooth) - gap - span)
    if not len(at):
        return len(smooth) - 1, 0.0
    most_above = np.maximum.accumulate(smooth[::-1])[::-1][at + gap]
    total = np.concatenate(([0.0], np.cumsum(smooth)))
    before = np.maximum(0, total[at - gap] - total[at - gap - span]) / span
    falls = 10 * np.log10((before + _NOTHING) / (most_above + _NOTHING))
    best = int(np.argmax(falls))
    return int(at[best]), max(0.0, float(falls[best]))
