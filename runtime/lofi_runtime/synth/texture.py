"""The air around the music: crackle, rain, hiss, places. Each is a loop that never shows.

Loops last 20 s at most and wrap with an equal-power cross-fade, so ten minutes cost as much as
twenty seconds. All are leveled to the same loudness; the score says how loud they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.synth.voices.common import (
    Samples,
    as_samples,
    band_noise,
    burst,
    from_grid,
    grid_times,
    partial_bank,
    phase,
    sample_count,
    times,
)

LOOP_SEC = 20.0
_SEAM_SEC = 1.0
_OTHER_SIDE = 0.382
_GRID = 480


def loop(name: str, duration_sec: float, rng: np.random.Generator) -> Samples:
    """Return a seamless loop of the texture, float32 (2, samples), rms 1 where it is steady.

    Args:
        name: a name of `TEXTURES`.
        duration_sec: how much is needed; the loop is shorter where that is longer than `LOOP_SEC`.
        rng: its chance.
    """
    seam = sample_count(_SEAM_SEC)
    samples = sample_count(min(duration_sec, LOOP_SEC))
    raw = TEXTURES[name](samples + seam, rng)
    fade = np.sqrt(np.linspace(0.0, 1.0, seam, dtype=np.float32))
    raw[:seam] = raw[:seam] * fade + raw[samples:] * fade[::-1]
    made = raw[:samples] / np.float32(np.sqrt(np.mean(raw[:samples] ** 2)) + 1e-9)
    # A loop has no beginning: the other side is the same one, far enough on to be another place.
    return np.stack([made, np.roll(made, round(_OTHER_SIDE * samples))])


def add_looped(bus: Samples, texture: Samples, gain: float) -> None:
    """Add a loop to `bus` (2, samples) in place, for as long as the bus is."""
    length = texture.shape[1]
    for start in range(0, bus.shape[1], length):
        piece = bus[:, start : start + length]
        piece += np.float32(gain) * texture[:, : piece.shape[1]]


def _scatter(
    samples: int, rate_hz: float, grain: Callable[[], Samples], rng: np.random.Generator
) -> Samples:
    """Return grains thrown at random times, on average `rate_hz` a second."""
    line = np.zeros(samples, np.float32)
    count = int(rng.poisson(rate_hz * samples / SAMPLE_RATE))
    for start in rng.integers(0, samples, count):
        tone = grain()[: samples - start]
        line[start : start + tone.size] += tone
    return line


def _swell(samples: int, period_sec: float, depth: float, rng: np.random.Generator) -> Samples:
    """Return a slow, uneven tide between 1 - depth and 1."""
    seconds = grid_times(_GRID, samples)
    tide = np.zeros(seconds.size)
    for stretch in (1.0, 1.7, 0.6):
        start = float(rng.uniform(0.0, 2.0 * np.pi))
        tide += np.sin(2.0 * np.pi / (period_sec * stretch) * seconds + start)
    return from_grid(1.0 - depth * (0.5 + tide / 6.0), _GRID, samples)


def _click(rng: np.random.Generator, length_sec: float, low_hz: float, high_hz: float) -> Samples:
    samples = sample_count(length_sec)
    shape = np.exp(-times(samples) / np.float32(length_sec / 5.0))
    turning = np.float32(2.0 * np.pi * rng.uniform(low_hz, high_hz)) * times(samples)
    loud = float(rng.pareto(2.5)) + 0.25
    return as_samples(min(loud, 4.0) * shape * np.sin(turning))


def _vinyl(samples: int, rng: np.random.Generator) -> Samples:
    ticks = _scatter(samples, 26.0, lambda: _click(rng, 0.0012, 1800.0, 5200.0), rng)
    pops = _scatter(samples, 1.3, lambda: 1.6 * _click(rng, 0.004, 500.0, 1500.0), rng)
    return ticks + pops + np.float32(0.045) * band_noise(samples, 250.0, 5000.0, rng)


def _rain(samples: int, rng: np.random.Generator) -> Samples:
    sheet = band_noise(samples, 500.0, 9000.0, rng)
    body = band_noise(samples, 150.0, 1200.0, rng)
    drops = _scatter(samples, 35.0, lambda: _click(rng, 0.012, 1400.0, 4200.0), rng)
    fall = np.float32(0.8) * sheet + np.float32(0.5) * body
    return fall * _swell(samples, 9.0, 0.35, rng) + np.float32(0.7) * drops


def _hiss(samples: int, rng: np.random.Generator) -> Samples:
    return band_noise(samples, 1500.0, 11000.0, rng)


def _ocean(samples: int, rng: np.random.Generator) -> Samples:
    wave = _swell(samples, 7.5, 0.95, rng) ** 2
    wash = band_noise(samples, 200.0, 2200.0, rng)
    foam = band_noise(samples, 1500.0, 7000.0, rng) * wave
    return as_samples(wash * (np.float32(0.25) + wave) + np.float32(0.4) * foam)


def _chirp(rng: np.random.Generator) -> Samples:
    samples = sample_count(float(rng.uniform(0.06, 0.16)))
    seconds = times(samples)
    glide = float(rng.uniform(-5000.0, 6000.0))
    turns = float(rng.uniform(2400.0, 4200.0)) * seconds + 0.5 * np.float32(glide) * seconds**2
    shape = np.sin(np.pi * np.linspace(0.0, 1.0, samples, dtype=np.float32)) ** 2
    return as_samples(shape * np.sin(np.float32(2.0 * np.pi) * turns))


def _song(rng: np.random.Generator) -> Samples:
    gap = np.zeros(sample_count(float(rng.uniform(0.03, 0.09))), np.float32)
    note = _chirp(rng)
    level = np.float32(rng.uniform(0.4, 1.6))
    return level * np.concatenate([note, gap] * int(rng.integers(2, 5)))


def _forest(samples: int, rng: np.random.Generator) -> Samples:
    leaves = band_noise(samples, 300.0, 3500.0, rng) * _swell(samples, 6.0, 0.6, rng)
    birds = _scatter(samples, 0.5, lambda: _song(rng), rng)
    return np.float32(0.55) * leaves + np.float32(1.8) * birds


def _cafe(samples: int, rng: np.random.Generator) -> Samples:
    talk = np.zeros(samples, np.float32)
    for low_hz in (220.0, 350.0, 500.0):
        talk += band_noise(samples, low_hz, low_hz * 2.5, rng) * _swell(samples, 0.45, 0.9, rng)

    def cup() -> Samples:
        tone = float(rng.uniform(2100.0, 3900.0)) * np.array([1.0, 1.52, 2.31])
        ring = partial_bank(tone, [1.0, 0.6, 0.3], [0.05, 0.03, 0.02], sample_count(0.25))
        return ring * np.float32(rng.uniform(0.5, 1.5))

    return np.float32(0.6) * talk + _scatter(samples, 0.45, cup, rng)


def _night(samples: int, rng: np.random.Generator) -> Samples:
    seconds = grid_times(_GRID // 10, samples)
    crickets = np.zeros(samples, np.float32)
    for _ in range(3):
        pulse_hz, tone_hz = float(rng.uniform(14.0, 22.0)), float(rng.uniform(3800.0, 5200.0))
        burst_hz, start = float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.0, 6.0))
        pulses = np.maximum(np.sin(2.0 * np.pi * pulse_hz * seconds), 0.0)
        bursts = np.maximum(np.sin(2.0 * np.pi * burst_hz * seconds + start), 0.0)
        chirps = from_grid(pulses * bursts, _GRID // 10, samples)
        crickets += chirps * np.sin(phase(tone_hz, samples))
    return crickets + np.float32(0.6) * band_noise(samples, 100.0, 900.0, rng)


def _fireplace(samples: int, rng: np.random.Generator) -> Samples:
    crackle = _scatter(samples, 14.0, lambda: _click(rng, 0.006, 900.0, 3600.0), rng)
    glow = band_noise(samples, 60.0, 400.0, rng) * _swell(samples, 4.0, 0.5, rng)
    return np.float32(1.4) * crackle + np.float32(0.5) * glow


def _wind(samples: int, rng: np.random.Generator) -> Samples:
    low = band_noise(samples, 150.0, 700.0, rng) * _swell(samples, 8.0, 0.7, rng)
    whistle = band_noise(samples, 700.0, 1600.0, rng) * _swell(samples, 5.0, 0.95, rng) ** 2
    return low + np.float32(0.5) * whistle


def _city(samples: int, rng: np.random.Generator) -> Samples:
    rumble = band_noise(samples, 50.0, 350.0, rng)
    passing = band_noise(samples, 250.0, 1500.0, rng) * _swell(samples, 6.0, 0.97, rng) ** 4
    return rumble + np.float32(0.9) * passing


def _thunder(samples: int, rng: np.random.Generator) -> Samples:
    def roll() -> Samples:
        length = sample_count(float(rng.uniform(3.0, 5.5)))
        shape = np.zeros(length, np.float32)
        for start_sec in np.sort(rng.uniform(0.0, 1.8, 5)):
            later = np.maximum(times(length) - np.float32(start_sec), 0.0)
            clap = np.minimum(later / 0.08, 1.0) * np.exp(-later / np.float32(0.8))
            shape += np.float32(rng.uniform(0.4, 1.0)) * as_samples(clap)
        low = band_noise(length, 40.0, 160.0, rng) + 0.35 * band_noise(length, 150.0, 500.0, rng)
        low[-2400:] *= np.linspace(1.0, 0.0, 2400, dtype=np.float32)
        return as_samples(low * shape)

    line = np.zeros(samples, np.float32)
    start = int(rng.uniform(0.05, 0.25) * samples)
    while start < samples:  # not thrown at random: a storm that is never heard is none
        sound = roll()[: samples - start]
        line[start : start + sound.size] += sound
        start += int(rng.uniform(6.0, 10.0) * SAMPLE_RATE)
    return line


def _fireworks(samples: int, rng: np.random.Generator) -> Samples:
    def rocket() -> Samples:
        length = sample_count(1.6)
        boom = burst(length, 60.0, 300.0, 0.16, rng) + 0.3 * burst(length, 300.0, 1500.0, 0.05, rng)
        glitter = np.zeros(length, np.float32)
        for start in rng.integers(length // 8, length - 4000, 30):
            spark = _click(rng, 0.008, 1800.0, 5000.0)
            glitter[start : start + spark.size] += np.float32(0.35) * spark
        fall = np.linspace(1.0, 0.0, length, dtype=np.float32)
        return as_samples(np.float32(rng.uniform(0.5, 1.0)) * (boom + glitter) * fall)

    return _scatter(samples, 0.9, rocket, rng)


def _stream(samples: int, rng: np.random.Generator) -> Samples:
    def bubble() -> Samples:
        length = sample_count(float(rng.uniform(0.02, 0.06)))
        seconds = times(length)
        # A bubble's tone rises as it nears the surface.
        turns = float(rng.uniform(450.0, 1600.0)) * (seconds + 4.0 * seconds**2)
        shape = np.sin(np.pi * np.linspace(0.0, 1.0, length, dtype=np.float32)) ** 2
        return as_samples(rng.uniform(0.3, 1.0) * shape * np.sin(np.float32(2 * np.pi) * turns))

    wash = band_noise(samples, 600.0, 4500.0, rng) * _swell(samples, 2.5, 0.3, rng)
    return np.float32(0.25) * wash + np.float32(1.1) * _scatter(samples, 55.0, bubble, rng)


def _train(samples: int, rng: np.random.Generator) -> Samples:
    line = band_noise(samples, 50.0, 260.0, rng) + 0.25 * band_noise(samples, 260.0, 1200.0, rng)
    joint = int(1.35 * SAMPLE_RATE)
    for start in range(0, samples - joint, joint):
        for offset, level in ((0.0, 1.0), (0.13, 0.8), (0.52, 0.55), (0.65, 0.45)):
            knock = burst(sample_count(0.3), 90.0, 900.0, 0.035, rng) * np.float32(2.2 * level)
            first = start + sample_count(offset)
            line[first : first + knock.size] += knock
    return as_samples(line)


def _projector(samples: int, rng: np.random.Generator) -> Samples:
    frame = SAMPLE_RATE // 18  # frames a second of a home movie
    shutter = burst(frame, 500.0, 3200.0, 0.006, rng)
    shutter += 0.5 * np.roll(burst(frame, 900.0, 4500.0, 0.004, rng), frame // 2)
    rows = -(-samples // frame)
    levels = as_samples(rng.uniform(0.7, 1.0, rows))
    rattle = (levels[:, None] * shutter).ravel()[:samples]
    return as_samples(rattle + np.float32(0.12) * band_noise(samples, 120.0, 700.0, rng))


def _room(samples: int, rng: np.random.Generator) -> Samples:
    hum = np.sin(phase(100.0, samples)) + 0.4 * np.sin(phase(200.0, samples))
    air = band_noise(samples, 120.0, 1600.0, rng)
    page = _scatter(samples, 0.25, lambda: burst(12_000, 1500.0, 6000.0, 0.05, rng), rng)
    return as_samples(0.2 * hum + air + np.float32(0.9) * page)


TEXTURES: dict[str, Callable[[int, np.random.Generator], Samples]] = {
    "vinyl crackle": _vinyl,
    "rain": _rain,
    "tape hiss": _hiss,
    "ocean": _ocean,
    "forest": _forest,
    "cafe": _cafe,
    "night": _night,
    "fireplace": _fireplace,
    "wind": _wind,
    "city": _city,
    "thunder": _thunder,
    "fireworks": _fireworks,
    "stream": _stream,
    "train": _train,
    "projector": _projector,
    "room": _room,
}
