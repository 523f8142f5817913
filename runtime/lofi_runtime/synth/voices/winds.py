"""Winds, bowed solo strings and a hum: harmonics under breath or bow, vibrato that comes late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lofi_runtime.synth.voices.common import (
    Samples,
    Voice,
    as_samples,
    band_noise,
    envelope,
    frequency_of,
    harmonics,
    sample_count,
    vibrato_phase,
)

_DESK_CENTS = 9.0


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
        desks: how many play it together; more than one is a stereo section.
    """

    formants: tuple[tuple[float, float, float], ...]
    tilt: float
    odd_only: float
    breath: float
    attack_sec: float
    vibrato_cents: float
    vibrato_hz: float
    scoop_cents: float
    desks: int = 1


_WINDS = {
    "flute": Wind(((900.0, 900.0, 0.6),), 2.3, 0.0, 0.10, 0.07, 11.0, 5.0, 8.0),
    "saxophone": Wind(
        ((620.0, 320.0, 1.1), (1450.0, 520.0, 1.5), (2600.0, 800.0, 0.8)),
        *(0.7, 0.0, 0.06, 0.05, 13.0, 5.2, 45.0),
    ),
    "clarinet": Wind(((1200.0, 700.0, 0.5),), 1.3, 0.88, 0.03, 0.045, 5.0, 4.8, 12.0),
    "trumpet": Wind(
        ((1300.0, 500.0, 1.6), (2400.0, 800.0, 0.8)), 1.0, 0.0, 0.03, 0.04, 9.0, 5.4, 25.0
    ),
    "humming": Wind(
        ((270.0, 160.0, 2.0), (950.0, 300.0, 0.3)), 1.9, 0.0, 0.03, 0.09, 16.0, 5.1, 30.0
    ),
    "horn section": Wind(
        ((900.0, 500.0, 1.0), (1600.0, 600.0, 1.1)), 0.85, 0.0, 0.03, 0.035, 6.0, 5.0, 40.0, 3
    ),
    "violin": Wind(
        ((460.0, 180.0, 0.6), (1000.0, 400.0, 0.9), (2700.0, 900.0, 1.4)),
        *(0.7, 0.0, 0.035, 0.09, 19.0, 5.8, 18.0),
    ),
    "cello": Wind(
        ((240.0, 110.0, 0.7), (600.0, 250.0, 0.9), (1500.0, 600.0, 1.0)),
        *(0.75, 0.0, 0.03, 0.1, 17.0, 5.3, 18.0),
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
    levels = amplitude * resonance * soft
    desks = []
    for desk in range(wind.desks):
        apart = (desk - 0.5 * (wind.desks - 1)) * _DESK_CENTS
        turning = vibrato_phase(
            frequency * 2.0 ** (apart / 1200.0),
            samples,
            wind.vibrato_hz + 0.3 * desk,
            wind.vibrato_cents,
            0.45,
            wind.scoop_cents + 12.0 * desk,
        )
        desks.append(harmonics(turning, levels))
    tone = desks[0]
    if wind.desks > 1:
        tone = np.stack([desks[0] + 0.6 * desks[1], desks[-1] + 0.6 * desks[1]])
    tone = tone / np.float32(np.sqrt(np.mean(tone * tone)) + 1e-9)
    breath = band_noise(samples, 0.8 * frequency, 4.0 * frequency, rng)
    attack_sec = min(wind.attack_sec * (1.5 - 0.6 * velocity), 0.4 * held_sec)
    shape = envelope(samples, attack_sec, held_sec, 0.06, sustain=0.85)
    return as_samples((tone + np.float32(wind.breath) * breath) * shape)


def wind_voice(name: str) -> Voice:
    """Return the voice of a wind by its name."""
    wind = _WINDS[name]

    def voice(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
        return _play(wind, pitch, held_sec, velocity, rng)

    return voice


WIND_NAMES = tuple(_WINDS)
