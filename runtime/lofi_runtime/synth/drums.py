"""Drum sounds: pitched sweeps, tuned noise, and a worn sampler's colour on all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.synth.voices.common import (
    Samples,
    as_samples,
    band_noise,
    burst,
    envelope,
    partial_bank,
    sample_count,
    times,
)

Hit = Callable[[float, np.random.Generator], Samples]
"""`hit(velocity, rng)` -> float32 (samples,), silent at both ends."""


def _decay(samples: int, seconds: float) -> Samples:
    return as_samples(np.exp(-times(samples) / np.float32(seconds)))


def _sweep(samples: int, high_hz: float, low_hz: float, fall_sec: float) -> Samples:
    """Return a sine that falls from one frequency to another."""
    seconds = times(samples).astype(np.float64)
    turns = low_hz * seconds + (high_hz - low_hz) * fall_sec * (1.0 - np.exp(-seconds / fall_sec))
    return np.sin(2.0 * np.pi * turns).astype(np.float32)


def _kick(low_hz: float, length_sec: float, click: float) -> Hit:
    def hit(velocity: float, rng: np.random.Generator) -> Samples:
        samples = sample_count(0.42)
        body = _sweep(samples, low_hz * (2.4 + velocity), low_hz, 0.028)
        body *= _decay(samples, length_sec)
        knock = burst(samples, 700.0, 2600.0, 0.005, rng)
        tone = as_samples(np.tanh(np.float32(1.6) * body) + np.float32(click * velocity) * knock)
        return tone * envelope(samples, 0.0015, 0.25, 0.06)

    return hit


def _snare(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.32)
    shell = partial_bank([182.0, 331.0], [0.8, 0.4], [0.07, 0.045], samples)
    wires = burst(samples, 900.0, 6200.0, 0.055 + 0.03 * velocity, rng)
    room = burst(samples, 500.0, 2500.0, 0.11, rng)
    tone = as_samples(np.tanh(shell + np.float32(0.42) * wires + np.float32(0.10) * room))
    return tone * envelope(samples, 0.0012, 0.2, 0.05)


def _rim(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.12)
    stick = partial_bank([480.0, 1120.0, 1740.0], [0.6, 0.8, 0.35], [0.02, 0.012, 0.008], samples)
    tick = burst(samples, 1500.0, 5000.0, 0.004, rng)
    return (stick + np.float32(0.15) * tick) * envelope(samples, 0.001, 0.08, 0.02)


def _clap(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.28)
    seconds = times(samples)
    shape = np.zeros(samples, np.float32)
    for start, level in ((0.0, 0.7), (0.011, 0.8), (0.023, 1.0)):
        later = np.maximum(seconds - np.float32(start), 0.0)
        decay = 0.006 if start < 0.02 else 0.07
        shape += level * (seconds >= start) * np.exp(-later / np.float32(decay))
    tone = band_noise(samples, 750.0, 3600.0, rng) * shape
    return tone * envelope(samples, 0.0012, 0.2, 0.04)


def _brush(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.26)
    slap = burst(samples, 500.0, 4200.0, 0.05, rng)
    skin = partial_bank([190.0], [0.5], [0.05], samples)
    return (slap + np.float32(0.5) * skin) * envelope(samples, 0.004, 0.15, 0.04)


def _brush_sweep(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.55)
    swell = as_samples(np.sin(np.pi * np.linspace(0.0, 1.0, samples, dtype=np.float32)) ** 2)
    return band_noise(samples, 1200.0, 5200.0, rng) * swell


def _metal(decay_sec: float, low_hz: float, ring: float) -> Hit:
    """Return a cymbal: high noise and six inharmonic squares' worth of shimmer."""

    def hit(velocity: float, rng: np.random.Generator) -> Samples:
        samples = sample_count(min(5.0 * decay_sec, 1.2) + 0.02)
        sizzle = band_noise(samples, low_hz, 12000.0, rng, order=2) * _decay(samples, decay_sec)
        ratios = np.array([2.0, 3.0, 4.16, 5.43, 6.79, 8.21]) * 1020.0
        shimmer = partial_bank(ratios, 1.0 / 6.0, decay_sec * 1.3, samples, np.arange(6.0))
        tone = sizzle + np.float32(ring) * shimmer
        return tone * envelope(samples, 0.0012, samples / SAMPLE_RATE - 0.02, 0.01)

    return hit


def _shaker(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.11)
    rise = np.linspace(0.0, 1.0, samples, dtype=np.float32) ** 0.6
    swell = as_samples(np.sin(np.pi * rise) ** 2)
    return band_noise(samples, 3800.0, 9000.0, rng) * swell


def _sleigh(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.4)
    bells_hz = rng.uniform(3800.0, 8200.0, 18)
    starts = rng.uniform(0.0, 2.0 * np.pi, 18)
    tone = partial_bank(bells_hz, 0.2, rng.uniform(0.05, 0.14, 18), samples, starts)
    jingle = burst(samples, 5000.0, 11000.0, 0.03, rng)
    return (tone + np.float32(0.4) * jingle) * envelope(samples, 0.003, 0.3, 0.05)


def _long_kick(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.9)
    body = _sweep(samples, 130.0 + 40.0 * velocity, 44.0, 0.03) * _decay(samples, 0.32)
    return as_samples(np.tanh(np.float32(1.5) * body) * envelope(samples, 0.002, 0.7, 0.1))


def _machine_snare(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.26)
    shell = partial_bank([238.0, 476.0], [0.7, 0.35], [0.05, 0.03], samples)
    snap = burst(samples, 1800.0, 9000.0, 0.05, rng)
    gated = as_samples(np.tanh(shell + np.float32(0.55) * snap))
    return gated * envelope(samples, 0.001, 0.15, 0.02)


def _machine_hat(velocity: float, rng: np.random.Generator) -> Samples:
    samples = sample_count(0.07)
    ratios = np.array([2.0, 3.0, 4.16, 5.43, 6.79, 8.21]) * 830.0
    squares = partial_bank(ratios, 1.0 / 3.0, 0.016, samples, np.arange(6.0))
    tone = squares + np.float32(0.5) * burst(samples, 7000.0, 14000.0, 0.014, rng)
    return as_samples(tone * envelope(samples, 0.001, 0.05, 0.01))


def _bongo(frequency_hz: float) -> Hit:
    def hit(velocity: float, rng: np.random.Generator) -> Samples:
        samples = sample_count(0.3)
        skin = _sweep(samples, frequency_hz * 1.18, frequency_hz, 0.02) * _decay(samples, 0.075)
        finger = burst(samples, 800.0, 3000.0, 0.006, rng)
        return (skin + np.float32(0.12) * finger) * envelope(samples, 0.001, 0.2, 0.05)

    return hit


# name -> (how to hit it, peak in the mix, position -1 to 1)
HITS: dict[str, tuple[Hit, float, float]] = {
    "kick": (_kick(52.0, 0.13, 0.10), 0.4, 0.0),
    "soft kick": (_kick(56.0, 0.09, 0.03), 0.3, 0.0),
    "house kick": (_kick(50.0, 0.12, 0.14), 0.36, 0.0),
    "machine kick": (_kick(58.0, 0.16, 0.2), 0.38, 0.0),
    "808 kick": (_long_kick, 0.42, 0.0),
    "snare": (_snare, 0.25, 0.04),
    "machine snare": (_machine_snare, 0.24, 0.0),
    "machine hat": (_machine_hat, 0.085, 0.2),
    "rim": (_rim, 0.17, 0.12),
    "clap": (_clap, 0.2, 0.0),
    "brush": (_brush, 0.18, 0.08),
    "brush sweep": (_brush_sweep, 0.06, -0.15),
    "closed hat": (_metal(0.022, 6500.0, 0.25), 0.095, 0.28),
    "pedal hat": (_metal(0.014, 5200.0, 0.2), 0.085, 0.28),
    "open hat": (_metal(0.11, 6000.0, 0.25), 0.08, 0.25),
    "ride": (_metal(0.24, 4800.0, 0.6), 0.07, -0.3),
    "shaker": (_shaker, 0.07, -0.35),
    "sleigh bells": (_sleigh, 0.13, -0.25),
    "bongo low": (_bongo(215.0), 0.17, -0.3),
    "bongo high": (_bongo(318.0), 0.16, 0.32),
}


def strike(name: str, velocity: float, rng: np.random.Generator) -> Samples:
    """Return one hit at its peak level in the mix, float32 (samples,)."""
    hit, peak, _ = HITS[name]
    tone = hit(velocity, rng)
    return tone * np.float32(peak * velocity / (np.abs(tone).max() + 1e-9))
