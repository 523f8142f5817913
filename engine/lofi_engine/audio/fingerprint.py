"""A picture of a recording small enough to compare with a thousand others.

What is kept is the log-frequency spectrogram of the melody's range with everything taken out that
another encoding, gain, equaliser or a little noise changes: the bands and their differences over
time and frequency are those of Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System"
(ISMIR 2002), the differences kept as numbers instead of signs so that a recording moved by part of
a band is still known. On a log-frequency axis another pitch is a shift by whole rows and another
speed nearly so; `lofi_engine.data.duplicates` looks for those. No library does this from a wheel:
Chromaprint's bindings need its binary, and it does not find another pitch.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]
    Fingerprint = npt.NDArray[np.uint8]

ANALYSIS_RATE = 5_000
"""What a recording is brought to before anything is looked at; Hz."""

# When the same sound would give another fingerprint, raise `WORK_VERSION` in data/prepare.py.
FRAMES_PER_SEC = 10
BANDS_PER_OCTAVE = 24
BANDS = 72
"""Three octaves by quarter tones."""
LOWEST_HZ = 165.0
MIDDLE = 128
"""What stands for "as loud as its surroundings"; 8 steps are a decibel."""

_HOP = ANALYSIS_RATE // FRAMES_PER_SEC
_WINDOW = 2_560  # half a second: parts quarter tones from 300 Hz on
_FLOOR = 10**-4.0  # of the mean power: what lies below is encoder or tape, not music
_AROUND_BANDS = 12  # half an octave on each side
_AROUND_FRAMES = 20  # two seconds on each side
_STEPS_PER_DB = 8.0
_BLOCK_FRAMES = 512


def fingerprint(samples: Samples, sample_rate: int) -> Fingerprint:
    """Draw a recording's fingerprint.

    Args:
        samples: (channels, samples), as decoded; nothing is asked of level or rate.
        sample_rate: of the samples.

    Returns:
        uint8 (frames, 72): ten frames a second, quarter tones from 165 Hz up, the level in eighths
        of a decibel above or below that of the half octave and two seconds around it, 128 for no
        difference. No frames for less than half a second of sound or for digital silence.
    """
    import numpy as np

    mono = _mono(samples, sample_rate)
    frames = 1 + (len(mono) - _WINDOW) // _HOP
    if frames < 1:
        return np.zeros((0, BANDS), np.uint8)
    powers = _band_powers(mono, frames)
    mean = float(powers.mean())
    if mean <= 0:
        return np.zeros((0, BANDS), np.uint8)
    levels = 10 * np.log10(powers / np.float32(mean) + np.float32(_FLOOR))
    contrast = _less_around(_less_around(levels, _AROUND_BANDS, axis=1), _AROUND_FRAMES, axis=0)
    drawn: Fingerprint = np.clip(np.rint(contrast * _STEPS_PER_DB) + MIDDLE, 0, 255).astype("u1")
    return drawn


def _mono(samples: Samples, sample_rate: int) -> Samples:
    import numpy as np
    import soxr

    mixed = samples.mean(axis=0, dtype=np.float32) if len(samples) > 1 else samples[0]
    # Low quality is 70 dB down outside the band and twice as fast: plenty for levels in decibels.
    resampled: Samples = soxr.resample(mixed, sample_rate, ANALYSIS_RATE, quality="LQ")
    return resampled


def _band_powers(mono: Samples, frames: int) -> Samples:
    """Give (frames, bands) power, a block of frames at a time so that a long track costs little."""
    import numpy as np
    from scipy.fft import rfft

    windowed = np.lib.stride_tricks.sliding_window_view(mono, _WINDOW)[::_HOP][:frames]
    window, bands = _window(), _bands()
    powers = np.empty((frames, BANDS), np.float32)
    for start in range(0, frames, _BLOCK_FRAMES):
        spectrum = rfft(windowed[start : start + _BLOCK_FRAMES] * window, axis=1)
        bins = np.square(spectrum.real) + np.square(spectrum.imag)
        powers[start : start + _BLOCK_FRAMES] = bins @ bands
    return powers


@cache
def _window() -> Samples:
    import numpy as np

    return np.hanning(_WINDOW).astype(np.float32)


@cache
def _bands() -> Samples:
    """Give (bins, bands): triangles a quarter tone to each side, or a bin where that is wider."""
    import numpy as np

    hertz = np.arange(_WINDOW // 2 + 1) * ANALYSIS_RATE / _WINDOW
    centres = LOWEST_HZ * 2 ** (np.arange(BANDS) / BANDS_PER_OCTAVE)
    widths = np.maximum(centres * (2 ** (1 / BANDS_PER_OCTAVE) - 1), ANALYSIS_RATE / _WINDOW)
    return np.maximum(0, 1 - np.abs(hertz[:, None] - centres) / widths).astype(np.float32)


def _less_around(levels: Samples, reach: int, axis: int) -> Samples:
    from scipy.ndimage import uniform_filter1d

    around: Samples = uniform_filter1d(levels, 2 * reach + 1, axis=axis, mode="nearest")
    return levels - around
