from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.audio.measure import measure
from tests.support.audio_folder import tune

RATE = 44_100


def sine(hertz: float, amplitude: float, *, bits: int | None = 16) -> np.ndarray:
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(RATE * 2) / RATE)
    if bits:
        wave = np.round(wave * (2 ** (bits - 1) - 1)) / 2 ** (bits - 1)
    return np.stack([wave, wave]).astype(np.float32)


def test_a_sine_measures_what_it_is():
    found = measure(sine(440, 0.5, bits=None), RATE)
    assert found.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert found.rms_dbfs == pytest.approx(-9.03, abs=0.01)
    assert (found.clipped, found.silent) == (0.0, 0.0)
    assert abs(found.dc_offset) < 1e-4
    assert found.crest_db == pytest.approx(3.01, abs=0.01)
    assert found.true_peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert found.loudness_lufs == pytest.approx(-6.7, abs=0.1)  # 440 Hz is weighted little


def test_a_quiet_track_is_not_silent():
    music = tune(3.0, RATE, seed=1).T
    assert measure(music * 0.01, RATE).silent == 0.0
    assert measure(music, RATE).silent == 0.0


def test_silence_is_counted_in_frames_against_the_tracks_own_loudness():
    music = tune(2.0, RATE, seed=1).T
    half = np.concatenate([music, np.zeros_like(music)], axis=1)
    assert measure(half, RATE).silent == pytest.approx(0.5, abs=0.01)
    hissing = half.copy()
    hissing[:, music.shape[1] :] += 1e-4 * np.random.default_rng(0).standard_normal(music.shape[1])
    assert measure(hissing.astype(np.float32), RATE).silent == pytest.approx(0.5, abs=0.01)
    assert measure(np.zeros((2, RATE), np.float32), RATE).silent == 1.0


def test_a_constant_offset_is_silence_with_an_offset():
    found = measure(np.full((2, RATE), -0.25, np.float32), RATE)
    assert found.silent == 1.0
    assert found.dc_offset == pytest.approx(-0.25)
    assert found.rms_dbfs == -120.0


def test_a_track_shorter_than_a_frame_can_be_measured():
    found = measure(np.full((1, 10), 0.1, np.float32), RATE)
    assert found.peak_dbfs == pytest.approx(-20.0)
    assert (found.loudness_lufs, found.noise_floor_dbfs) == (-70.0, -120.0)


def test_digital_silence_measures_the_floors_of_all_scales():
    found = measure(np.zeros((2, RATE), np.float32), RATE)
    assert (found.peak_dbfs, found.true_peak_dbfs, found.rms_dbfs) == (-120.0, -120.0, -120.0)
    assert (found.loudness_lufs, found.noise_floor_dbfs) == (-70.0, -120.0)
    assert (found.clipped, found.clipped_between, found.bandwidth_hz) == (0.0, 0.0, 0)


def test_the_crest_factor_falls_when_music_is_limited_hard():
    music = tune(3.0, RATE, seed=1).T
    limited = np.tanh(music * 20).astype(np.float32)
    assert measure(music, RATE).crest_db > 10
    assert measure(limited, RATE).crest_db < 4


def test_peaks_are_of_every_channel_and_the_sound_of_what_is_heard():
    six = np.zeros((6, RATE * 2), np.float32)
    six[3] = sine(60, 0.9, bits=None)[0]  # the low-frequency channel, which nobody hears in stereo
    heard = sine(997, 0.1, bits=None)
    found = measure(six, RATE, heard)
    assert found.peak_dbfs == pytest.approx(-0.92, abs=0.01)
    assert found.loudness_lufs == pytest.approx(-20.0, abs=0.1)
