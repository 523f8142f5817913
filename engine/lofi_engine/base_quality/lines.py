"""Lines in a spectrum: how far single frequencies stand out of what is around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]
    Samples = npt.NDArray[np.float32]

FFT_SIZE = 65_536
"""At 48 kHz bins are 0.73 Hz apart."""
_NEIGHBOURS = 21
_FRAME, _FRAME_HOP = 8192, 4096
_STEADY_SHARE = 0.1
_LEAST_DBFS = -100.0


def prominences_db(samples: Samples) -> Values:
    """Give how far each bin of the whole clip's spectrum stands above the bins around it.

    The middle of the bins around, some 7 Hz to either side, is 0 dB.

    Args:
        samples: float32 (channels, samples), at least `FFT_SIZE` long, else padded.

    Returns:
        float64 (FFT_SIZE / 2 + 1,) in dB; what is below -100 dBFS stands out by nothing.
    """
    import numpy as np
    from scipy.ndimage import median_filter
    from scipy.signal import welch

    mono = np.pad(samples.mean(axis=0), (0, max(FFT_SIZE - samples.shape[1], 0)))
    _, power = welch(mono, window="hann", nperseg=FFT_SIZE, scaling="spectrum")
    levels = 10 * np.log10(np.maximum(power.astype(np.float64), 10.0 ** (_LEAST_DBFS / 10)))
    found: Values = levels - median_filter(levels, size=_NEIGHBOURS, mode="nearest")
    return found


def comb_db(prominences: Values, spacing_hz: float, sample_rate: int, highest_hz: float) -> float:
    """Give how far multiples of a frequency stand out, the median of all: 0 dB for music.

    Args:
        prominences: as of `prominences_db`.
        spacing_hz: the frequency.
        sample_rate: of the sound.
        highest_hz: where multiples end.
    """
    import numpy as np

    multiples = np.arange(1, int(highest_hz / spacing_hz) + 1) * spacing_hz
    bins = np.round(multiples * FFT_SIZE / sample_rate).astype(int)
    near = np.stack([prominences[np.clip(bins + step, 0, None)] for step in (-1, 0, 1)])
    # The highest of three bins stands out a little of any noise: as much between the multiples.
    half = np.round((multiples + spacing_hz / 2) * FFT_SIZE / sample_rate).astype(int)
    between = np.stack([prominences[half + step] for step in (-1, 0, 1)])
    return float(np.median(near.max(axis=0)) - np.median(between.max(axis=0)))


def strongest_line(prominences: Values, sample_rate: int, lowest_hz: float) -> tuple[float, float]:
    """Give the frequency in Hz that stands out most, and by how many dB.

    Args:
        prominences: of one clip, or the mean of many: notes differ from clip to clip, faults do
            not.
        sample_rate: of the sound.
        lowest_hz: where to begin.
    """
    import numpy as np

    first = int(np.ceil(lowest_hz * FFT_SIZE / sample_rate))
    place = first + int(np.argmax(prominences[first:]))
    return place * sample_rate / FFT_SIZE, float(prominences[place])


def throb_db(samples: Samples, sample_rate: int, rate_hz: float) -> float:
    """Give how far the loudness swings at a rate, above what it swings at rates around it.

    Args:
        samples: float32 (channels, samples).
        sample_rate: in Hz.
        rate_hz: of the swinging, below 500.
    """
    import numpy as np
    from scipy.ndimage import median_filter

    hop = sample_rate // 1000
    mono = samples.mean(axis=0)
    powers = np.square(mono[: len(mono) // hop * hop].reshape(-1, hop)).mean(axis=1)
    loudness = np.log(np.maximum(powers, 1e-10))
    swings = np.square(
        np.abs(np.fft.rfft((loudness - loudness.mean()) * np.hanning(len(loudness))))
    )
    levels = 10 * np.log10(np.maximum(swings, 1e-12))
    place = round(rate_hz * len(loudness) / 1000.0)
    around = median_filter(levels, size=2 * _NEIGHBOURS + 1, mode="nearest")
    return float(levels[place - 1 : place + 2].max() - around[place])


def steadiest_tone_db(samples: Samples, sample_rate: int, lowest_hz: float) -> float:
    """Give how far the steadiest tone stands out in nine tenths of all moments.

    A note ends and a chord changes; what stands out all the time is a whistle, a hum or a drone.

    Args:
        samples: float32 (channels, samples), at least 0.2 s.
        sample_rate: in Hz.
        lowest_hz: where to begin.
    """
    import numpy as np
    from scipy.ndimage import median_filter

    mono = samples.mean(axis=0)
    frames = np.lib.stride_tricks.sliding_window_view(mono, _FRAME)[::_FRAME_HOP]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), axis=1))
    levels = 20 * np.log10(np.maximum(spectra / _FRAME, 10.0 ** (_LEAST_DBFS / 20)))
    apart = levels - median_filter(levels, size=(1, _NEIGHBOURS), mode="nearest")
    steady = np.quantile(apart, _STEADY_SHARE, axis=0)
    return float(steady[int(np.ceil(lowest_hz * _FRAME / sample_rate)) :].max())
