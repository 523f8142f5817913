from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.errors import BackendError
from lofi_runtime.faults import faults
from lofi_runtime.loudness import CEILING, PEAK_DBFS, TARGET_LUFS, integrated_loudness
from lofi_runtime.pipeline.master import master
from tests.support.true_peak import true_peak_dbfs


def noise(seconds, rate=44_100, level=0.05, seed=0):
    shape = (2, round(seconds * rate))
    return (level * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def test_the_answer_has_exactly_the_duration_at_48_khz():
    for seconds in (1, 2, 3):
        frames = -(-seconds * 44_100 // 4096)
        audio = master(noise(frames * 4096 / 44_100), 44_100, seconds)
        assert audio.samples.shape == (2, seconds * 48_000)
        assert audio.samples.dtype == np.float32
        assert audio.warnings == ()


def test_a_tone_keeps_its_pitch_through_resampling():
    tone = 0.2 * np.sin(2 * np.pi * 1000 * np.arange(3 * 44_100) / 44_100)
    audio = master(np.stack([tone, tone]).astype(np.float32), 44_100, 2)
    spectrum = np.abs(np.fft.rfft(audio.samples[0] * np.hanning(96_000)))
    assert spectrum.argmax() == 2000  # bins of half a hertz


@pytest.mark.parametrize("level", [0.01, 0.05, 0.3])
def test_loudness_reaches_the_target_below_the_ceiling(level):
    audio = master(noise(4, level=level), 44_100, 4)
    assert integrated_loudness(audio.samples) == pytest.approx(TARGET_LUFS, abs=0.7)
    assert np.abs(audio.samples).max() <= CEILING + 1e-6


def beats(level):
    seconds = np.arange(8 * 44_100) / 44_100
    hits = 0.9 * np.exp(-20 * (seconds % 0.5)) * np.sin(2 * np.pi * 60 * seconds)
    return (level * (hits + noise(8, level=0.02))).astype(np.float32)


def shrill():
    seconds = np.arange(8 * 44_100) / 44_100
    wave = np.sign(np.sin(2 * np.pi * 7000 * seconds + 1)) * (np.sin(4 * np.pi * seconds) > 0)
    return np.stack([wave, wave]).astype(np.float32)


def bang():
    waveform = noise(8, level=0.01)
    waveform[:, 200_000:200_020] = 1.0
    return waveform


@pytest.mark.parametrize(
    "waveform", [noise(8), noise(8, level=1.0), beats(1.0), beats(0.2), shrill(), bang()]
)
def test_whatever_comes_ends_within_1_lu_of_the_target_below_the_true_peak(waveform):
    audio = master(waveform, 44_100, 8)
    assert integrated_loudness(audio.samples) == pytest.approx(TARGET_LUFS, abs=1.0)
    assert true_peak_dbfs(audio.samples) <= PEAK_DBFS


def test_a_very_quiet_track_is_not_raised_without_limit():
    audio = master(noise(2, level=1e-3), 44_100, 2)
    assert integrated_loudness(audio.samples) < TARGET_LUFS - 5
    (warning,) = audio.warnings
    assert warning == "quiet: 20 LU below other tracks, though raised by 20 dB"


def test_peaks_are_limited_smoothly():
    waveform = noise(2, rate=48_000, level=0.05)
    waveform[:, 40_000:40_004] = 1.0
    audio = master(waveform, 48_000, 2)
    assert np.abs(audio.samples).max() <= CEILING + 1e-6
    far = slice(10_000, 30_000)
    gain = audio.samples[:, far] / waveform[:, far]
    assert gain.std() < 1e-5  # what is far from the peak keeps its shape


def test_both_ends_are_faded():
    audio = master(noise(2), 44_100, 2)
    assert not audio.samples[:, 0].any()
    assert not audio.samples[:, -1].any()
    assert np.abs(audio.samples[:, -20:]).max() < 0.01 * np.abs(audio.samples).max()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_numbers_are_an_error_not_silence(bad):
    waveform = noise(1)
    waveform[1, 7] = bad
    with pytest.raises(BackendError, match="gave 1 samples that are not numbers, of 88200"):
        master(waveform, 44_100, 1)


def test_a_waveform_too_short_is_refused():
    with pytest.raises(BackendError, match="gave 48000 samples, 96000 wanted"):
        master(noise(1), 44_100, 2)


def test_silence_stays_silence_and_is_said_as_before_mastering():
    silent = master(np.zeros((2, 48_000), np.float32), 48_000, 1)
    assert not silent.samples.any()
    assert faults(silent.samples) == ("silent",)
    hum = np.full((2, 4 * 48_000), 9e-5, np.float32)
    assert faults(master(hum, 48_000, 4).samples) == ("silent",)
    mostly = noise(4, rate=48_000)
    mostly[:, 48_000:] = 0
    assert faults(master(mostly, 48_000, 4).samples) == ("mostly silent: 75% of the track",)


def test_what_the_model_clipped_is_said_though_the_limiter_hides_it():
    clipped = np.clip(noise(2, rate=48_000, level=0.6), -1, 1)
    (warning,) = master(clipped, 48_000, 2).warnings
    assert warning.startswith("distorted: 9.")
