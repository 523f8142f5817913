"""Plucked strings by Karplus and Strong (1983), tuned exactly, and basses."""

from __future__ import annotations

import numpy as np

from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.synth.voices.common import (
    Samples,
    as_samples,
    burst,
    envelope,
    frequency_of,
    partial_bank,
    phase,
    sample_count,
)


def _string(
    frequency_hz: float,
    samples: int,
    rng: np.random.Generator,
    *,
    damping: float,
    ring_sec: float,
    pluck_at: float,
    brightness_hz: float,
) -> Samples:
    """Return a plucked string.

    The loop filter is a symmetric low-pass (delay 1) and a linear fractional delay, so pitch is
    exact. A whole period is computed at a time: it depends only on the one before.

    Args:
        frequency_hz: pitch.
        samples: length.
        rng: shapes the burst that plucks.
        damping: 0 to 0.25, how fast high partials die.
        ring_sec: time for the fundamental to fall by 60 dB.
        pluck_at: share of the string's length where it is plucked.
        brightness_hz: low-pass of the burst.
    """
    period = SAMPLE_RATE / frequency_hz
    whole = int(period - 1.0)
    fraction = period - 1.0 - whole
    taps = np.convolve([damping, 1.0 - 2.0 * damping, damping], [1.0 - fraction, fraction])
    taps = (taps * 10.0 ** (-3.0 * period / (SAMPLE_RATE * ring_sec))).astype(np.float32)
    burst = rng.uniform(-1.0, 1.0, whole + 3).astype(np.float32)
    softened = np.fft.rfft(burst)
    bins_hz = np.fft.rfftfreq(burst.size, 1.0 / SAMPLE_RATE)
    softened *= np.exp(-bins_hz / brightness_hz)
    softened *= np.abs(np.sin(np.pi * pluck_at * bins_hz / frequency_hz))
    softened[0] = 0.0
    burst = np.fft.irfft(softened, burst.size).astype(np.float32)
    lead = whole + taps.size  # zeros ahead, so that the first period has a past
    line = np.zeros(lead + samples + whole, np.float32)
    line[lead : lead + burst.size] = burst
    for start in range(lead + burst.size, line.size, whole):
        end = min(start + whole, line.size)
        past = line[start - whole - taps.size + 1 : end - whole]
        line[start:end] = np.convolve(past, taps, "valid")
    return line[lead : lead + samples]


def acoustic_guitar(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator
) -> Samples:
    """Return a nylon string with a wooden body."""
    samples = sample_count(held_sec + 0.5)
    string = _string(
        frequency_of(pitch),
        samples,
        rng,
        damping=0.15 - 0.04 * velocity,
        ring_sec=3.4 * 2.0 ** (-(pitch - 52) / 18.0),
        pluck_at=0.22,
        brightness_hz=900.0 + 1200.0 * velocity,
    )
    body = partial_bank([105.0, 198.0, 402.0], [0.5, 0.4, 0.2], [0.05, 0.04, 0.03], samples)
    tone = string / np.float32(np.abs(string).max() + 1e-9) + np.float32(0.10) * body
    return tone * envelope(samples, 0.003, held_sec, 0.14)


def electric_guitar(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator
) -> Samples:
    """Return a clean jazz box, neck pickup, tone rolled off."""
    samples = sample_count(held_sec + 0.4)
    string = _string(
        frequency_of(pitch),
        samples,
        rng,
        damping=0.08,
        ring_sec=5.0 * 2.0 ** (-(pitch - 52) / 18.0),
        pluck_at=0.3,
        brightness_hz=800.0 + 1000.0 * velocity,
    )
    tone = string / np.float32(np.abs(string).max() + 1e-9)
    warm = np.tanh(np.float32(1.4) * tone)
    return as_samples(warm * envelope(samples, 0.003, held_sec, 0.12))


def harp(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a harp: plucked at the middle, long ring, nothing stops it."""
    samples = sample_count(held_sec + 1.2)
    string = _string(
        frequency_of(pitch),
        samples,
        rng,
        damping=0.10,
        ring_sec=4.5 * 2.0 ** (-(pitch - 60) / 18.0),
        pluck_at=0.42,
        brightness_hz=1000.0 + 1300.0 * velocity,
    )
    return string * envelope(samples, 0.003, held_sec, 0.5)


def koto(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a koto: silk strings plucked near the bridge with a plectrum, bright, long."""
    samples = sample_count(held_sec + 0.9)
    string = _string(
        frequency_of(pitch),
        samples,
        rng,
        damping=0.06,
        ring_sec=2.6 * 2.0 ** (-(pitch - 60) / 18.0),
        pluck_at=0.11,
        brightness_hz=2600.0 + 2200.0 * velocity,
    )
    nail = burst(samples, 1800.0, 5200.0, 0.006, rng)
    tone = string / np.float32(np.abs(string).max() + 1e-9) + np.float32(0.10) * nail
    return tone * envelope(samples, 0.0025, held_sec, 0.4)


def ukulele(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a small nylon string on a small box: short, woody, no lows."""
    samples = sample_count(held_sec + 0.25)
    string = _string(
        frequency_of(pitch),
        samples,
        rng,
        damping=0.13 - 0.03 * velocity,
        ring_sec=1.3 * 2.0 ** (-(pitch - 60) / 18.0),
        pluck_at=0.35,
        brightness_hz=1500.0 + 1500.0 * velocity,
    )
    body = partial_bank([240.0, 410.0, 690.0], [0.4, 0.5, 0.3], [0.03, 0.03, 0.02], samples)
    tone = string / np.float32(np.abs(string).max() + 1e-9) + np.float32(0.14) * body
    return tone * envelope(samples, 0.003, held_sec, 0.09)


def muted_guitar(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return an electric guitar under the palm: a tenth of a second of tone."""
    held_sec = min(held_sec, 0.16)
    samples = sample_count(held_sec + 0.12)
    string = _string(
        frequency_of(pitch),
        samples,
        rng,
        damping=0.18,
        ring_sec=0.45,
        pluck_at=0.25,
        brightness_hz=1000.0 + 900.0 * velocity,
    )
    tone = string / np.float32(np.abs(string).max() + 1e-9)
    return tone * envelope(samples, 0.003, held_sec, 0.05)


def clavinet(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a struck string by a hard pickup: nasal, funky, stopped at once by its yarn."""
    samples = sample_count(held_sec + 0.08)
    string = _string(
        frequency_of(pitch),
        samples,
        rng,
        damping=0.05,
        ring_sec=2.2 * 2.0 ** (-(pitch - 60) / 18.0),
        pluck_at=0.14,
        brightness_hz=2200.0 + 2600.0 * velocity,
    )
    tone = np.tanh(np.float32(1.8 / (np.abs(string).max() + 1e-9)) * string)
    return as_samples(tone * envelope(samples, 0.0025, held_sec, 0.025))


def bass_guitar(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a round finger bass: few harmonics, enough second and third for small speakers."""
    samples = sample_count(held_sec + 0.12)
    frequency = frequency_of(pitch)
    tone = partial_bank(
        frequency * np.array([1.0, 2.0, 3.0, 4.0]),
        [1.0, 0.45 + 0.2 * velocity, 0.18, 0.06],
        [1.6, 0.7, 0.35, 0.2],
        samples,
    )
    warm = np.tanh(np.float32(1.2) * tone)
    return as_samples(warm * envelope(samples, 0.007, held_sec, 0.05))


def upright_bass(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a plucked double bass: fast bloom, finger noise, short sustain."""
    samples = sample_count(held_sec + 0.15)
    frequency = frequency_of(pitch)
    number = np.arange(1, 9)
    tone = partial_bank(
        frequency * number * np.sqrt(1.0 + 2e-4 * number**2),
        np.abs(np.sin(np.pi * number * 0.3)) / number**1.2,
        1.0 / number**0.9,
        samples,
    )
    finger = burst(samples, 200.0, 1200.0, 0.015, rng)
    plucked = tone + np.float32(0.04) * finger
    return as_samples(plucked * envelope(samples, 0.009, held_sec, 0.07))


def sub_bass(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return a sine with a little warmth, for house and dark pieces."""
    samples = sample_count(held_sec + 0.12)
    turning = phase(frequency_of(pitch), samples)
    warm = np.tanh(np.float32(1.7) * (np.sin(turning) + np.float32(0.3) * np.sin(2.0 * turning)))
    return as_samples(warm * envelope(samples, 0.012, held_sec, 0.06, sustain=0.7))
