"""Keyboards: felt piano (inharmonic partials), Rhodes and Wurlitzer (FM), drawbar organ."""

from __future__ import annotations

import numpy as np

from lofi_runtime.synth.voices.common import (
    Samples,
    as_samples,
    burst,
    envelope,
    frequency_of,
    partial_bank,
    phase,
    sample_count,
    times,
)


def piano(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a soft upright: stretched partials, two strings a note, two-stage decay, felt.

    Stretch f_k = k f sqrt(1 + B k^2): Fletcher, Blackham and Stratton 1962.
    """
    samples = sample_count(held_sec + 0.35)
    frequency = frequency_of(pitch)
    number = np.arange(1, 1 + int(min(22, 9000.0 / frequency)))
    stretch = 2.6e-4 * 2.0 ** ((pitch - 48) / 14.0)
    partials_hz = number * frequency * np.sqrt(1.0 + stretch * number**2)
    softness_hz = 700.0 + 1500.0 * velocity
    amplitude = np.abs(np.sin(np.pi * number / 8.5)) / number**1.15
    amplitude *= np.exp(-partials_hz / softness_hz)
    slow = 3.2 * 2.0 ** (-(pitch - 48) / 16.0) / (1.0 + 0.12 * number)
    fast_bank = partial_bank(partials_hz, 0.7 * amplitude, slow * 0.22, samples)
    sides = []
    for cents in (-1.1, 1.2):
        phases = rng.uniform(0.0, 0.5 * np.pi, number.size)
        string_hz = partials_hz * 2.0 ** (cents / 1200.0)
        sides.append(partial_bank(string_hz, 0.3 * amplitude, slow, samples, phases))
    hammer = burst(samples, 180.0, 1400.0, 0.012, rng)
    tone = fast_bank + np.stack(sides)
    thump = np.float32(0.05 * np.abs(tone).max()) * hammer
    return as_samples((tone + thump) * envelope(samples, 0.003, held_sec, 0.09))


def rhodes(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a tine piano by FM: a bark that fades with the hit, a tine that is gone at once.

    FM with a falling index: Chowning 1973; ratios 1:1 and 1:14 are the classic recipe.
    """
    return _electric_piano(pitch, held_sec, velocity, bark=0.5, tine=0.13, tine_ratio=14.0)


def wurlitzer(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a reed piano: more bark, second harmonic stronger, faster decay."""
    tone = _electric_piano(pitch, held_sec, velocity, bark=0.8, tine=0.04, tine_ratio=7.0)
    samples = tone.shape[1]
    reed = np.sin(2.0 * phase(frequency_of(pitch), samples)) * np.exp(-times(samples) / 0.7)
    return as_samples(tone + 0.22 * reed * envelope(samples, 0.004, held_sec, 0.1))


def _electric_piano(
    pitch: int, held_sec: float, velocity: float, *, bark: float, tine: float, tine_ratio: float
) -> Samples:
    samples = sample_count(held_sec + 0.4)
    frequency = frequency_of(pitch)
    seconds = times(samples)
    decay_sec = np.float32(2.6 * 2.0 ** (-(pitch - 55) / 20.0))
    turning = phase(frequency, samples)
    index = np.float32(bark + 1.1 * velocity**2) * np.exp(-seconds / np.float32(0.45))
    body = np.sin(turning + index * np.sin(turning))
    # Each side beats against the body in its own way: a suitcase model's slow width.
    sides = np.stack([np.sin(phase(frequency * ratio, samples)) for ratio in (1.0013, 0.9989)])
    tone = (body + 0.4 * sides) * np.exp(-seconds / decay_sec)
    if frequency * tine_ratio < 9000.0:
        strike = np.exp(-seconds / np.float32(0.09)) * np.float32(tine * (0.4 + velocity))
        tone = tone + strike * np.sin(phase(frequency * tine_ratio, samples))
    return as_samples(tone * envelope(samples, 0.004, held_sec, 0.12))


def organ(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return drawbars 16', 8', 5 1/3' and 4' through a slow rotor, stereo."""
    samples = sample_count(held_sec + 0.2)
    frequency = frequency_of(pitch)
    bars = np.array([0.5, 1.0, 1.5, 2.0, 4.0])
    amplitude = np.array([0.6, 1.0, 0.35, 0.4, 0.08 + 0.1 * velocity])
    phases = rng.uniform(0.0, 2.0 * np.pi, bars.size)
    sides = []
    for sway_hz in (0.83, -0.83):
        frequencies = np.concatenate([bars * frequency, bars * frequency + sway_hz])
        both = np.tile(phases, 2)
        sides.append(partial_bank(frequencies, np.tile(amplitude, 2), np.inf, samples, both))
    shape = envelope(samples, 0.02, held_sec, 0.05)
    return np.stack(sides) * shape
