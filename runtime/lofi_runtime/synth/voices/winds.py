"""Winds and voices: harmonics under breath, vibrato that comes late, vowels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lofi_runtime.synth.voices.common import (
    Samples,
    Voice,
    band_noise,
    envelope,
    frequency_of,
    harmonics,
    sample_count,
    vibrato_phase,
)


@dataclass(frozen=True)
class Wind:
    """What makes a wind itself.

    Args:
        formants: (centre Hz, width Hz, gain) of its resonances.
        tilt: harmonics fall as 1 / k**tilt.
        odd_only: share by which even harmonics are taken away, 1 for a clarinet's low register.
        breath: noise against tone.
        attack_sec: rise time.
        vibrato_cents: depth once it has come in.
        vibrato_hz: rate.
        scoop_cents: how far below the note it starts.
    """

    formants: tuple[tuple[float, float, float], ...]
    tilt: float
    odd_only: float
    breath: float
    attack_sec: float
    vibrato_cents: float
    vibrato_hz: float
    scoop_cents: float


_WINDS = {
    "flute": Wind(((900.0, 900.0, 0.6),), 2.3, 0.0, 0.10, 0.07, 11.0, 5.0, 8.0),
    "saxophone": Wind(
        ((520.0, 260.0, 1.6), (1450.0, 500.0, 0.9), (2600.0, 700.0, 0.25)),
        *(1.25, 0.0, 0.045, 0.05, 13.0, 5.2, 45.0),
    ),
    "clarinet": Wind(((1200.0, 700.0, 0.5),), 1.3, 0.88, 0.03, 0.045, 5.0, 4.8, 12.0),
    "trumpet": Wind(((1500.0, 500.0, 1.2),), 1.4, 0.0, 0.03, 0.04, 9.0, 5.4, 25.0),
    "humming": Wind(
        ((270.0, 160.0, 2.0), (950.0, 300.0, 0.3)), 1.9, 0.0, 0.03, 0.09, 16.0, 5.1, 30.0
    ),
    "chopped vocals": Wind(
        ((720.0, 200.0, 2.2), (1150.0, 240.0, 1.4), (2700.0, 500.0, 0.5)),
        *(1.2, 0.0, 0.05, 0.025, 10.0, 5.6, 60.0),
    ),
}


def _play(
    wind: Wind, pitch: int, held_sec: float, velocity: float, rng: np.random.Generator
) -> Samples:
    samples = sample_count(held_sec + 0.22)
    frequency = frequency_of(pitch)
    number = np.arange(1, 1 + int(np.clip(6500.0 / frequency, 2, 14)))
    partials_hz = number * frequency
    amplitude = np.where(number % 2 == 0, 1.0 - wind.odd_only, 1.0) / number**wind.tilt
    resonance = np.full(number.size, 0.45)
    for centre_hz, width_hz, gain in wind.formants:
        resonance += gain * np.exp(-(((partials_hz - centre_hz) / width_hz) ** 2))
    soft = np.exp(-(partials_hz - frequency) / (1200.0 + 2400.0 * velocity))
    turning = vibrato_phase(
        frequency, samples, wind.vibrato_hz, wind.vibrato_cents, 0.45, wind.scoop_cents
    )
    tone = harmonics(turning, amplitude * resonance * soft)
    tone /= np.float32(np.sqrt(np.mean(tone * tone)) + 1e-9)
    breath = band_noise(samples, 0.8 * frequency, 4.0 * frequency, rng)
    attack_sec = min(wind.attack_sec * (1.5 - 0.6 * velocity), 0.4 * held_sec)
    shape = envelope(samples, attack_sec, held_sec, 0.06, sustain=0.85)
    return (tone + np.float32(wind.breath) * breath) * shape


def wind_voice(name: str) -> Voice:
    """Return the voice of a wind by its name."""
    wind = _WINDS[name]

    def voice(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
        return _play(wind, pitch, held_sec, velocity, rng)

    return voice


WIND_NAMES = tuple(_WINDS)
