from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.loudness import integrated_loudness, limit
from lofi_runtime.synth import draws, mix

RATE = 48_000


def sine(hz, seconds=2.0, level=0.5):
    tone = level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)
    return np.stack([tone, tone]).astype(np.float32)


def test_loudness_agrees_with_the_standards_calibration_tone():
    # BS.1770: a full-scale 997 Hz sine on one channel reads -3.01 LUFS.
    tone = sine(997.0, 5.0, 1.0)
    tone[1] = 0.0
    assert integrated_loudness(tone) == pytest.approx(-3.01, abs=0.05)
    assert integrated_loudness(np.zeros((2, RATE), np.float32)) == -np.inf
    assert integrated_loudness(np.zeros((2, 100), np.float32)) == -np.inf


def test_loudness_is_the_same_in_one_chunk_and_in_many(monkeypatch):
    from lofi_runtime import loudness

    noise = draws.generator("n").standard_normal((2, 5 * RATE), dtype=np.float32) * 0.1
    whole = integrated_loudness(noise)
    monkeypatch.setattr(loudness, "_CHUNK", 30_000)
    assert integrated_loudness(noise) == pytest.approx(whole, abs=1e-3)


def test_the_limiter_holds_its_ceiling_and_leaves_quiet_sound_alone():
    loud = sine(200.0, level=0.2)
    loud[:, 40_000:40_200] *= 6.0
    before = loud.copy()
    limit(loud, 0.5)
    assert np.abs(loud).max() <= 0.5 + 1e-6
    np.testing.assert_array_equal(loud[:, :30_000], before[:, :30_000])
    quiet = sine(200.0, level=0.1)
    before = quiet.copy()
    limit(quiet, 0.5)
    np.testing.assert_array_equal(quiet, before)


@pytest.mark.parametrize("effect", ["tone", "room", "wow", "saturate"])
def test_an_effect_is_the_same_in_one_chunk_and_in_many(monkeypatch, effect):
    def run():
        bus = draws.generator("bus").standard_normal((2, 100_001), dtype=np.float32) * 0.1
        rng = draws.generator("effect")
        if effect == "tone":
            mix.tone(bus, 7000.0)
        elif effect == "room":
            mix.add_room(bus, 0.3, 1.0, rng)
        elif effect == "wow":
            mix.wow_and_flutter(bus, 10.0, rng)
        else:
            mix.saturate(bus, 2.0)
        return bus

    whole = run()
    monkeypatch.setattr(mix, "_CHUNK", 16_384)
    np.testing.assert_allclose(run(), whole, atol=2e-4)


def test_wow_bends_pitch_by_what_it_says_and_keeps_the_level():
    bus = sine(1000.0, 8.0)
    mix.wow_and_flutter(bus, 20.0, draws.generator("wow"))
    steady = bus[0, 4800:-4800].astype(np.float64)
    rising = np.flatnonzero((steady[:-1] < 0) & (steady[1:] >= 0))
    crossings = rising - steady[rising] / (steady[rising + 1] - steady[rising])
    hz = RATE / np.diff(crossings)
    cents = 1200 * np.log2(np.convolve(hz, np.ones(20) / 20, "valid") / 1000.0)
    assert 6.0 < np.abs(cents).max() < 24.0
    assert np.sqrt((steady**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_widening_keeps_the_mono_sum():
    bus = sine(300.0)
    before = bus.sum(axis=0)
    mix.widen(bus, 0.5)
    np.testing.assert_allclose(bus.sum(axis=0), before, atol=1e-6)
    assert np.abs(bus[0] - bus[1]).max() > 0.1


def test_ducking_is_deepest_after_a_kick_and_over_before_the_next_beat():
    bus = np.ones((2, RATE), np.float32)
    mix.duck(bus, np.array([1000]), 0.5)
    assert bus[0, 999] == 1.0
    assert bus[0].min() == pytest.approx(0.5, abs=0.02)
    assert np.all(bus[:, 1000 + int(0.26 * RATE) :] == 1.0)
    assert np.abs(np.diff(bus[0])).max() < 0.01


def test_a_reverb_tail_fades_and_stays_behind_the_sound():
    bus = np.zeros((2, 3 * RATE), np.float32)
    bus[:, 1000] = 1.0
    mix.add_room(bus, 0.3, 1.0, draws.generator("room"))
    early = np.abs(bus[:, 1100 : RATE // 4]).max()
    late = np.abs(bus[:, int(1.5 * RATE) :]).max()
    assert 1e-4 < early < 0.3
    assert late < 0.01 * early


def test_silence_is_mastered_to_silence():
    bus = np.zeros((2, RATE), np.float32)
    mix.master(bus)
    assert not bus.any()
