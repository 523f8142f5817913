from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.audio.measure import bandwidth_hz, clipped_share, decibels, measure
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


@pytest.mark.parametrize("hertz", [55, 110, 440, 5_000])
@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.02])
def test_a_pure_tone_is_never_called_clipped(hertz, amplitude):
    assert clipped_share(sine(hertz, amplitude)) < 0.001


def test_clipping_shows_at_full_scale_and_after_it_was_turned_down():
    clipped = np.clip(sine(110, 1.0, bits=None) * 2, -1, 1)
    assert clipped_share(clipped) == pytest.approx(2 / 3, abs=0.01)
    assert clipped_share(clipped * 0.5) == pytest.approx(2 / 3, abs=0.01)
    one_side = clipped.copy()
    one_side[1] *= 0.1
    assert clipped_share(one_side) > 0.3


def test_samples_above_full_scale_in_a_float_file_count_as_clipped():
    assert clipped_share(sine(110, 2.0, bits=None)) == pytest.approx(2 / 3, abs=0.01)


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
    assert measure(np.full((1, 10), 0.1, np.float32), RATE).peak_dbfs == pytest.approx(-20.0)


def test_bandwidth_ends_where_the_sound_does():
    noise = np.random.default_rng(0).standard_normal(RATE * 2).astype(np.float32) * 0.1
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / RATE) > 8_000] = 0
    low = np.fft.irfft(spectrum).astype(np.float32)[None]
    assert bandwidth_hz(low, RATE) == pytest.approx(8_000, abs=300)
    assert bandwidth_hz(noise[None], RATE) > 21_000
    assert bandwidth_hz(np.zeros((2, RATE), np.float32), RATE) == 0


def test_decibels_have_a_floor():
    assert decibels(1.0) == 0.0
    assert decibels(0.0) == -120.0
