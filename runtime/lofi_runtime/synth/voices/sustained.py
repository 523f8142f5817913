"""What fills the background: analog pads and a string ensemble, both in stereo."""

from __future__ import annotations

import numpy as np

from lofi_runtime.synth.voices.common import (
    Samples,
    as_samples,
    envelope,
    frequency_of,
    partial_bank,
    sample_count,
    times,
)


def _ensemble(
    frequency_hz: float,
    samples: int,
    rng: np.random.Generator,
    amplitudes: np.ndarray,
    detune_cents: tuple[float, ...],
) -> Samples:
    """Return a chorus of detuned copies, other phases on each side, float32 (2, samples)."""
    number = np.arange(1, amplitudes.size + 1)
    sides = []
    for sign in (1.0, -1.0):
        copies = frequency_hz * 2.0 ** (sign * np.array(detune_cents) / 1200.0)
        frequencies = np.outer(copies, number).ravel()
        phases = rng.uniform(0.0, 2.0 * np.pi, frequencies.size)
        levels = np.tile(amplitudes, len(detune_cents))
        sides.append(partial_bank(frequencies, levels, np.inf, samples, phases))
    left, right = sides
    # Some of each side in the other: wide, but never out of phase.
    return np.stack([left + np.float32(0.45) * right, right + np.float32(0.45) * left])


def synth_pads(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a soft saw pad whose filter opens and closes slowly."""
    samples = sample_count(held_sec + 0.9)
    frequency = frequency_of(pitch)
    number = np.arange(1, 1 + int(np.clip(5000.0 / frequency, 3, 16)))
    saw = 1.0 / number
    dark = saw / (1.0 + (number * frequency / 700.0) ** 2)
    bright = saw / (1.0 + (number * frequency / (1100.0 + 900.0 * velocity)) ** 2)
    detunes = (-7.0, 0.6, 8.0)
    state = rng.bit_generator.state
    low = _ensemble(frequency, samples, rng, dark, detunes)
    rng.bit_generator.state = state  # same phases, so that the two banks can cross-fade
    high = _ensemble(frequency, samples, rng, bright, detunes)
    sweep = 0.5 - 0.5 * np.cos(np.float32(2.0 * np.pi * 0.13) * times(samples))
    shape = envelope(samples, min(0.45, 0.4 * held_sec), held_sec, 0.35)
    return as_samples((low + (high - low) * sweep) * shape)


def strings(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a section of five desks with a bowed edge around 1 and 2.5 kHz."""
    samples = sample_count(held_sec + 0.5)
    frequency = frequency_of(pitch)
    number = np.arange(1, 1 + int(np.clip(7000.0 / frequency, 3, 20)))
    partials_hz = number * frequency
    bow = 1.0 + 0.8 * np.exp(-(((partials_hz - 1000.0) / 500.0) ** 2))
    bow += 0.5 * velocity * np.exp(-(((partials_hz - 2500.0) / 800.0) ** 2))
    amplitudes = bow / number**1.15 / (1.0 + (partials_hz / 3200.0) ** 2)
    tone = _ensemble(frequency, samples, rng, amplitudes, (-11.0, -5.0, 0.8, 6.0, 12.0))
    return tone * envelope(samples, min(0.18, 0.35 * held_sec), held_sec, 0.16)
