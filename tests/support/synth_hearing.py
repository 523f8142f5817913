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
    window = np.hanning(size).astype(np.float32)
    return np.abs(np.fft.rfft(frames(signal.astype(np.float32), size, hop) * window, axis=1))


def onset_strength(samples, hop=256):
    """Return spectral flux, one value a hop."""
    magnitudes = np.log1p(20.0 * spectrogram(mono(samples), 1024, hop))
    return np.maximum(np.diff(magnitudes, axis=0), 0.0).sum(axis=1)


def pulse_strength(samples, size=8192, hop=1024):
    """Return the spectral flux of a long window, one value a hop.

    A window of 171 ms averages rain and crackle away, and follows notes that swell: what is left
    is what changes the pitches, or hits.
    """
    magnitudes = np.log1p(spectrogram(mono(samples), size, hop) * 1024 / size)
    return np.maximum(np.diff(magnitudes, axis=0), 0.0).sum(axis=1)


def tempo_bpm(samples, low=60.0, high=119.0, hop=1024):
    """Return the strongest beat rate in one octave, by autocorrelation of the pulse.

    What returns after one, two, four and eight beats counts the same, so that music without drums,
    whose notes fall a bar apart, is heard by its bars. Every bar is taken to have four beats, and a
    clip should hold four bars or more.
    """
    flux = pulse_strength(samples, hop=hop)
    flux = flux - flux.mean()
    size = 1 << int(np.ceil(np.log2(2 * flux.size)))
    power = np.abs(np.fft.rfft(flux, size)) ** 2
    overlap = flux.size - np.arange(flux.size)
    correlation = np.fft.irfft(power)[: flux.size] / overlap
    candidates = np.arange(low, high, 0.1)
    lags = 60.0 * RATE / (hop * candidates)
    score = sum(
        np.interp(multiple * lags, np.arange(correlation.size), correlation)
        for multiple in (1, 2, 4, 8)
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


def residual_db(changed, plain):
    """Return how far `changed` is from any louder or softer `plain`, in dB of its own level."""
    a, b = changed.astype(np.float64).ravel(), plain.astype(np.float64).ravel()
    rest = a - (a @ b) / (b @ b) * b
    return db(np.sqrt((rest @ rest) / (a @ a)))


def click_rate(samples):
    """Return sudden events above 4 kHz a second: 1 ms blocks far above those around them."""
    signal = np.diff(mono(samples), 2)
    blocks = (signal[: signal.size // 48 * 48].reshape(-1, 48) ** 2).sum(axis=1)
    rows = blocks[: blocks.size // 40 * 40].reshape(-1, 40)  # 40 ms each
    sudden = rows > 12.0 * np.median(rows, axis=1, keepdims=True)
    return float(sudden.sum() / (signal.size / RATE))


def beat_profile(samples, tempo, low_hz=35.0, high_hz=110.0):
    """Return the rise in level of a band at twelve places within the beat, strongest place 1."""
    hop = 480
    signal = spectrogram(mono(samples), 2048, hop)
    bins_hz = np.fft.rfftfreq(2048, 1.0 / RATE)
    inside = (bins_hz >= low_hz) & (bins_hz <= high_hz)
    level = np.sqrt((signal[:, inside] ** 2).sum(axis=1))
    rise = np.maximum(np.diff(level), 0.0)
    at = (np.arange(rise.size) + 1) * hop + 1024
    place = ((at / RATE * tempo / 60.0) % 1.0 * 12).astype(int)
    profile = np.array([rise[place == p].mean() for p in range(12)])
    return profile / profile.max()


_EDGES_HZ = (40, 80, 130, 200, 300, 450, 650, 950, 1400, 2100, 3200, 4800, 7000, 10000, 15000)


def features(samples):
    """Return what tells styles apart, 66 numbers, nothing of it told by the score.

    In fifteen-band levels: the mean (against the whole), the quiet tenth (noise between notes), the
    loud twentieth (hits) and how much the sides differ; and tempo within 54 to 120, onsets a
    second, flux, major against minor third, clicks.
    """
    size, hop = 2048, 1024
    bins_hz = np.fft.rfftfreq(size, 1.0 / RATE)
    edges = np.searchsorted(bins_hz, _EDGES_HZ)

    def bands(signal):
        power = spectrogram(signal, size, hop) ** 2
        return 10.0 * np.log10(np.add.reduceat(power, edges, axis=1) + 1e-9)

    left, right = samples.astype(np.float64)
    middle = bands(0.5 * (left + right))
    side = bands(0.5 * (left - right))
    whole = middle.mean()
    flux = onset_strength(samples)
    heard = chroma(samples)
    third = max(
        (np.roll(heard, -t)[[0, 7]].sum(), np.roll(heard, -t)[4] - np.roll(heard, -t)[3])
        for t in range(12)
    )[1]
    strong = flux[1:-1][(flux[1:-1] > flux[:-2]) & (flux[1:-1] >= flux[2:])]
    onsets = (strong > 0.4 * np.quantile(flux, 0.98)).sum() / (samples.shape[1] / RATE)
    return np.concatenate(
        [
            middle.mean(axis=0) - whole,
            np.quantile(middle, 0.1, axis=0) - whole,
            np.quantile(middle, 0.95, axis=0) - np.quantile(middle, 0.5, axis=0),
            (side - middle).mean(axis=0),
            [
                12.0 * np.log2(tempo_bpm(samples, 54.0, 121.0)),
                3.0 * onsets,
                10.0 * np.log10(flux.mean()),
                20.0 * third,
                np.sqrt(click_rate(samples)),
                4.0 * np.log2(np.std(flux) / flux.mean()),
            ],
        ]
    )


class NearestCentroid:
    """Knows each style by the mean of its clips' features, scaled by the spread within styles."""

    def __init__(self, clips):
        """Take style -> list of feature vectors."""
        self.names = list(clips)
        self.centres = np.stack([np.mean(clips[name], axis=0) for name in self.names])
        within = np.concatenate([clips[n] - np.mean(clips[n], axis=0) for n in self.names])
        self.spread = np.sqrt((within**2).mean(axis=0)) + 0.1 * self.centres.std(axis=0) + 1e-6

    def rank(self, vector):
        """Return the styles, nearest first."""
        distances = (((self.centres - vector) / self.spread) ** 2).sum(axis=1)
        return [self.names[index] for index in np.argsort(distances)]
