from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.audio.peaks import Tops, clipped_share, true_peak
from tests.support.audio_folder import tune

RATE = 44_100


def sine(hertz: float, amplitude: float, *, bits: int | None = 16) -> np.ndarray:
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(RATE * 2) / RATE)
    if bits:
        wave = np.round(wave * (2 ** (bits - 1) - 1)) / 2 ** (bits - 1)
    return np.stack([wave, wave]).astype(np.float32)


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


def test_the_share_of_clipped_samples_is_exact():
    samples = np.zeros((2, 1_000), np.float32)
    samples[0, 100:110] = 1.0  # a flat top
    samples[0, 200:202] = 1.0  # two samples touch, as a loud peak does
    samples[1, 255:258] = -1.0  # across the border of a stretch
    assert clipped_share(samples) == pytest.approx(13 / 2_000)


def off_crest(level: float, rate: int = 48_000, channels: int = 2) -> np.ndarray:
    """Play a quarter of the sample rate so that no sample meets a crest: each is 3 dB under it.

    Faded in and out: an abrupt start would ring above the tone.
    """
    fade = np.minimum(1, np.minimum(np.arange(rate), np.arange(rate)[::-1]) / 500)
    wave = level * fade * np.sin(np.pi / 2 * np.arange(rate) + np.pi / 4)
    return np.tile(wave, (channels, 1)).astype(np.float32)


def decibels(amplitude: float) -> float:
    return float(20 * np.log10(amplitude))


def test_a_12_khz_tone_between_its_samples_peaks_3_db_higher():
    full = off_crest(1.0)
    assert decibels(np.abs(full).max()) == pytest.approx(-3.01, abs=0.01)
    assert decibels(true_peak(full, 48_000).amplitude) == pytest.approx(0.0, abs=0.05)


def test_overs_between_samples_are_counted_though_no_sample_is_over():
    hot = off_crest(1.3)
    assert np.abs(hot).max() < 0.93
    found = true_peak(hot, 48_000)
    assert decibels(found.amplitude) == pytest.approx(2.28, abs=0.05)
    # Every other gap holds a crest: 1.3 half way, 1.2 a quarter to either side; the rest cross 0.
    assert found.over == pytest.approx(0.5, abs=0.01)
    assert true_peak(off_crest(0.9), 48_000).over == 0.0


def test_a_loud_moment_is_found_wherever_it_is():
    for at in (0, 250, 255, 511, 30_000, 47_990):
        quiet = off_crest(0.01, channels=1)
        quiet[0, at : at + 10] = off_crest(0.8, channels=1)[0, 1_000:1_010]
        loudest = decibels(true_peak(quiet, 48_000).amplitude)
        assert decibels(0.8 / 2**0.5) < loudest < decibels(0.95)


def test_only_looking_where_peaks_can_be_changes_nothing():
    music = (2.5 * tune(3.0, RATE, seed=3).T).astype(np.float32)
    thrice = np.concatenate([music * 0.1, music, music * 0.3], axis=1)
    everywhere = Tops(thrice)
    loudest = everywhere.peak
    everywhere.highs[:] = loudest
    careful, short = true_peak(thrice, RATE, everywhere), true_peak(thrice, RATE)
    assert short.amplitude == careful.amplitude
    assert short.over == careful.over > 0


@pytest.mark.parametrize(("rate", "peak_db"), [(96_000, 0.0), (192_000, -3.01)])
def test_high_sample_rates_are_oversampled_less_as_the_annex_allows(rate, peak_db):
    found = true_peak(off_crest(1.0, rate), rate)
    assert decibels(found.amplitude) == pytest.approx(peak_db, abs=0.05)
