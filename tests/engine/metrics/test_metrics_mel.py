from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.metrics.mel import (
    BANDS,
    FLOOR_DB,
    mel_distance_db,
    mel_levels_db,
    shortest_samples,
)

RATE = 48_000


def noise(seed: int, level: float = 0.1, length: int = RATE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((2, length))).astype(np.float32)


def test_the_same_sound_is_no_distance_away():
    assert mel_distance_db(noise(1), noise(1), RATE) == 0.0


def test_twice_as_loud_is_six_decibels_away_at_any_sample_rate():
    for rate in (16_000, 22_050, 44_100, 48_000, 96_000, 192_000):
        sound = noise(1)
        assert mel_distance_db(2 * sound, sound, rate) == pytest.approx(6.0206, abs=1e-3), rate


def test_bands_of_a_tone_add_up_to_its_mean_square():
    seconds = np.arange(RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 1000 * seconds)).astype(np.float32)[None]
    levels = mel_levels_db(tone, RATE)
    assert levels.shape == (1, 1 + RATE // 512, BANDS)
    middle = levels[0, 20].astype(np.float64)
    assert 10 * np.log10((10 ** (middle / 10)).sum()) == pytest.approx(
        10 * np.log10(0.125), abs=0.05
    )


def test_levels_agree_with_librosas_mel_spectrogram():
    import librosa

    sound = noise(2)
    powers = librosa.feature.melspectrogram(
        y=sound[0].astype(np.float64),
        sr=RATE,
        n_fft=2048,
        hop_length=512,
        n_mels=128,
        fmin=40,
        fmax=16_000,
        norm=None,
        pad_mode="reflect",
    )
    scale = 2 / (2048 * (np.hanning(2049)[:-1] ** 2).sum())
    assert pytest.approx(10 * np.log10(powers * scale), abs=1e-3) == mel_levels_db(sound, RATE)[0].T


def test_digital_silence_and_sixteen_bit_dither_are_alike():
    dither = noise(3, level=2.0**-16)
    assert mel_levels_db(dither, RATE).max() == pytest.approx(FLOOR_DB)
    assert mel_distance_db(dither, np.zeros_like(dither), RATE) == 0.0


def test_the_shortest_sound_can_be_measured():
    for rate in (RATE, 96_000):
        assert np.isfinite(mel_levels_db(noise(4, length=shortest_samples(rate)), rate)).all()
