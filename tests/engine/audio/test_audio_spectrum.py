from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from lofi_engine.audio.spectrum import spectrum_facts

RATE = 44_100


def noise(level_dbfs: float, seconds: float = 6.0, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(5)
    sound = rng.standard_normal((channels, round(seconds * RATE)), dtype=np.float32)
    return sound * np.float32(10 ** (level_dbfs / 20))


def brick_wall(samples: np.ndarray, hertz: float) -> np.ndarray:
    """Cut everything above, as a low bitrate does."""
    spectrum = np.fft.rfft(samples, axis=1)
    spectrum[:, np.fft.rfftfreq(samples.shape[1], 1 / RATE) > hertz] = 0
    return np.fft.irfft(spectrum, samples.shape[1], axis=1).astype(np.float32)


def test_bandwidth_ends_where_the_sound_does():
    assert spectrum_facts(noise(-20), RATE).bandwidth_hz > 21_000
    found = spectrum_facts(brick_wall(noise(-20), 8_000), RATE)
    assert found.bandwidth_hz == pytest.approx(8_000, abs=300)


def test_an_encoders_low_pass_is_a_step_and_a_musicians_is_not():
    assert spectrum_facts(brick_wall(noise(-20), 16_000), RATE).cutoff_db > 60
    soft = sosfilt(butter(2, 3_000, fs=RATE, output="sos"), noise(-20), axis=1)
    quantised = (np.round(soft * 32_767) / 32_768).astype(np.float32)
    assert spectrum_facts(quantised, RATE).cutoff_db < 15


def test_the_sides_of_a_track_count_even_when_its_middle_is_empty():
    sound = noise(-20, channels=1)
    assert spectrum_facts(np.concatenate([sound, -sound]), RATE).bandwidth_hz > 21_000


@pytest.mark.parametrize("level_dbfs", [-30.0, -50.0, -70.0])
def test_the_noise_floor_is_the_noise_under_the_sound(level_dbfs):
    seconds = np.arange(6 * RATE) / RATE
    # A pad that never pauses and a note four times a second.
    pad = 0.1 * np.sin(2 * np.pi * 220 * seconds) + 0.05 * np.sin(2 * np.pi * 331.7 * seconds)
    note = 0.3 * np.sin(2 * np.pi * 880 * seconds) * np.exp(-12 * (seconds * 4 % 1))
    sound = noise(level_dbfs) + (pad + note).astype(np.float32)
    found = spectrum_facts(sound, RATE).noise_floor_dbfs
    assert found == pytest.approx(level_dbfs, abs=1.5)


def test_crackle_is_not_a_noise_floor():
    sound = noise(-80)
    at = np.random.default_rng(1).integers(0, sound.shape[1], 40)
    sound[:, at] += 0.3
    assert spectrum_facts(sound, RATE).noise_floor_dbfs < -65


def test_silence_has_no_floor_and_pauses_do_not_hide_one():
    assert spectrum_facts(np.zeros((2, RATE), np.float32), RATE).noise_floor_dbfs == -120.0
    sound = noise(-40)
    sound[:, : 3 * RATE] = 0
    assert spectrum_facts(sound, RATE).noise_floor_dbfs == pytest.approx(-40, abs=1)


def test_what_is_shorter_than_a_window_is_not_judged():
    found = spectrum_facts(noise(-20, 0.05), RATE)
    assert (found.bandwidth_hz, found.noise_floor_dbfs) == (RATE // 2, -120.0)
