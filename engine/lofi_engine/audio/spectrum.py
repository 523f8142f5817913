"""What a track's spectrum says: where its sound ends, and what lies under it all the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]
    Spectrum = npt.NDArray[np.float64]

_SIZE = 4096
_WINDOWS = 128
_ENDS_BELOW = 1e-8  # 80 dB under the strongest
_SMOOTH_BINS = 9
_STEP_HZ = (300.0, 1_300.0)  # how far beyond the end, and before it, the step is looked for
_SOUNDING = 1e-9  # of full scale, -90 dB: a digital silence says nothing of the noise
_QUIET_SHARE = 0.1
_TONE_BINS = 33
_FLOOR_DBFS = -120.0


@dataclass(frozen=True)
class SpectrumFacts:
    """What was found.

    Args:
        bandwidth_hz: the highest frequency within 80 dB of the strongest one.
        cutoff_db: how far the level falls within a kHz there. An encoder's low-pass falls by 30 dB
            and more, a filter made to be heard by a few.
        noise_floor_dbfs: level of what is under everything, all the time.
    """

    bandwidth_hz: int
    cutoff_db: float
    noise_floor_dbfs: float


def spectrum_facts(samples: Samples, sample_rate: int) -> SpectrumFacts:
    """Measure 128 windows spread over a track.

    A file re-encoded from a lower bitrate ends at that encoder's low-pass. So does lofi that was
    filtered on purpose: this is for a note to a human, never for refusing.

    The noise floor is, in every band, what is there in the quietest tenth of the time, with the
    tones that stand above their neighbours left out: hiss and hum's noise, not crackle, which comes
    and goes, nor a pad that never pauses. That tenth of a steady noise is below its mean by a known
    factor (its power is exponentially distributed), which is put back.

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
        powers = _powers(channel, starts, window) / len(samples)
        mean += powers.mean(axis=0)
        floor += _steady(powers)
    bandwidth_hz, cutoff_db = _end(mean, sample_rate)
    noise = floor[: round(bandwidth_hz * _SIZE / sample_rate) + 1].sum()
    noise_dbfs = 10 * float(np.log10(noise + 1e-12))
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
    """Give each bin's level in the quietest tenth of the time, without tones."""
    import numpy as np

    sounding = powers[powers.sum(axis=1) > _SOUNDING]
    if not len(sounding):
        return np.zeros(powers.shape[1])
    at = int(_QUIET_SHARE * len(sounding))
    quiet = np.partition(sounding.T, at, axis=1)[:, at] / -np.log1p(-(at + 0.5) / len(sounding))
    padded = np.pad(quiet.astype(np.float64), _TONE_BINS // 2, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, _TONE_BINS)
    without_tones: Spectrum = np.median(around, axis=1)
    return without_tones


def _end(mean: Spectrum, sample_rate: int) -> tuple[int, float]:
    import numpy as np

    smooth = np.convolve(mean, np.full(_SMOOTH_BINS, 1 / _SMOOTH_BINS), mode="same")
    heard = np.flatnonzero(smooth > smooth.max() * _ENDS_BELOW)
    if smooth.max() == 0:
        return 0, 0.0
    end = int(heard[-1])
    beyond, before = (round(hertz * _SIZE / sample_rate) for hertz in _STEP_HZ)
    above = smooth[end + beyond : end + before]
    below = smooth[max(0, end - before) : max(1, end - beyond)]
    fall = 10 * np.log10((below.mean() + 1e-20) / (above.mean() + 1e-20)) if len(above) else 0.0
    return round(end * sample_rate / _SIZE), float(fall)
