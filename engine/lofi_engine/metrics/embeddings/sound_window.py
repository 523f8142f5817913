"""One window of sound, with the spectra that several parts of the built-in embedding share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SAMPLE_RATE = 48_000
"""What the runtime renders at, so that its own sound is measured without resampling."""
WINDOW_SEC = 3.0
"""Holds three to five beats of lofi and resolves spectral lines a third of a hertz apart."""
HOP_SEC = 1.5
FRAME_SIZE, FRAME_HOP = 2048, 1024
SILENCE = 1e-12
"""Mean square of a -120 dBFS sound: what is softer is measured against this."""


@dataclass(frozen=True)
class Window:
    """A window of stereo sound.

    Args:
        samples: float32 (2, samples) at `SAMPLE_RATE`; its mean is taken away, as an offset is
            not heard.
    """

    samples: Floats

    @classmethod
    def of(cls, samples: npt.NDArray[np.floating]) -> Window:
        """Take the mean away and hold the rest.

        Args:
            samples: (2, samples).
        """
        wide = samples.astype(np.float64)
        return cls(np.asarray(wide - wide.mean(axis=1, keepdims=True), np.float32))

    @property
    def duration_sec(self) -> float:
        """How long it is."""
        return float(self.samples.shape[1] / SAMPLE_RATE)

    @cached_property
    def middle(self) -> Floats:
        """Half the sum of the sides."""
        return np.asarray(0.5 * (self.samples[0] + self.samples[1]), np.float32)

    @cached_property
    def side(self) -> Floats:
        """Half the difference of the sides."""
        return np.asarray(0.5 * (self.samples[0] - self.samples[1]), np.float32)

    @cached_property
    def mean_square(self) -> float:
        """The power, mean of both sides."""
        return float(np.square(self.samples, dtype=np.float64).mean())

    @cached_property
    def middle_power(self) -> Doubles:
        """Power (frames, bins) of the middle in frames of 43 ms."""
        return frame_power(self.middle, FRAME_SIZE, FRAME_HOP)

    @cached_property
    def side_power(self) -> Doubles:
        """Power (frames, bins) of the side in frames of 43 ms."""
        return frame_power(self.side, FRAME_SIZE, FRAME_HOP)

    @cached_property
    def line_power(self) -> Doubles:
        """Power (bins,) of the whole window, middle and side: bins a third of a hertz apart."""
        return whole_power(self.middle) + whole_power(self.side)


def frame_power(signal: Floats, size: int, hop: int) -> Doubles:
    """Measure power (frames, bins) with a Hann window; a full-scale sine adds up to 0.5.

    Args:
        signal: float32 (samples,).
        size: of a frame, in samples.
        hop: from one frame to the next, in samples.
    """
    from scipy.fft import rfft

    window = _hann(size)
    frames = np.lib.stride_tricks.sliding_window_view(signal, size)[::hop]
    spectrum = rfft(frames * window, axis=1)
    return _one_sided(spectrum, size, float(np.square(window, dtype=np.float64).sum()))


def whole_power(signal: Floats) -> Doubles:
    """Measure power (bins,) of all of a signal with one Hann window."""
    from scipy.fft import rfft

    window = _hann(signal.size)
    spectrum = rfft(signal * window)
    return _one_sided(spectrum, signal.size, float(np.square(window, dtype=np.float64).sum()))


def treble_power(window: Window) -> Doubles:
    """Square the samples' second difference, (samples,), the sum of both sides: mostly treble."""
    differences = np.diff(window.samples, n=2, append=np.zeros((2, 2), np.float32))
    return np.asarray(np.square(differences, dtype=np.float64).sum(axis=0), np.float64)


def bin_of(frequency_hz: float | npt.NDArray[np.floating], size: int) -> npt.NDArray[np.int64]:
    """Give the bin nearest to a frequency in a spectrum of `size` samples."""
    return np.asarray(np.rint(np.asarray(frequency_hz) * size / SAMPLE_RATE), np.int64)


def decibels(power: npt.NDArray[np.floating] | float) -> Doubles:
    """Turn power into dB."""
    return np.asarray(10.0 * np.log10(power), np.float64)


@cache
def _hann(size: int) -> Floats:
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size), np.float32)


def _one_sided(
    spectrum: npt.NDArray[np.complexfloating], size: int, window_energy: float
) -> Doubles:
    power = np.square(spectrum.real, dtype=np.float64) + np.square(spectrum.imag, dtype=np.float64)
    return np.asarray(2.0 * power / (size * window_energy), np.float64)
