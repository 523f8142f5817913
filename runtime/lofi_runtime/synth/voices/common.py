"""What every voice is built from: exact phases, banks of partials, envelopes, noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE

Samples = npt.NDArray[np.float32]
Voice = Callable[[int, float, float, np.random.Generator], Samples]
"""`voice(pitch, held_sec, velocity, rng)` -> float32 (samples,) or (2, samples), release included.

Loudness does not matter, `play` levels it; both ends are silent, so placing it never clicks.
"""

_BLOCK = 512
_FINE = 32
_PRODUCT_OPERATIONS = 1 << 17
_NYQUIST_HZ = SAMPLE_RATE / 2
_CEILING_HZ = 15_000.0


def frequency_of(pitch: float) -> float:
    """Return the frequency in Hz of a MIDI pitch, A4 = 69 = 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def sample_count(seconds: float) -> int:
    """Return the samples that `seconds` last, at least one."""
    return max(1, round(seconds * SAMPLE_RATE))


def as_samples(tone: npt.ArrayLike) -> Samples:
    """Return `tone` as single precision, without a copy where it is."""
    return np.asarray(tone, np.float32)


def times(samples: int) -> Samples:
    """Return the time in seconds of each sample."""
    return (np.arange(samples, dtype=np.float32) / np.float32(SAMPLE_RATE)).astype(np.float32)


def phase(frequency_hz: float, samples: int) -> Samples:
    """Return the phase in radians of a steady tone, exact to 1e-5 however long it is.

    Whole turns are dropped per block in float64, which plain float32 products could not do.
    """
    turns = frequency_hz / SAMPLE_RATE
    rows = -(-samples // _BLOCK)
    starts = (np.arange(rows) * (turns * _BLOCK)) % 1.0
    within = np.arange(_BLOCK) * turns
    table = starts.astype(np.float32)[:, None] + within.astype(np.float32)[None, :]
    return (table.ravel()[:samples] * np.float32(2.0 * np.pi)).astype(np.float32)


def partial_bank(
    frequencies_hz: npt.ArrayLike,
    amplitudes: npt.ArrayLike,
    decay_secs: npt.ArrayLike,
    samples: int,
    phases: npt.ArrayLike = 0.0,
) -> Samples:
    """Return the sum of exponentially decaying sines, float32 (samples,).

    A decaying sine is z**n, and z**(a*B + b) = z**(aB) * z**b: the whole bank is one matrix
    product of block starts (rows, 2 * partials) with one block (2 * partials, B).

    Args:
        frequencies_hz: of each partial; those above 15 kHz are left out.
        amplitudes: of each partial at its start; those 80 dB below the strongest are left out.
        decay_secs: time to fall to 1/e; `inf` for a steady one.
        samples: length.
        phases: starting phase in radians.
    """
    lists = np.broadcast_arrays(frequencies_hz, amplitudes, decay_secs, phases)
    frequency, amplitude, decay, start = (np.atleast_1d(np.asarray(a, float)) for a in lists)
    audible = (frequency < _CEILING_HZ) & (np.abs(amplitude) > 1e-4 * np.abs(amplitude).max())
    pole = (-1.0 / decay + 2j * np.pi * frequency)[audible] / SAMPLE_RATE
    origin = (amplitude * np.exp(1j * start))[audible]
    rows = -(-samples // _BLOCK)
    block = _powers(pole, _BLOCK)
    begin = origin * _powers(_BLOCK * pole, rows).T
    left = np.concatenate([begin.real, begin.imag], axis=1).astype(np.float32)
    right = np.concatenate([block.imag, block.real], axis=0).astype(np.float32)
    return np.ascontiguousarray(_product(left, right).ravel()[:samples])


def _product(left: Samples, right: Samples) -> Samples:
    """Return `left @ right` in slices too small for a BLAS to start threads for.

    Two threads on a product of a millisecond wait for each other longer than they work.
    """
    rows, inner = left.shape
    together = max(1, _PRODUCT_OPERATIONS // (max(inner, 1) * right.shape[1]))
    padded = np.zeros((-(-rows // together) * together, inner), np.float32)
    padded[:rows] = left
    slices = padded.reshape(-1, together, inner) @ right
    return as_samples(slices.reshape(-1, right.shape[1])[:rows])


def _powers(pole: npt.NDArray[np.complex128], count: int) -> npt.NDArray[np.complex128]:
    """Return exp(pole * n) for n below `count`, (poles, count): products cost less than exp."""
    coarse = np.exp(pole[:, None] * np.arange(0, count, _FINE))
    fine = np.exp(pole[:, None] * np.arange(_FINE))
    return (coarse[:, :, None] * fine[:, None, :]).reshape(pole.size, -1)[:, :count]


def envelope(
    samples: int, attack_sec: float, held_sec: float, release_sec: float, sustain: float = 1.0
) -> Samples:
    """Return an envelope that starts and ends at zero.

    Args:
        samples: length; what remains after attack and hold is the release.
        attack_sec: raised-cosine rise.
        held_sec: when the key is let go, from the start.
        release_sec: time to fall to 1/e after that.
        sustain: level that is reached, exponentially, while held.
    """
    shape = np.ones(samples, np.float32)
    rise = min(sample_count(attack_sec), samples)
    if sustain < 1.0:
        held = times(samples)
        shape = (sustain + (1.0 - sustain) * np.exp(-held / max(held_sec, 0.05))).astype(np.float32)
    shape[:rise] *= 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, rise, dtype=np.float32))
    let_go = min(sample_count(held_sec), samples)
    tail = samples - let_go
    if tail:
        fall = np.exp(-times(tail) / np.float32(release_sec))
        fall *= np.linspace(1.0, 0.0, tail, dtype=np.float32)
        shape[let_go:] *= fall
    return shape


def harmonics(turning: Samples, amplitudes: npt.NDArray[np.floating], step: int = 0) -> Samples:
    """Return the sum over k of amplitudes[k-1] * sin(k * turning), for a moving phase.

    Each harmonic follows from the two below it: sin(kx) = 2 cos(x) sin((k-1)x) - sin((k-2)x).

    Args:
        turning: phase in radians, float32 (samples,).
        amplitudes: (harmonics,), or (rows, harmonics) where they move.
        step: samples between the rows of moving amplitudes.
    """
    double_cosine = np.float32(2.0) * np.cos(turning)
    below, current = np.zeros(turning.size, np.float32), np.sin(turning)
    total = np.zeros(turning.size, np.float32)
    for level in np.asarray(amplitudes, np.float32).T:
        shape = from_grid(level, step, turning.size) if step else level
        total += shape * current
        below, current = current, double_cosine * current - below
    return total


def from_grid(values: npt.ArrayLike, step: int, samples: int) -> Samples:
    """Return `values`, given every `step` samples, joined by straight lines; the last one stays."""
    points = np.asarray(values, np.float32)
    rows = -(-samples // step)
    missing = max(0, rows + 1 - points.size)
    points = np.concatenate([points, np.full(missing, points[-1], np.float32)])[: rows + 1]
    share = (np.arange(step, dtype=np.float32) / np.float32(step)).astype(np.float32)
    lines = points[:-1, None] + np.diff(points)[:, None] * share
    return np.ascontiguousarray(lines.ravel()[:samples])


def grid_times(step: int, samples: int) -> Samples:
    """Return the times in seconds of the grid that `from_grid` fills to `samples`."""
    rows = -(-samples // step) + 1
    return as_samples(np.arange(rows) * (step / SAMPLE_RATE))


def vibrato_phase(
    frequency_hz: float,
    samples: int,
    rate_hz: float,
    depth_cents: float,
    delay_sec: float,
    scoop_cents: float = 0.0,
) -> Samples:
    """Return the phase of a tone whose vibrato fades in, after a scoop up into the note."""
    seconds = times(samples)
    depth = np.minimum(seconds / np.float32(max(delay_sec, 0.01)), 1.0) ** 2
    cents = depth_cents * depth * np.sin(np.float32(2 * np.pi * rate_hz) * seconds)
    cents -= scoop_cents * np.exp(-seconds / np.float32(0.035))
    ratio = np.exp2(cents / np.float32(1200.0)).astype(np.float64)
    turns = np.cumsum(ratio) * (frequency_hz / SAMPLE_RATE)
    return ((turns % 1.0) * (2.0 * np.pi)).astype(np.float32)


def noise(samples: int, rng: np.random.Generator) -> Samples:
    """Return white noise of unit variance, float32 (samples,).

    Uniform, from a generator several times as fast as the one that makes the choices: no ear tells
    uniform from Gaussian noise once a filter has passed over it.
    """
    fast = np.random.Generator(np.random.SFC64(int(rng.integers(1 << 62))))
    white = fast.random(samples, dtype=np.float32)
    white -= np.float32(0.5)
    white *= np.float32(np.sqrt(12.0))
    return white


def band_noise(
    samples: int, low_hz: float, high_hz: float, rng: np.random.Generator, order: int = 1
) -> Samples:
    """Return noise between two frequencies, about unit variance."""
    from scipy.signal import sosfilt

    low = max(low_hz, 20.0) / _NYQUIST_HZ
    high = min(high_hz, 0.98 * _NYQUIST_HZ) / _NYQUIST_HZ
    filtered = sosfilt(_band(order, low, high), noise(samples, rng))
    return as_samples(filtered / np.float32(np.sqrt(high - low)))


@lru_cache(maxsize=256)
def _band(order: int, low: float, high: float) -> Samples:
    from scipy.signal import butter

    return as_samples(butter(order, [low, high], "bandpass", output="sos"))


def burst(
    samples: int, low_hz: float, high_hz: float, decay_sec: float, rng: np.random.Generator
) -> Samples:
    """Return noise between two frequencies that falls to 1/e in `decay_sec`, float32 (samples,).

    Only what is heard is made: after nine decays it is 78 dB down.
    """
    sounding = min(samples, sample_count(9.0 * decay_sec))
    line = np.zeros(samples, np.float32)
    shape = np.exp(-times(sounding) / np.float32(decay_sec))
    line[:sounding] = band_noise(sounding, low_hz, high_hz, rng) * shape
    return line
