"""The desk: ducking, tape, room, width and master. Everything works in place, in chunks.

Buses are float32 (2, samples) at 48 kHz. Ten minutes are 230 MB a bus, so there is one bus and
no step keeps a copy of it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.loudness import to_target
from lofi_runtime.synth.effects import shelf_sections
from lofi_runtime.synth.voices.common import as_samples

Samples = npt.NDArray[np.float32]

_PEAK_WITHOUT_LOUDNESS = 0.25
_CHUNK = 1 << 18
_ROOM_STEP = 4


def place(bus: Samples, tone: Samples, start: int, pan: float, gain: float = 1.0) -> None:
    """Add a note, float32 (samples,) or (2, samples), to `bus` at `start`; pan is -1 to 1."""
    piece = bus[:, max(start, 0) : start + tone.shape[-1]]
    if piece.shape[1] == 0:
        return
    angle = (pan + 1.0) * np.pi / 4.0
    sides = np.sqrt(2.0) * gain * np.array([[np.cos(angle)], [np.sin(angle)]])
    piece += sides.astype(np.float32) * tone[..., : piece.shape[1]]


def filter_in_place(bus: Samples, sections: npt.NDArray[np.floating]) -> None:
    """Run second-order sections over `bus` in place."""
    from scipy.signal import sosfilt

    sos = sections.astype(np.float32)
    state = np.zeros((sos.shape[0], bus.shape[0], 2), np.float32)
    for start in range(0, bus.shape[1], _CHUNK):
        piece = bus[:, start : start + _CHUNK]
        piece[:], state = sosfilt(sos, piece, zi=state)


def widen(bus: Samples, amount: float) -> None:
    """Add a side signal made of the middle, 11 ms late: mono sums back to what it was."""
    delay = int(0.011 * SAMPLE_RATE)
    middle = np.float32(0.5 * amount) * (bus[0] + bus[1])
    bus[0, delay:] += middle[:-delay]
    bus[1, delay:] -= middle[:-delay]


def duck(bus: Samples, starts: npt.NDArray[np.int64], depth: float) -> None:
    """Push `bus` down by `depth` at each kick; it is back after a quarter of a second."""
    length = int(0.26 * SAMPLE_RATE)
    attack = int(0.006 * SAMPLE_RATE)
    position = np.arange(length)
    shape = np.cos(0.5 * np.pi * position / length) ** 2
    shape[:attack] *= 0.5 - 0.5 * np.cos(np.pi * position[:attack] / attack)
    gain = (1.0 - depth * shape).astype(np.float32)
    for start in starts:
        piece = bus[:, start : start + length]
        piece *= gain[: piece.shape[1]]


def add_room(bus: Samples, share: float, decay_sec: float, rng: np.random.Generator) -> None:
    """Add the reverb of a dark room to `bus`.

    It works at a quarter of the rate: above 4.5 kHz a tape's room has nothing to say.
    """
    from scipy.signal import butter, resample_poly, sosfilt

    rate = SAMPLE_RATE // _ROOM_STEP
    response = _room_response(rate, decay_sec, rng)
    small = np.empty((2, -(-bus.shape[1] // _ROOM_STEP)), np.float32)
    sos = butter(4, 4500.0 / (SAMPLE_RATE / 2), output="sos").astype(np.float32)
    state = np.zeros((sos.shape[0], 2, 2), np.float32)
    for start in range(0, bus.shape[1], _CHUNK):
        dark, state = sosfilt(sos, bus[:, start : start + _CHUNK], zi=state)
        small[:, start // _ROOM_STEP :][:, : -(-dark.shape[1] // _ROOM_STEP)] = dark[
            :, ::_ROOM_STEP
        ]
    wet = _convolved(small, np.float32(share) * response)
    step = _CHUNK // _ROOM_STEP
    margin = 64
    for start in range(0, wet.shape[1], step):
        # Neighbours on both sides, so that the pieces meet without an edge.
        first, last = max(start - margin, 0), min(start + step + margin, wet.shape[1])
        grown = resample_poly(wet[:, first:last], _ROOM_STEP, 1, axis=1)
        grown = grown[:, (start - first) * _ROOM_STEP :]
        piece = bus[:, start * _ROOM_STEP : start * _ROOM_STEP + _CHUNK]
        piece += grown[:, : piece.shape[1]]


def _convolved(sound: Samples, response: Samples) -> Samples:
    """Return `sound` convolved with `response`, cut to its length, a piece at a time."""
    from scipy.signal import fftconvolve

    total = sound.shape[1]
    wet = np.zeros_like(sound)
    for start in range(0, total, _CHUNK):
        tail = fftconvolve(sound[:, start : start + _CHUNK], response, axes=1)
        piece = wet[:, start : start + tail.shape[1]]
        piece += tail[:, : piece.shape[1]]
    return wet


def _room_response(rate: int, decay_sec: float, rng: np.random.Generator) -> Samples:
    """Return a stereo impulse response (2, samples) of unit energy: late noise, early echoes."""
    samples = int(rate * decay_sec)
    seconds = np.arange(samples) / rate
    noise = rng.standard_normal((2, samples))
    late = noise * np.exp(-6.9 * seconds / decay_sec) * np.minimum(seconds / 0.03, 1.0)
    for side, echoes in enumerate(((0.013, 0.029, 0.047), (0.017, 0.031, 0.053))):
        for index, echo_sec in enumerate(echoes):
            late[side, int(echo_sec * rate)] += 4.0 * 0.7**index
    # Air: highs die first, so the tail is filtered once more.
    smooth = np.array([0.25, 0.5, 0.25])
    dark = np.stack([np.convolve(side, smooth, "same") for side in late])
    late = late * np.exp(-seconds / 0.25) + dark * (1.0 - np.exp(-seconds / 0.25))
    return as_samples(late / np.sqrt((late * late).sum(axis=1, keepdims=True)))


def wow_and_flutter(bus: Samples, cents: float, rng: np.random.Generator) -> None:
    """Let the tape's speed wander: slow wow around 0.6 Hz, small flutter around 7 Hz.

    Reads behind the write position by up to `delay` samples, from a copy of one chunk.
    """
    if cents <= 0.0:
        return
    speed = 2.0 ** (cents / 1200.0) - 1.0
    waves = [
        (0.55 * float(rng.uniform(0.8, 1.2)), 0.65 * speed),
        (1.1 * float(rng.uniform(0.8, 1.2)), 0.25 * speed),
        (7.0 * float(rng.uniform(0.8, 1.2)), 0.10 * speed),
    ]
    starts = rng.uniform(0.0, 2.0 * np.pi, len(waves))
    reach = sum(depth * SAMPLE_RATE / (2.0 * np.pi * rate) for rate, depth in waves)
    margin = int(np.ceil(2.0 * reach)) + 4
    past = np.zeros((2, margin), np.float32)
    for start in range(0, bus.shape[1], _CHUNK):
        piece = bus[:, start : start + _CHUNK]
        length = piece.shape[1]
        source = np.concatenate([past, piece], axis=1)
        past = source[:, -margin:].copy()
        # Whole samples and shares apart: one float32 for both would keep 5 bits of the share.
        ahead = np.float32(margin - reach) - _delays(waves, starts, start, length)
        whole = np.floor(ahead)
        share = ahead - whole
        lower = np.arange(length, dtype=np.int32) + whole.astype(np.int32)
        for side in range(2):
            line = source[side]
            low = line[lower]
            piece[side] = low + share * (line[np.minimum(lower + 1, line.size - 1)] - low)


def _delays(
    waves: list[tuple[float, float]],
    starts: npt.NDArray[np.float64],
    first: int,
    length: int,
) -> npt.NDArray[np.float32]:
    """Return the delay in samples around its middle; drawn at 1 ms and joined by lines."""
    grid = np.arange(0, length + 96, 48)
    seconds = (first + grid) / SAMPLE_RATE
    delay = np.zeros(grid.size)
    for (rate, depth), start in zip(waves, starts, strict=True):
        reach = depth * SAMPLE_RATE / (2.0 * np.pi * rate)
        delay += reach * np.sin(2.0 * np.pi * rate * seconds + start)
    return np.interp(np.arange(length), grid, delay).astype(np.float32)


def saturate(bus: Samples, drive: float) -> None:
    """Bend `bus` like tape, tanh with unit gain for small signals, in place."""
    for start in range(0, bus.shape[1], _CHUNK):
        piece = bus[:, start : start + _CHUNK]
        piece *= np.float32(drive)
        np.tanh(piece, out=piece)
        piece *= np.float32(1.0 / drive)


@cache
def _tone_sections(cutoff_hz: float, warmth_db: float, air_db: float) -> npt.NDArray[np.float64]:
    from scipy.signal import butter

    nyquist = SAMPLE_RATE / 2
    low_pass = butter(3, min(cutoff_hz, 16_000.0) / nyquist, output="sos")
    high_pass = butter(2, 32.0 / nyquist, "highpass", output="sos")
    return np.concatenate([high_pass, low_pass, shelf_sections(warmth_db, air_db)])


def tone(bus: Samples, cutoff_hz: float, warmth_db: float = 0.0, air_db: float = 0.0) -> None:
    """Take away rumble below 32 Hz and what a tape loses above `cutoff_hz`; add warmth and air."""
    filter_in_place(bus, _tone_sections(cutoff_hz, warmth_db, air_db))


def master(bus: Samples) -> None:
    """Bring `bus` to the loudness of every track, in place; one too short to have any to a peak."""
    if not to_target(bus):
        peak = float(np.abs(bus).max(initial=0.0))
        bus *= np.float32(_PEAK_WITHOUT_LOUDNESS / peak if peak > 1e-6 else 1.0)


def fade(bus: Samples, in_sec: float, out_sec: float) -> None:
    """Fade both ends of `bus` with raised cosines, to exact zeros."""
    for seconds, end in ((in_sec, slice(None)), (out_sec, slice(None, None, -1))):
        samples = min(int(seconds * SAMPLE_RATE), bus.shape[1])
        ramp = (0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, samples))).astype(np.float32)
        edge = bus[:, end][:, :samples]
        edge *= ramp
