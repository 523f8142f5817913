"""How loud each band is, how it moves, how noisy and how wide it is."""

from __future__ import annotations

import numpy as np

from lofi_engine.metrics.embeddings.sound_window import (
    FRAME_SIZE,
    SILENCE,
    Doubles,
    Window,
    bin_of,
    decibels,
)

EDGES_HZ = (20, 60, 120, 220, 400, 700, 1200, 2000, 3400, 5600, 9000, 13000, 17000, 21000)
"""Of the thirteen bands."""
WIDE_EDGES_HZ = (60, 220, 700, 2000, 17000)
"""Of the four wide bands. Treble is one: what moves in it, hats and crackle, fills all of it."""
STEPS_FROM = 9
"""Bands above this one are held against the one below, as treble rises and falls as a whole."""
SIDE_EDGES_HZ = (60, 400, 2000, 7000, 17000)
NOISE_EDGES_HZ = (400, 1200, 3400, 9000, 17000)
_FLOOR = 1e-8  # -80 dB of the window's power: a treble below it is as good as none
_BIN_FLOOR = 1e-12
_SIDE_FLOOR = 1e-4
_NOISE_BINS = 12  # 280 Hz


def measure_bands(window: Window) -> dict[str, float]:
    """Measure levels, spread over time, noisiness and width of bands."""
    power = window.middle_power + window.side_power
    whole = window.mean_square + SILENCE
    # Of mean powers, as a pause would drag a mean of dB to the floor.
    levels = _levels(power.mean(axis=0, keepdims=True), EDGES_HZ, whole)[0]
    wide = _levels(power, WIDE_EDGES_HZ, whole)
    middle_level = np.median(wide, axis=0)
    measured = {
        "loudness": float(decibels(whole)),
        "loudness-spread": float(_frame_levels(power, whole).std()),
    }
    levels[STEPS_FROM:] = np.diff(levels[STEPS_FROM - 1 :])
    measured |= _named("level", levels)
    measured |= _named("quiet", np.quantile(wide, 0.1, axis=0) - middle_level)
    measured |= _named("loud", np.quantile(wide, 0.95, axis=0) - middle_level)
    measured |= _named("noise", _noisiness(power, whole))
    measured |= _named("side", _width(window))
    measured["balance"] = _balance(window)
    return measured


def _named(kind: str, values: Doubles) -> dict[str, float]:
    return {f"{kind}-{number}": float(value) for number, value in enumerate(values, start=1)}


def _levels(power: Doubles, edges_hz: tuple[int, ...], whole: float) -> Doubles:
    """Give dB (frames, bands) against the window's own power."""
    edges = bin_of(np.asarray(edges_hz, np.float64), FRAME_SIZE)
    summed = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    return decibels(summed / whole + _FLOOR)


def _frame_levels(power: Doubles, whole: float) -> Doubles:
    return decibels(power.sum(axis=1) / whole + 1e-4)


def _noisiness(power: Doubles, whole: float) -> Doubles:
    """Give spectral flatness in dB (bands,): near -2.5 for noise, far below for a few tones.

    It is taken in groups of a few bins and averaged, so that a band's slope does not count.
    """
    edges = bin_of(np.asarray(NOISE_EDGES_HZ, np.float64), FRAME_SIZE)
    count = (edges[-1] - edges[0]) // _NOISE_BINS
    inside = power[:, edges[0] : edges[0] + count * _NOISE_BINS] / whole + _BIN_FLOOR
    groups = inside.reshape(len(inside), count, _NOISE_BINS)
    flatness = (decibels(groups).mean(axis=2) - decibels(groups.mean(axis=2))).mean(axis=0)
    starts = (edges[:-1] - edges[0]) // _NOISE_BINS
    return np.asarray(np.add.reduceat(flatness, starts) / np.diff([*starts, count]), np.float64)


def _width(window: Window) -> Doubles:
    """Give how far the side is above the middle in dB (bands,), -40 for mono."""
    edges = bin_of(np.asarray(SIDE_EDGES_HZ, np.float64), FRAME_SIZE)
    middle, side = (
        np.add.reduceat(power.sum(axis=0)[: edges[-1]], edges[:-1])
        for power in (window.middle_power, window.side_power)
    )
    floor = _SIDE_FLOOR * (middle + side) + SILENCE
    return decibels((side + floor) / (middle + floor))


def _balance(window: Window) -> float:
    left, right = np.square(window.samples, dtype=np.float64).mean(axis=1)
    floor = 1e-4 * (left + right) + SILENCE
    return float(decibels((left + floor) / (right + floor)))
