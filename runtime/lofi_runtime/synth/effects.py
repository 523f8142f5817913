"""What a recipe for a sound asks for above tape and room: chorus, tremolo, crushing, sweeps.

Everything works in place on a bus, float32 (2, samples) at 48 kHz, in chunks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.synth.voices.common import Samples, as_samples, from_grid

_CHUNK = 1 << 18
_GRID = 480
_CHORUS_SEC = 0.017
_CHORUS_SWING_SEC = 0.0032
_CHORUS_HZ = (0.61, 0.83)
_TREMOLO_HZ = 4.7
_CRUSH_HOLD = 4
_CRUSH_LEVELS = 32
_SAMPLED_HZ = (170.0, 4200.0)
_SWEEP_DARK_HZ = 650.0


def chorus(bus: Samples, level: float) -> None:
    """Add to each side a copy whose delay sways around 17 ms, each at a rate of its own."""
    margin = int(SAMPLE_RATE * (_CHORUS_SEC + _CHORUS_SWING_SEC)) + 2
    past = np.zeros((2, margin), np.float32)
    for start in range(0, bus.shape[1], _CHUNK):
        piece = bus[:, start : start + _CHUNK]
        length = piece.shape[1]
        source = np.concatenate([past, piece], axis=1)
        past = source[:, -margin:].copy()
        places = np.arange(length, dtype=np.int32)
        for side, rate_hz in enumerate(_CHORUS_HZ):
            seconds = (start + np.arange(0, length + _GRID, _GRID)) / SAMPLE_RATE
            sway = np.sin(2.0 * np.pi * rate_hz * seconds + 2.0 * side)
            delay = (_CHORUS_SEC + _CHORUS_SWING_SEC * sway) * SAMPLE_RATE
            ahead = from_grid(margin - delay, _GRID, length)
            whole = ahead.astype(np.int32)
            lower = places + whole
            line = source[side]
            low = line[lower]
            copy = low + (ahead - whole) * (line[lower + 1] - low)
            piece[side] += np.float32(level) * copy


def tremolo(bus: Samples, depth: float) -> None:
    """Let the sound sway between the sides, as a suitcase piano's vibrato knob does."""
    for start in range(0, bus.shape[1], _CHUNK):
        piece = bus[:, start : start + _CHUNK]
        seconds = (start + np.arange(0, piece.shape[1] + _GRID, _GRID)) / SAMPLE_RATE
        sway = np.sin(2.0 * np.pi * _TREMOLO_HZ * seconds)
        for side, sign in enumerate((1.0, -1.0)):
            piece[side] *= from_grid(1.0 - depth * (0.5 + 0.5 * sign * sway), _GRID, piece.shape[1])


def crush(bus: Samples) -> None:
    """Hold every fourth sample and keep 32 levels a sign: 12 kHz and 6 bits, aliases and all."""
    peak = float(np.abs(bus).max(initial=0.0))
    if peak <= 0.0:
        return
    step = np.float32(peak / _CRUSH_LEVELS)
    for start in range(0, bus.shape[1], _CHUNK):
        piece = bus[:, start : start + _CHUNK]
        held = np.round(piece[:, ::_CRUSH_HOLD] / step) * step
        piece[:] = np.repeat(held, _CRUSH_HOLD, axis=1)[:, : piece.shape[1]]


def band_limit(bus: Samples) -> None:
    """Leave what a sampler of 1988 kept of a record: 170 Hz to 4.2 kHz."""
    from scipy.signal import butter, sosfilt

    edges = [edge / (SAMPLE_RATE / 2) for edge in _SAMPLED_HZ]
    sos = butter(1, edges, "bandpass", output="sos").astype(np.float32)
    state = np.zeros((sos.shape[0], 2, 2), np.float32)
    for start in range(0, bus.shape[1], _CHUNK):
        piece = bus[:, start : start + _CHUNK]
        piece[:], state = sosfilt(sos, piece, zi=state)


def sweep(bus: Samples, period_sec: float) -> None:
    """Open and close a low-pass once in `period_sec`, beginning half closed."""
    from scipy.signal import butter, sosfilt

    sos = butter(2, _SWEEP_DARK_HZ / (SAMPLE_RATE / 2), output="sos").astype(np.float32)
    state = np.zeros((sos.shape[0], 2, 2), np.float32)
    for start in range(0, bus.shape[1], _CHUNK):
        piece = bus[:, start : start + _CHUNK]
        dark, state = sosfilt(sos, piece, zi=state)
        seconds = (start + np.arange(0, piece.shape[1] + _GRID, _GRID)) / SAMPLE_RATE
        open_share = 0.5 - 0.5 * np.cos(2.0 * np.pi * (seconds / period_sec + 0.15))
        piece -= dark
        piece *= from_grid(open_share, _GRID, piece.shape[1])
        piece += dark


def compress(bus: Samples, amount: float) -> None:
    """Take `amount` of what is above the median level back, 10 ms blocks, 150 ms release."""
    power = _block_power(bus)
    if not power.any():
        return
    level = np.sqrt(_followed(power))
    threshold = float(np.median(level[level > 1e-5])) if (level > 1e-5).any() else 1.0
    gain = np.minimum(1.0, (threshold / np.maximum(level, 1e-9)) ** amount)
    for start in range(0, bus.shape[1], _CHUNK // _GRID * _GRID):
        piece = bus[:, start : start + _CHUNK // _GRID * _GRID]
        piece *= from_grid(gain[start // _GRID :], _GRID, piece.shape[1])


def _block_power(bus: Samples) -> npt.NDArray[np.float64]:
    starts = np.arange(0, bus.shape[1], _GRID)
    return np.array(
        [float(np.vdot(b, b)) / b.size for b in (bus[:, s : s + _GRID] for s in starts)]
    )


def _followed(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return `power` rising at once and falling to 1/e in 150 ms."""
    fall = float(np.exp(-_GRID / SAMPLE_RATE / 0.15))
    followed, held = np.empty_like(power), 0.0
    for index, value in enumerate(power):
        held = max(value, held * fall)
        followed[index] = held
    return followed


def shelf_sections(warmth_db: float, air_db: float) -> npt.NDArray[np.float64]:
    """Return a bell at 220 Hz and a high shelf at 3 kHz as sections (n, 6), n from 0 to 2.

    Formulas: Bristow-Johnson, Audio EQ Cookbook.
    """
    sections = []
    if warmth_db:
        amp, alpha, cosine = _cookbook(220.0, warmth_db, 0.7)
        sections.append(
            (
                *(1 + alpha * amp, -2 * cosine, 1 - alpha * amp),
                *(1 + alpha / amp, -2 * cosine, 1 - alpha / amp),
            )
        )
    if air_db:
        amp, alpha, cosine = _cookbook(3000.0, air_db, 0.7)
        root = 2.0 * np.sqrt(amp) * alpha
        sections.append(
            (
                amp * ((amp + 1) + (amp - 1) * cosine + root),
                -2 * amp * ((amp - 1) + (amp + 1) * cosine),
                amp * ((amp + 1) + (amp - 1) * cosine - root),
                (amp + 1) - (amp - 1) * cosine + root,
                2 * ((amp - 1) - (amp + 1) * cosine),
                (amp + 1) - (amp - 1) * cosine - root,
            )
        )
    table = np.array(sections, float).reshape(-1, 6)
    return table / table[:, 3:4] if table.size else table


def _cookbook(frequency_hz: float, gain_db: float, quality: float) -> tuple[float, float, float]:
    turning = 2.0 * np.pi * frequency_hz / SAMPLE_RATE
    return 10.0 ** (gain_db / 40.0), float(np.sin(turning) / (2 * quality)), float(np.cos(turning))


def soften(tone: Samples, attack_sec: float) -> Samples:
    """Return `tone` with a slower beginning."""
    samples = min(int(attack_sec * SAMPLE_RATE), tone.shape[-1])
    ramp = as_samples(0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, samples)))
    softened = tone.copy()
    softened[..., :samples] *= ramp
    return softened
