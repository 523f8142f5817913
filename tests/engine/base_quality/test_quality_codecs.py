"""The codecs that a base is held against are as good as people know them to be."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.base_quality.codecs import through_mp3, through_mu_law

RATE = 44_100


@pytest.fixture(scope="module")
def music():
    rng = np.random.default_rng(1)
    times = np.arange(3 * RATE) / RATE
    tones = [
        rng.uniform(0.02, 0.1) * np.sin(2 * np.pi * hz * times) for hz in (110, 277, 880, 3100)
    ]
    swing = np.abs(np.sin(2 * np.pi * 1.3 * times))
    return (np.stack([sum(tones), sum(tones[1:])]) * swing).astype(np.float32)


def _snr_db(found, original):
    return 10 * np.log10(np.square(original).sum() / np.square(found - original).sum())


def test_mp3_comes_back_in_time_and_close_to_what_was_encoded(music):
    found = through_mp3(music, RATE)
    assert found.shape == music.shape
    assert _snr_db(found, music) > 20.0


def test_mu_law_keeps_some_37_db_at_any_level(music):
    for gain in (0.5, 2.0):
        assert _snr_db(through_mu_law(music * gain), music * gain) == pytest.approx(37.0, abs=3.0)


def test_mu_law_keeps_silence_nearly_silent():
    assert np.abs(through_mu_law(np.zeros((2, 100), np.float32))).max() < 1e-4
