"""Ears for the synthesiser's tests: what can be measured in the sound alone, in plain NumPy."""

from __future__ import annotations

import numpy as np

RATE = 48_000
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
# Krumhansl and Kessler 1982: how well each pitch class fits a key.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def mono(samples):
    return samples.mean(axis=0).astype(np.float64)


def frames(signal, size, hop):
    count = 1 + (signal.size - size) // hop
    return np.lib.stride_tricks.sliding_window_view(signal, size)[::hop][:count]


def spectrogram(signal, size=2048, hop=512):
    """Return magnitudes (frames, bins)."""
    return np.abs(np.fft.rfft(frames(signal, size, hop) * np.hanning(size), axis=1))


def onset_strength(samples, hop=256):
    """Return spectral flux, one value a hop."""
    magnitudes = np.log1p(20.0 * spectrogram(mono(samples), 1024, hop))
    return np.maximum(np.diff(magnitudes, axis=0), 0.0).sum(axis=1)


def tempo_bpm(samples, low=60.0, high=119.0, hop=256):
    """Return the strongest beat rate in one octave, by autocorrelation of onsets."""
    flux = onset_strength(samples, hop)
    flux = flux - flux.mean()
    size = 1 << int(np.ceil(np.log2(2 * flux.size)))
    power = np.abs(np.fft.rfft(flux, size)) ** 2
    correlation = np.fft.irfft(power)[: flux.size]
    candidates = np.arange(low, high, 0.1)
    lags = 60.0 * RATE / (hop * candidates)
    score = sum(
        np.interp(multiple * lags, np.arange(correlation.size), correlation)
        for multiple in (1, 2, 4)
    )
    return float(candidates[int(np.argmax(score))])


def chroma(samples):
    """Return the strength of the twelve pitch classes between A1 and C7.

    Each semitone is as loud as its strongest bin, so that no octave has more bins than another;
    each frame counts the same, as in a constant-Q chroma.
    """
    size = 32768
    magnitudes = spectrogram(mono(samples), size, size // 4)
    pitches = np.arange(33, 97)
    edges_hz = 440.0 * 2.0 ** ((np.arange(33, 98) - 69.5) / 12.0)
    edges = np.rint(edges_hz * size / RATE).astype(int)
    semitones = np.maximum.reduceat(magnitudes[:, : edges[-1]], edges[:-1], axis=1)
    folded = np.stack([semitones[:, pitches % 12 == pc].sum(axis=1) for pc in range(12)], axis=1)
    return (folded / (folded.max(axis=1, keepdims=True) + 1e-9)).mean(axis=0)


def keys_by_fit(samples):
    """Return the 24 keys, best fitting first."""
    heard = chroma(samples)
    fits = {}
    for tonic in range(12):
        turned = np.roll(heard, -tonic)
        fits[f"{NAMES[tonic]} major"] = np.corrcoef(turned, _MAJOR)[0, 1]
        fits[f"{NAMES[tonic]} minor"] = np.corrcoef(turned, _MINOR)[0, 1]
    return sorted(fits, key=fits.get, reverse=True)


def db(value):
    return 20.0 * np.log10(max(float(value), 1e-12))


def band_level_db(samples, low_hz, high_hz):
    """Return the level of a frequency band in dB."""
    signal = mono(samples)
    spectrum = np.abs(np.fft.rfft(signal))
    bins_hz = np.fft.rfftfreq(signal.size, 1.0 / RATE)
    inside = (bins_hz >= low_hz) & (bins_hz < high_hz)
    return db(np.sqrt((spectrum[inside] ** 2).sum()) / signal.size)


def noise_floor_db(samples, low_hz=3000.0, high_hz=7000.0):
    """Return the level of the quiet tenth of frames in a band: what sounds between the notes."""
    magnitudes = spectrogram(mono(samples), 1024, 1024)
    bins_hz = np.fft.rfftfreq(1024, 1.0 / RATE)
    inside = (bins_hz >= low_hz) & (bins_hz < high_hz)
    levels = np.sqrt((magnitudes[:, inside] ** 2).mean(axis=1))
    return db(np.quantile(levels, 0.1))
