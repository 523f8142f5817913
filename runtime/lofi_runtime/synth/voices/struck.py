"""Struck metal and wood."""

from __future__ import annotations

import numpy as np

from lofi_runtime.synth.voices.common import (
    Samples,
    Voice,
    envelope,
    frequency_of,
    partial_bank,
    sample_count,
    times,
)

# name -> (frequency ratios, amplitudes, decays in seconds at A4, ring after release)
_BARS: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], float]] = {
    "bells": ((1.0, 2.76, 5.40, 8.93), (1.0, 0.35, 0.12, 0.05), (1.7, 0.7, 0.25, 0.1), 1.0),
    "music box": ((1.0, 2.0, 3.01, 6.2), (1.0, 0.22, 0.2, 0.12), (0.9, 0.45, 0.2, 0.06), 0.8),
    "vibraphone": ((1.0, 4.0, 10.0), (1.0, 0.25, 0.04), (2.4, 0.8, 0.1), 0.7),
    "celesta": ((1.0, 2.0, 4.07, 8.2), (1.0, 0.3, 0.16, 0.04), (1.0, 0.5, 0.2, 0.06), 0.6),
    "marimba": ((1.0, 3.93, 9.6), (1.0, 0.3, 0.06), (0.2, 0.07, 0.025), 0.2),
    "steel drums": (
        (1.0, 1.004, 2.0, 2.01, 3.02, 4.08),
        (1.0, 0.6, 0.8, 0.45, 0.4, 0.22),
        (0.55, 0.5, 0.42, 0.36, 0.25, 0.15),
        0.35,
    ),
    "kalimba": ((1.0, 2.0, 5.4, 8.1), (1.0, 0.12, 0.10, 0.04), (0.55, 0.3, 0.06, 0.03), 0.4),
}


def bar_voice(name: str) -> Voice:
    """Return the voice of a bar, tine or bell by its name."""
    ratios, levels, decays, ring_sec = _BARS[name]

    def voice(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
        samples = sample_count(held_sec + ring_sec)
        frequency = frequency_of(pitch)
        hardness = (0.35 + 0.65 * velocity) ** np.arange(len(ratios))
        shorter = 2.0 ** (-(pitch - 69) / 24.0)
        tone = partial_bank(
            frequency * np.array(ratios),
            np.array(levels) * hardness,
            np.array(decays) * shorter,
            samples,
        )
        if name == "vibraphone":
            fan = np.sin(np.float32(2.0 * np.pi * 4.2) * times(samples))
            tone *= np.float32(0.82) + np.float32(0.18) * fan
        return tone * envelope(samples, 0.002, held_sec, 0.5 * ring_sec)

    return voice


BAR_NAMES = tuple(_BARS)
