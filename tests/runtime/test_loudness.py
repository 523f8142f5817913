from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.loudness import SAMPLE_RATE, integrated_loudness


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
    pyloudnorm = pytest.importorskip("pyloudnorm")
    swell = np.linspace(0.01, 0.5, 6 * SAMPLE_RATE)
    samples = (swell * np.random.default_rng(2).normal(size=(2, swell.size))).astype(np.float32)
    expected = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T)
    assert integrated_loudness(samples) == pytest.approx(expected, abs=0.05)
