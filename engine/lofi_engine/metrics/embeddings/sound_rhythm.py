"""How the sound moves in time: what hits, how often, how regularly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lofi_engine.metrics.embeddings.sound_window import (
    SAMPLE_RATE,
    SILENCE,
    Doubles,
    Window,
    bin_of,
    decibels,
    frame_power,
)

_SIZE, _HOP, _LAG = 1024, 256, 4
_RATE = SAMPLE_RATE / _HOP  # of the pulse: 187.5 values a second
HITS_EDGES_HZ = (47, 250, 2500, 13000)
"""Kick and bass; keys and snare; hats and crackle."""
_FLUX_EDGES_HZ = (47, 94, 141, 250, 500, 1000, 1700, 2500, 4000, 6000, 9000, 13000)
_FLUX_FLOOR = 1e-5  # -50 dB of the window's power: rises below it are not hits
MOVEMENT_EDGES_HZ = (0.6, 1.2, 2.4, 4.8, 9.6)
_FASTEST_HZ = 19.2
_BEAT_SEC = (0.5, 1.1)  # 120 to 55 beats per minute
_BEAT_SHARPNESS = 8.0
_ONSET_SHARE = 0.3
_PULSE_FFT = 4096


def measure_rhythm(window: Window) -> dict[str, float]:
    """Measure hits in three bands, the speeds of movement, onsets and the pulse."""
    power = frame_power(window.middle, _SIZE, _HOP) + frame_power(window.side, _SIZE, _HOP)
    hits = _hits(power / (window.mean_square + SILENCE))
    measured = {f"hits-{number}": float(value) for number, value in enumerate(hits.mean(axis=0), 1)}
    pulse = hits.sum(axis=1)
    measured["hits-peak"] = float(decibels((np.quantile(pulse, 0.98) + 0.1) / (pulse.mean() + 0.1)))
    measured["onsets"] = _onsets_a_second(pulse)
    return {**measured, **_movement(pulse), **_beat(pulse)}


def _hits(power: Doubles) -> Doubles:
    """Give how many dB three bands rise within a frame (frames - _LAG, 3).

    Each is the mean of narrower bands, whose power is summed before its logarithm is taken, so
    that a steady noise hardly rises (spectral flux after Boeck and Widmer, DAFx 2013, with its lag
    of a whole frame).
    """
    edges = bin_of(np.asarray(_FLUX_EDGES_HZ, np.float64), _SIZE)
    levels = decibels(np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1) + _FLUX_FLOOR)
    rises = np.maximum(levels[_LAG:] - levels[:-_LAG], 0.0)
    groups = np.searchsorted(_FLUX_EDGES_HZ, HITS_EDGES_HZ)
    return np.asarray(np.add.reduceat(rises, groups[:-1], axis=1) / np.diff(groups), np.float64)


def _onsets_a_second(pulse: Doubles) -> float:
    smooth = np.convolve(pulse, np.hanning(7) / np.hanning(7).sum(), mode="same")
    inner = smooth[1:-1]
    peaks = (inner > smooth[:-2]) & (inner >= smooth[2:])
    limit = np.median(smooth) + _ONSET_SHARE * (np.quantile(smooth, 0.98) - np.median(smooth))
    return float((inner[peaks] > limit).sum() / (pulse.size / _RATE))


def _movement(pulse: Doubles) -> dict[str, float]:
    """Give how much of the pulse's variation lies in each speed, and their centre in octaves."""
    varying = (pulse - pulse.mean()) * np.hanning(pulse.size)
    spectrum = np.abs(np.fft.rfft(varying, _PULSE_FFT)) ** 2
    speeds_hz = np.arange(spectrum.size) * _RATE / _PULSE_FFT
    inside = (speeds_hz >= MOVEMENT_EDGES_HZ[0]) & (speeds_hz < _FASTEST_HZ)
    whole = float(spectrum[inside].sum()) + 1e-9
    measured = {}
    for number, (start, end) in enumerate(pairwise(MOVEMENT_EDGES_HZ), start=1):
        share = spectrum[(speeds_hz >= start) & (speeds_hz < end)].sum() / whole
        measured[f"movement-{number}"] = float(decibels(share + 1e-3))
    octaves = np.log2(speeds_hz[inside])
    weights = spectrum[inside] + 1e-12 * whole + 1e-30
    measured["movement-centre"] = float(np.average(octaves, weights=weights))
    return measured


def _beat(pulse: Doubles) -> dict[str, float]:
    """Give the most regular period of a beat, in octaves of a second, and how regular it is.

    What also comes again after half of it and after twice as long counts for it. The period is a
    mean that leans to the best, so that near ties do not flip it.
    """
    varying = np.convolve(pulse - pulse.mean(), np.hanning(9) / np.hanning(9).sum(), mode="same")
    correlation = np.fft.irfft(np.abs(np.fft.rfft(varying, _PULSE_FFT)) ** 2)[: pulse.size]
    correlation = correlation / (correlation[0] + 1e-12)
    every = np.arange(pulse.size)
    again = correlation / (1.0 - 0.999 * every / pulse.size)
    lags = np.arange(round(_BEAT_SEC[0] * _RATE), round(_BEAT_SEC[1] * _RATE))
    half, twice = (np.interp(times * lags, every, again) for times in (0.5, 2.0))
    fit = again[lags] + 0.5 * (half + twice)
    period = np.average(np.log2(lags / _RATE), weights=np.exp(_BEAT_SHARPNESS * fit))
    return {"beat-period": float(period), "beat-clarity": float(again[lags].max())}
