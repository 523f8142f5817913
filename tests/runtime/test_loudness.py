from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.backend import SAMPLE_RATE
from lofi_runtime.loudness import (
    CEILING,
    MAX_GAIN_DB,
    PEAK_DBFS,
    TARGET_LUFS,
    integrated_loudness,
    to_target,
)


def tone(level_dbfs, seconds=5, frequency=997):
    wave = np.sin(2 * np.pi * frequency * np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE)
    return np.stack([wave, wave]).astype(np.float32) * np.float32(10 ** (level_dbfs / 20))


def test_a_stereo_tone_of_1_khz_has_its_peak_level():
    # EBU Tech 3341, case 1: stereo sine of 1 kHz at -23 dBFS reads -23.0 LUFS within 0.1.
    assert integrated_loudness(tone(-23.0)) == pytest.approx(-23.0, abs=0.1)
    assert integrated_loudness(tone(-33.0)) == pytest.approx(-33.0, abs=0.1)


def test_quiet_stretches_are_gated():
    # EBU Tech 3341, case 3, shortened: quiet before and after does not count.
    samples = np.concatenate([tone(-36.0, 2), tone(-23.0, 30), tone(-36.0, 2)], axis=1)
    assert integrated_loudness(samples) == pytest.approx(-23.0, abs=0.1)


def test_silence_and_less_than_a_block_have_no_loudness():
    assert integrated_loudness(np.zeros((2, SAMPLE_RATE), np.float32)) == -np.inf
    assert integrated_loudness(tone(-10.0)[:, :1000]) == -np.inf


def test_it_agrees_with_pyloudnorm():
    import pyloudnorm

    swell = np.linspace(0.01, 0.5, 6 * SAMPLE_RATE)
    samples = (swell * np.random.default_rng(2).normal(size=(2, swell.size))).astype(np.float32)
    expected = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T)
    assert integrated_loudness(samples) == pytest.approx(expected, abs=0.05)


def test_every_track_comes_to_one_loudness_with_safe_peaks():
    samples = tone(-24.0)
    samples[:, :: SAMPLE_RATE // 2] = 0.8  # beats, to be limited
    assert to_target(samples)
    assert integrated_loudness(samples) == pytest.approx(TARGET_LUFS, abs=0.1)
    assert np.abs(samples).max() <= CEILING + 1e-6
    assert 20 * np.log10(CEILING) < PEAK_DBFS


def test_what_is_nearly_silent_is_not_raised_to_noise():
    quiet = tone(-60.0)
    assert to_target(quiet)
    assert integrated_loudness(quiet) == pytest.approx(MAX_GAIN_DB - 60.0, abs=0.1)


def test_what_has_no_loudness_is_only_limited():
    short = np.ones((2, 1000), np.float32)
    assert not to_target(short)
    assert np.abs(short).max() <= CEILING + 1e-6
    silence = np.zeros((2, SAMPLE_RATE), np.float32)
    assert not to_target(silence)
    assert not silence.any()
