"""Voices by formants: sung vowels, chops, a choir and a murmur. None of them says a word.

Formant frequencies: Peterson and Barney 1952, men and women, rounded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.synth.voices.common import (
    Samples,
    as_samples,
    band_noise,
    burst,
    envelope,
    frequency_of,
    from_grid,
    grid_times,
    harmonics,
    partial_bank,
    sample_count,
    vibrato_phase,
)

_GRID = 480
_WIDTHS_HZ = (150.0, 220.0, 420.0)
_GAINS = (1.0, 0.5, 0.22)
_WOMAN = {
    "a": (850.0, 1220.0, 2810.0),
    "e": (610.0, 2330.0, 2990.0),
    "i": (310.0, 2790.0, 3310.0),
    "o": (590.0, 920.0, 2710.0),
    "u": (370.0, 950.0, 2670.0),
}
_MAN = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
}


def _spectrum(
    formants: tuple[float, ...], frequency_hz: float, velocity: float
) -> npt.NDArray[np.float64]:
    """Return the harmonics' amplitudes of one vowel, rms 1."""
    number = np.arange(1, 1 + int(np.clip(5200.0 / frequency_hz, 3, 30)))
    partials_hz = number * frequency_hz
    resonance = np.full(number.size, 0.05)
    for centre_hz, width_hz, gain in zip(formants, _WIDTHS_HZ, _GAINS, strict=True):
        resonance += gain * np.exp(-0.5 * ((partials_hz - centre_hz) / width_hz) ** 2)
    glottis = 1.0 / number ** (1.1 - 0.4 * velocity)
    amplitude = glottis * resonance
    return np.asarray(amplitude / np.sqrt((amplitude**2).sum()))


def _sing(
    vowels: Mapping[str, tuple[float, ...]],
    words: tuple[str, ...],
    pitch: int,
    held_sec: float,
    velocity: float,
    rng: np.random.Generator,
) -> Samples:
    """Return a sung note that glides from one vowel into the next."""
    samples = sample_count(held_sec + 0.22)
    frequency = frequency_of(pitch)
    word = words[int(rng.integers(len(words)))]
    first, second = word[0], word[1]
    seconds = grid_times(_GRID, samples)
    share = 1.0 / (1.0 + np.exp(-(seconds - 0.35 * held_sec) / (0.08 * held_sec + 0.02)))
    from_vowel = _spectrum(vowels[first], frequency, velocity)
    to_vowel = _spectrum(vowels[second], frequency, velocity)
    moving = (1.0 - share)[:, None] * from_vowel + share[:, None] * to_vowel
    turning = vibrato_phase(frequency, samples, 5.4, 15.0, 0.5, 70.0)
    tone = harmonics(turning, moving, _GRID)
    breath = band_noise(samples, 1500.0, 6500.0, rng)
    attack_sec = min(0.06 * (1.5 - 0.6 * velocity), 0.4 * held_sec)
    shape = envelope(samples, attack_sec, held_sec, 0.07, sustain=0.85)
    return as_samples((tone + np.float32(0.02) * breath) * shape)


def female_vocals(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator, syllable: str = ""
) -> Samples:
    """Return a woman's open vowels, with a scoop into the note and late vibrato."""
    words = (syllable,) if syllable else ("ao", "ua", "ea", "ou")
    return _sing(_WOMAN, words, pitch, held_sec, velocity, rng)


def male_vocals(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator, syllable: str = ""
) -> Samples:
    """Return a man's open vowels."""
    words = (syllable,) if syllable else ("ao", "ua", "oa", "eo")
    return _sing(_MAN, words, pitch, held_sec, velocity, rng)


def chopped_vocals(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator, syllable: str = ""
) -> Samples:
    """Return a sliced vowel: a consonant, one to three repeats of the slice, a hard gate."""
    samples = sample_count(held_sec + 0.03)
    words = (syllable,) if syllable else ("ae", "ai", "oa", "ei")
    tone = _sing(_WOMAN, words, pitch, held_sec + 0.2, velocity, rng)[:samples]
    tone = tone * np.float32(1.0 / (np.abs(tone).max() + 1e-9))
    repeats = 1 if held_sec < 0.25 else int(rng.integers(2, 4))
    slice_samples = samples // repeats
    edge = min(sample_count(0.006), slice_samples // 4)
    window = np.ones(slice_samples, np.float32)
    window[:edge] = np.linspace(0.0, 1.0, edge, dtype=np.float32)
    gap = max(edge, int(0.22 * slice_samples))
    window[-gap:] = 0.0
    window[-gap - edge : -gap] = np.linspace(1.0, 0.0, edge, dtype=np.float32)
    line = np.zeros(samples, np.float32)
    consonant = burst(slice_samples, 2200.0, 6500.0, 0.012, rng)
    for repeat in range(repeats):
        begin = repeat * slice_samples
        heard = tone[sample_count(0.03) :][:slice_samples]
        line[begin : begin + heard.size] += window[: heard.size] * heard * np.float32(0.85**repeat)
        line[begin : begin + slice_samples] += np.float32(0.12) * consonant * window
    return line


def choir(
    pitch: int, held_sec: float, velocity: float, rng: np.random.Generator, syllable: str = ""
) -> Samples:
    """Return four voices on "ooh", or on a syllable's first vowel, two a side."""
    samples = sample_count(held_sec + 0.5)
    frequency = frequency_of(pitch)
    vowel = syllable[:1] or ("u" if pitch < 67 else "o")
    amplitude = _spectrum(_WOMAN[vowel], frequency, 0.4 * velocity)
    number = np.arange(1, 1 + amplitude.size)
    sides = []
    for cents in ((-9.0, 4.0), (-4.0, 9.0)):
        copies = frequency * 2.0 ** (np.array(cents) / 1200.0)
        phases = rng.uniform(0.0, 2.0 * np.pi, 2 * number.size)
        bank_hz = np.outer(copies, number).ravel()
        sides.append(partial_bank(bank_hz, np.tile(amplitude, 2), np.inf, samples, phases))
    left, right = sides
    tone = np.stack([left + np.float32(0.4) * right, right + np.float32(0.4) * left])
    tone = tone + np.float32(0.04) * band_noise(samples, 900.0, 4000.0, rng)
    return as_samples(tone * envelope(samples, min(0.28, 0.4 * held_sec), held_sec, 0.2))


def murmur(pitch: int, held_sec: float, velocity: float, rng: np.random.Generator) -> Samples:
    """Return somebody talking in the next room: the rhythm and the tune of speech, no words.

    Syllables last 0.13 to 0.26 s; the pitch falls by a fourth over the phrase, as statements do.
    """
    samples = sample_count(held_sec + 0.1)
    seconds = grid_times(_GRID, samples)
    names = tuple(_MAN)
    weights = np.zeros((seconds.size, len(names)))
    loudness = np.zeros(seconds.size)
    cents = -300.0 * seconds / max(held_sec, 0.3) + 150.0
    start = 0.0
    while start < held_sec:
        length = float(rng.uniform(0.13, 0.26))
        inside = (seconds >= start) & (seconds < start + length)
        weights[inside, int(rng.integers(len(names)))] = 1.0
        within = (seconds[inside] - start) / length
        spoken = float(rng.uniform(0.5, 1.0)) * float(rng.random() > 0.12)
        loudness[inside] = spoken * np.sin(np.pi * np.clip(within, 0.0, 1.0)) ** 0.6
        cents[inside] += float(rng.normal(0.0, 90.0))
        start += length
    weights[weights.sum(axis=1) == 0.0, 0] = 1.0
    smooth = np.ones(5) / 5.0
    weights = np.stack([np.convolve(row, smooth, "same") for row in weights.T], axis=1)
    frequency = frequency_of(pitch)
    vowels = np.stack([_spectrum(_MAN[name], frequency, 0.5 * velocity) for name in names])
    ratio = 2.0 ** (np.convolve(np.pad(cents, 4, "edge"), np.ones(9) / 9.0, "valid") / 1200.0)
    turns = np.cumsum(from_grid(ratio, _GRID, samples).astype(np.float64))
    turning = as_samples((turns * (frequency / SAMPLE_RATE) % 1.0) * 2.0 * np.pi)
    tone = harmonics(turning, weights @ vowels, _GRID)
    tone += np.float32(0.05) * band_noise(samples, 1200.0, 5000.0, rng)
    return as_samples(
        tone * from_grid(loudness, _GRID, samples) * envelope(samples, 0.02, held_sec, 0.04)
    )
