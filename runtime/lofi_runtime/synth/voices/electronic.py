"""Circuits: the pulse waves of an old console, a cheap keyboard, saw leads, stabs and drones."""

from __future__ import annotations

import numpy as np

from lofi_runtime.synth.voices.common import (
    Samples,
    as_samples,
    band_noise,
    envelope,
    frequency_of,
    harmonics,
    partial_bank,
    sample_count,
    vibrato_phase,
)


def _pulse(
    frequency_hz: float, width: float, ceiling_hz: float, samples: int, decay_sec: float
) -> Samples:
    number = np.arange(1, 1 + int(np.clip(ceiling_hz / frequency_hz, 3, 24)))
    amplitudes = np.abs(np.sin(np.pi * number * width)) / number
    amplitudes = amplitudes / (1.0 + (number * frequency_hz / (0.4 * ceiling_hz)) ** 2)
    return partial_bank(number * frequency_hz, amplitudes, decay_sec, samples)


def chiptune_lead(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator
) -> Samples:
    """Return a quarter-width pulse, band-limited, with a console's stepless decay."""
    samples = sample_count(held_sec + 0.06)
    tone = _pulse(frequency_of(pitch), 0.25, 9000.0, samples, 1.2)
    return tone * envelope(samples, 0.003, held_sec, 0.02, sustain=0.6)


def square_bass(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a console's bass channel: odd harmonics, no decay to speak of."""
    samples = sample_count(held_sec + 0.05)
    tone = _pulse(frequency_of(pitch), 0.5, 2400.0, samples, 2.5)
    return tone * envelope(samples, 0.004, held_sec, 0.02, sustain=0.75)


def synth_bass(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a saw bass whose filter closes on every note."""
    samples = sample_count(held_sec + 0.1)
    frequency = frequency_of(pitch)
    number = np.arange(1, 1 + int(np.clip(1500.0 / frequency, 4, 22)))
    decay_sec = 1.4 / (1.0 + (number * frequency / (260.0 + 260.0 * velocity)) ** 1.5)
    tone = partial_bank(number * frequency, 1.0 / number, decay_sec, samples)
    return as_samples(np.tanh(tone) * envelope(samples, 0.006, held_sec, 0.04, sustain=0.8))


def casio_keyboard(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator
) -> Samples:
    """Return a toy keyboard's "flute-organ": two plain pulses, an octave apart, and a wobble."""
    samples = sample_count(held_sec + 0.12)
    frequency = frequency_of(pitch)
    number = np.arange(1, 8)
    turning = vibrato_phase(frequency, samples, 6.2, 9.0, 0.12)
    tone = harmonics(turning, np.array([1.0, 0.55, 0.33, 0.3, 0.2, 0.05, 0.14]) / number**0.3)
    return tone * envelope(samples, 0.008, held_sec, 0.05, sustain=0.55)


def analog_synth(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a saw lead: two oscillators a little apart, a filter that settles, late vibrato."""
    samples = sample_count(held_sec + 0.25)
    frequency = frequency_of(pitch)
    number = np.arange(1, 1 + int(np.clip(5500.0 / frequency, 3, 16)))
    cutoff_hz = 900.0 + 1400.0 * velocity
    amplitude = 1.0 / number / (1.0 + (number * frequency / cutoff_hz) ** 2)
    sides = []
    for cents, hertz in ((-6.0, 4.7), (6.0, 5.3)):
        turning = vibrato_phase(
            frequency * 2.0 ** (cents / 1200.0), samples, hertz, 12.0, 0.5, 60.0
        )
        sides.append(harmonics(turning, amplitude))
    shape = envelope(samples, 0.02, held_sec, 0.09, sustain=0.8)
    left, right = sides
    return np.stack([left + np.float32(0.5) * right, right + np.float32(0.5) * left]) * shape


def synth_arpeggio(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator
) -> Samples:
    """Return a sequencer's pluck: a saw whose upper partials are gone in a tenth of a second."""
    samples = sample_count(held_sec + 0.3)
    frequency = frequency_of(pitch)
    number = np.arange(1, 1 + int(np.clip(7500.0 / frequency, 3, 18)))
    decay_sec = 0.5 / (1.0 + 0.5 * (number - 1))
    phases = rng.uniform(0.0, 2.0 * np.pi, number.size)
    level = (0.7 + 0.22 * velocity) ** number
    tone = partial_bank(number * frequency, level, decay_sec, samples, phases)
    return tone * envelope(samples, 0.003, held_sec, 0.12)


def synth_stabs(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return one note of a house chord: detuned saws, short, wide."""
    samples = sample_count(held_sec + 0.18)
    frequency = frequency_of(pitch)
    number = np.arange(1, 1 + int(np.clip(6500.0 / frequency, 3, 16)))
    decay_sec = 0.45 / (1.0 + 0.22 * (number - 1))
    sides = []
    for cents in (-8.0, 8.0):
        both = np.array([1.0, 2.0 ** (cents / 1200.0)])
        bank_hz = np.outer(both, number * frequency).ravel()
        phases = rng.uniform(0.0, 2.0 * np.pi, bank_hz.size)
        level, fall = np.tile(1.0 / number, 2), np.tile(decay_sec, 2)
        sides.append(partial_bank(bank_hz, level, fall, samples, phases))
    return np.stack(sides) * envelope(samples, 0.004, held_sec, 0.05)


def textured_drones(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator
) -> Samples:
    """Return a drone: a fundamental and its fifth beating slowly under a band of air."""
    samples = sample_count(held_sec + 1.2)
    frequency = frequency_of(pitch)
    ratios = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0])
    levels = np.array([1.0, 0.5, 0.32, 0.16, 0.10, 0.05])
    sides = []
    for _ in range(2):
        beats_hz = rng.uniform(-0.35, 0.35, ratios.size)
        bank_hz = np.concatenate([ratios * frequency, ratios * frequency + beats_hz])
        phases = rng.uniform(0.0, 2.0 * np.pi, bank_hz.size)
        sides.append(partial_bank(bank_hz, np.tile(levels, 2), np.inf, samples, phases))
    air = band_noise(samples, 4.0 * frequency, 9.0 * frequency, rng)
    tone = np.stack(sides) + np.float32(0.10) * air
    return as_samples(tone * envelope(samples, min(1.2, 0.4 * held_sec), held_sec, 0.5))


def theremin(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a near-sine that slides up into the note and shakes widely."""
    samples = sample_count(held_sec + 0.3)
    turning = vibrato_phase(frequency_of(pitch), samples, 5.6, 38.0, 0.25, 220.0)
    tone = harmonics(turning, np.array([1.0, 0.22, 0.12, 0.04]))
    return tone * envelope(samples, min(0.12, 0.4 * held_sec), held_sec, 0.12)
