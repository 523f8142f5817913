"""What is tuned: pitch classes, how they change, tuning, and combs at the decoders' frame rates."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from lofi_engine.metrics.embeddings.sound_window import (
    SAMPLE_RATE,
    SILENCE,
    Doubles,
    Window,
    bin_of,
    decibels,
    frame_power,
    treble_power,
    whole_power,
)

VOCODER_HZ = 44_100 / 512
"""Frames a second of the vocoder's mel spectrogram, 86.13: where its buzz sits."""
LATENTS_HZ = VOCODER_HZ / 8
"""Columns of latents a second, 10.77."""
_SIZE, _HOP = 8192, 6000
_LOW_HZ, _HIGH_HZ = 130.0, 2000.0
COMB_LINES = {"comb-1": (2, 12), "comb-2": (12, 47), "comb-3": (47, 186)}
_NEAR, _FAR = 4, 12  # bins from a line to what it is held against
_LINE_FLOOR = 1e-13


def measure_tones(window: Window) -> dict[str, float]:
    """Measure pitch classes, tuning and lines at multiples of the decoders' frame rates."""
    return {**_pitch_classes(window), **_tuning(window), **_combs(window), **_frame_rates(window)}


@cache
def _semitones() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the first bin of every semitone from C3, the end last, and their pitch classes."""
    pitches = np.arange(48, 97)
    edges_hz = 440.0 * 2.0 ** ((np.arange(48, 98) - 69.5) / 12.0)
    return bin_of(edges_hz, _SIZE), pitches % 12


def _pitch_classes(window: Window) -> dict[str, float]:
    power = frame_power(window.middle, _SIZE, _HOP) + frame_power(window.side, _SIZE, _HOP)
    magnitudes = np.sqrt(power)
    edges, classes = _semitones()
    semitones = np.maximum.reduceat(magnitudes[:, : edges[-1]], edges[:-1], axis=1)
    folded = np.stack([semitones[:, classes == c].sum(axis=1) for c in range(12)], axis=1)
    folded = folded + 1e-3 * np.sqrt(window.mean_square) + 1e-9
    unit = folded / np.linalg.norm(folded, axis=1, keepdims=True)
    likeness = (unit[2:] * unit[:-2]).sum(axis=1)
    mean = folded.sum(axis=0)
    share = mean / mean.sum()
    heights = np.average(np.arange(classes.size), weights=semitones.sum(axis=0) ** 2 + 1e-20)
    return {
        "chroma-change": float(decibels(1.0 - likeness.mean() + 1e-3)),
        "chroma-spread": float(-(share * np.log2(share)).sum()),
        "third": _major_third(share),
        "pitch-height": float(heights),
    }


def _major_third(share: Doubles) -> float:
    """Give how far the major is above the minor third of the best-supported fifth."""
    fifths = [share[t] + share[(t + 7) % 12] for t in range(12)]
    tonic = int(np.argmax(fifths))
    return float(np.log(share[(tonic + 4) % 12]) - np.log(share[(tonic + 3) % 12]))


def _tuning(window: Window) -> dict[str, float]:
    """Give where peaks lie between semitones of A 440, as a point in the unit circle."""
    power = window.line_power
    size = window.middle.size
    low, high = int(bin_of(_LOW_HZ, size)), int(bin_of(_HIGH_HZ, size))
    inner = power[low:high]
    peaks = np.flatnonzero(
        (inner > power[low - 1 : high - 1]) & (inner >= power[low + 1 : high + 1])
    )
    weights = np.sqrt(inner[peaks])
    bins = low + peaks
    # A parabola through the logs around a peak finds its top between bins.
    before, at, after = (np.log(power[bins + step] + 1e-30) for step in (-1, 0, 1))
    bend = before - 2.0 * at + after
    places = bins + np.where(bend < -1e-9, 0.5 * (before - after) / np.minimum(bend, -1e-9), 0.0)
    pitches = 12.0 * np.log2(places * SAMPLE_RATE / size / 440.0)
    turned = (weights * np.exp(2j * np.pi * pitches)).sum() / (weights.sum() + 1e-9)
    return {"tuning-in": float(turned.real), "tuning-off": float(turned.imag)}


def _combs(window: Window) -> dict[str, float]:
    power = window.line_power / (window.mean_square + SILENCE) + _LINE_FLOOR
    return {
        name: _contrast(power, VOCODER_HZ, np.arange(*numbers))
        for name, numbers in COMB_LINES.items()
    }


def _frame_rates(window: Window) -> dict[str, float]:
    """Give how much the treble's envelope throbs at the frame rates of vocoder and latents."""
    envelope = treble_power(window)
    power = whole_power(np.asarray(envelope - envelope.mean(), np.float32))
    power = power / (np.square(envelope, dtype=np.float64).mean() + 1e-24) + _LINE_FLOOR
    slow = np.arange(1, 32)
    return {
        "throb-vocoder": _contrast(power, VOCODER_HZ, np.arange(1, 9)),
        "throb-latents": _contrast(power, LATENTS_HZ, slow[slow % 8 != 0]),
    }


def _contrast(power: Doubles, base_hz: float, numbers: npt.NDArray[np.int64]) -> float:
    """Give how far the multiples of a frequency stand above what is beside them, in dB."""
    size = 2 * (power.size - 1)
    lines = bin_of(base_hz * numbers.astype(np.float64), size)
    at = np.max([power[lines + step] for step in (-1, 0, 1)], axis=0)
    beside = [step for far in range(_NEAR, _FAR + 1) for step in (-far, far)]
    around = np.median([power[lines + step] for step in beside], axis=0)
    return float((decibels(at) - decibels(around)).mean())
