from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.audio.levels import decibels, frame_levels, integrated_loudness, offsets
from tests.support.audio_folder import tune


def tone(level_dbfs: float, seconds: float = 5.0, rate: int = 48_000, channels: int = 2):
    wave = np.sin(2 * np.pi * 997 * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave * 10 ** (level_dbfs / 20), (channels, 1)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_a_997_hz_tone_on_both_sides_has_its_peak_level_in_lufs(rate):
    # BS.1770 sets its scale so that one side at 0 dBFS reads -3.01.
    assert integrated_loudness(tone(-23.0, rate=rate), rate) == pytest.approx(-23.0, abs=0.05)


def test_mono_is_as_loud_as_the_stereo_it_becomes():
    both, one = tone(-20.0), tone(-20.0, channels=1)
    assert integrated_loudness(one, 48_000) == pytest.approx(integrated_loudness(both, 48_000))
    left = both.copy()
    left[1] = 0
    assert integrated_loudness(left, 48_000) == pytest.approx(-23.01, abs=0.05)


def test_quiet_stretches_are_gated():
    # EBU Tech 3341, case 3, shortened.
    sound = np.concatenate([tone(-36.0, 2), tone(-23.0, 20), tone(-36.0, 2)], axis=1)
    assert integrated_loudness(sound, 48_000) == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_it_says_what_the_library_says_of_the_whole_sound(rate):
    import pyloudnorm

    samples = (tune(6.0, rate, seed=4) * np.linspace(0.1, 1, 6 * rate)[:, None]).astype(np.float32)
    wanted = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples)
    assert integrated_loudness(samples.T, rate) == pytest.approx(wanted, abs=0.01)


def test_silence_and_what_is_shorter_than_a_block_have_the_least_loudness():
    assert integrated_loudness(np.zeros((2, 48_000), np.float32), 48_000) == -70.0
    assert integrated_loudness(tone(-90.0), 48_000) == -70.0
    assert integrated_loudness(np.zeros((2, 100), np.float32), 48_000) == -70.0


def test_each_channels_offset_is_its_mean():
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 100_001))
    noise -= noise.mean(axis=1, keepdims=True)
    found = offsets((noise + np.array([[0.25], [-0.001]])).astype(np.float32))
    assert found.tolist() == pytest.approx([0.25, -0.001], abs=1e-7)


def test_frames_have_the_level_of_what_sounds_in_them_without_the_offset():
    sound = np.concatenate([tone(0.0, 1.0), tone(-40.0, 1.0)], axis=1) + np.float32(0.1)
    levels = frame_levels(sound, 48_000)
    assert len(levels) == 40
    assert levels[:20] == pytest.approx(-3.01, abs=0.02)
    assert levels[20:] == pytest.approx(-43.01, abs=0.1)


def test_decibels_have_a_floor():
    assert decibels(1.0) == 0.0
    assert decibels(0.0) == -120.0
