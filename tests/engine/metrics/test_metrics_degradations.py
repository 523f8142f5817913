"""The physics of each degradation, measured on what it does to known signals and to lofi."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from lofi_engine.audio.music import ANALYSIS_RATE, find_tempo
from lofi_engine.errors import MetricError
from lofi_engine.metrics.ladder.degradations import (
    DEGRADATIONS,
    FRAME_RATE_HZ,
    find_degradation,
)
from lofi_engine.metrics.ladder.stretch import stretch
from lofi_runtime.pipeline.resample import resample
from lofi_runtime.synth import compose, render

RATE = 48_000


@cache
def _lofi():
    return render(compose("", seed=2, duration_sec=12.0, style="CORE-02"))


def _tone(hertz, seconds=2.0, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(
        np.float32
    )


def _power_db(samples):
    return 10 * np.log10(np.square(samples, dtype=np.float64).mean())


def _degraded(name, level, samples, seed=0):
    return DEGRADATIONS[name].apply(samples, RATE, level, seed)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_every_level_keeps_shape_and_type_and_is_the_same_twice(name):
    samples = _lofi()[:, : 3 * RATE]
    kept = samples.copy()
    for level in DEGRADATIONS[name].levels:
        once = _degraded(name, level, samples)
        assert once.shape == samples.shape
        assert once.dtype == np.float32
        assert np.isfinite(once).all()
        assert np.array_equal(once, _degraded(name, level, samples))
        assert not np.array_equal(once, samples)
    assert np.array_equal(samples, kept)


# Not the tempo, which is measured below: how far shifted waveforms are apart means nothing.
@pytest.mark.parametrize("name", ["quantization", "low-pass", "noise", "clipping", "buzz"])
def test_every_level_is_farther_from_the_original_than_the_one_before(name):
    samples = _lofi()[:, : 6 * RATE]
    errors = [
        _power_db(_degraded(name, level, samples) - samples) for level in DEGRADATIONS[name].levels
    ]
    assert all(later > earlier + 2 for earlier, later in pairwise(errors))


def test_the_level_is_kept_but_for_what_is_cut_off():
    samples = _lofi()
    for name in ("quantization", "low-pass", "tempo", "buzz", "noise"):
        for level in DEGRADATIONS[name].levels:
            change = _power_db(_degraded(name, level, samples)) - _power_db(samples)
            assert abs(change) < 1.0, (name, level, change)


def test_quantization_leaves_two_to_the_bits_steps_and_six_decibels_a_bit():
    ramp = np.linspace(-1, 1, 100_000, dtype=np.float32)[None]
    assert len(np.unique(_degraded("quantization", 4, ramp))) == 2**4
    tone = _tone(997.0)[None]
    errors = {bits: _power_db(_degraded("quantization", bits, tone) - tone) for bits in (12, 8)}
    # The error of a step q is q^2 / 12: with q = 2 / 2^bits, -4.77 - 6.02 bits dB.
    assert errors[12] == pytest.approx(-4.77 - 6.02 * 12, abs=0.3)
    assert errors[8] == pytest.approx(-4.77 - 6.02 * 8, abs=0.3)


@pytest.mark.parametrize("cutoff", [8_000, 1_500])
def test_the_low_pass_halves_at_its_frequency_falls_48_db_an_octave_and_shifts_nothing(cutoff):
    impulse = np.zeros((1, RATE), np.float32)
    impulse[0, RATE // 2] = 1.0
    answer = _degraded("low-pass", cutoff, impulse)[0]
    assert int(np.argmax(answer)) == RATE // 2
    assert np.allclose(
        answer[RATE // 2 - 500 : RATE // 2], answer[RATE // 2 + 500 : RATE // 2 : -1]
    )
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(answer)) + 1e-12)  # one bin a hertz
    assert gain_db[cutoff] == pytest.approx(-6.02, abs=0.1)
    assert gain_db[cutoff // 2] == pytest.approx(0, abs=0.1)
    if cutoff == 1_500:  # well under half the sample rate, where the slope is not warped
        assert gain_db[4 * cutoff] - gain_db[2 * cutoff] == pytest.approx(-48, abs=6)


def test_a_low_pass_above_what_the_sample_rate_holds_changes_nothing():
    samples = _lofi()[:, :1000]
    assert np.array_equal(DEGRADATIONS["low-pass"].apply(samples, 22_050, 12_000, 0), samples)


@pytest.mark.parametrize("name", ["noise", "buzz"])
@pytest.mark.parametrize("under_db", [50, 10])
def test_noise_and_buzz_stand_as_far_under_the_signal_as_stated(name, under_db):
    samples = _lofi()
    added = _degraded(name, under_db, samples).astype(np.float64) - samples
    assert _power_db(samples) - _power_db(added) == pytest.approx(under_db, abs=0.05)


def test_noise_is_white_and_another_in_each_channel_and_for_each_seed():
    silence_like = np.stack([_tone(1000.0), _tone(1000.0)])
    added = _degraded("noise", 10, silence_like, seed=1) - silence_like
    powers = np.abs(np.fft.rfft(added[0])) ** 2
    low, high = powers[: len(powers) // 2].mean(), powers[len(powers) // 2 :].mean()
    assert low / high == pytest.approx(1.0, abs=0.05)
    assert abs(np.corrcoef(added)[0, 1]) < 0.02
    other = _degraded("noise", 10, silence_like, seed=2) - silence_like
    assert abs(np.corrcoef(added[0], other[0])[0, 1]) < 0.02


@pytest.mark.parametrize("share", DEGRADATIONS["clipping"].levels)
def test_clipping_flattens_the_stated_share_of_samples_and_touches_no_other(share):
    samples = _lofi()
    clipped = _degraded("clipping", share, samples)
    most = np.abs(clipped).max()
    assert (np.abs(samples) > most).mean() * 100 == pytest.approx(share, rel=0.02)
    under = np.abs(samples) <= most
    assert np.array_equal(clipped[under], samples[under])


@pytest.mark.parametrize("percent", DEGRADATIONS["tempo"].levels)
def test_the_tempo_falls_by_the_stated_share_and_the_pitch_stays(percent):
    beats = np.zeros((1, 20 * RATE), np.float32)
    starts = np.arange(0.3, 19.5, 60 / 100)  # a hundred a minute
    hit = np.random.default_rng(0).standard_normal(2000) * np.exp(-np.arange(2000) / 300)
    for start in starts:
        beats[0, int(start * RATE) : int(start * RATE) + 2000] += hit.astype(np.float32)
    beats[0] += _tone(440.0, 20.0, 0.1)
    slowed = _degraded("tempo", percent, beats)
    heard = _onsets_sec(slowed[0])
    meant = starts[: len(heard)] / (1 - percent / 100)
    assert len(heard) == np.sum(starts / (1 - percent / 100) < 20.0)
    assert np.abs(heard - meant).max() < 0.02  # frames are taken from within 12 ms
    period = np.polyfit(np.arange(len(heard)), heard, 1)[0]
    assert period == pytest.approx(0.6 / (1 - percent / 100), rel=0.002)
    spectrum = np.abs(np.fft.rfft(slowed[0] * np.hanning(slowed.shape[1])))
    assert int(np.argmax(spectrum[300 * 20 : 600 * 20])) / 20.0 + 300 == pytest.approx(440.0, abs=2)


def _onsets_sec(mono):
    """Find where the level of a millisecond rises from quiet to loud."""
    levels = np.sqrt(np.square(mono[: len(mono) // 48 * 48]).reshape(-1, 48).mean(axis=1))
    loud = np.flatnonzero(levels > 0.5)
    return loud[np.diff(loud, prepend=-1000) > 200] / 1000


def test_slowed_lofi_is_slower_by_the_ear_of_the_tempo_finder():
    samples = _lofi()
    heard = [
        find_tempo(resample(one.mean(axis=0, keepdims=True), RATE, ANALYSIS_RATE)[0])
        for one in (samples, _degraded("tempo", 20, samples))
    ]
    assert heard[1] / heard[0] == pytest.approx(0.8, rel=0.035)  # the finder's own steps are 3 %


def test_stretching_by_nothing_gives_the_samples_back_and_keeps_length_by_speed():
    samples = _lofi()[:, : 2 * RATE]
    assert np.allclose(stretch(samples, RATE, 1.0), samples, atol=1e-6)
    assert stretch(samples, RATE, 0.8).shape == (2, round(2 * RATE / 0.8))
    assert stretch(samples[:, :7], RATE, 0.5).shape == (2, 14)


def test_the_buzz_is_a_comb_at_the_vocoders_frame_rate_alike_in_both_channels():
    samples = _lofi()
    added = _degraded("buzz", 10, samples).astype(np.float64) - samples
    assert np.allclose(added[0], added[1], atol=1e-6)
    spectrum = np.abs(np.fft.rfft(added[0] * np.hanning(added.shape[1])))
    hertz_a_bin = RATE / added.shape[1]
    lines = np.round(np.arange(1, 117) * FRAME_RATE_HZ / hertz_a_bin).astype(int)
    between = np.round((np.arange(1, 116) + 0.5) * FRAME_RATE_HZ / hertz_a_bin).astype(int)
    assert spectrum[lines].min() > 300 * spectrum[between].max()
    assert spectrum[lines].max() < 2 * spectrum[lines].min()  # the bins' own unevenness
    assert spectrum[round(10_200 / hertz_a_bin) :].max() < spectrum[lines].min() / 300


def test_a_sample_rate_of_its_own_moves_neither_comb_nor_filter():
    tone = _tone(1000.0)[None]
    added = DEGRADATIONS["buzz"].apply(tone, 22_050, 20, 0).astype(np.float64) - tone
    spectrum = np.abs(np.fft.rfft(added[0] * np.hanning(added.shape[1])))
    first = np.argmax(spectrum[: round(130 / 22_050 * added.shape[1])])
    assert first * 22_050 / added.shape[1] == pytest.approx(FRAME_RATE_HZ, abs=0.3)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_silence_and_a_single_sample_come_through(name):
    for samples in (np.zeros((2, RATE), np.float32), np.full((1, 1), 0.5, np.float32)):
        degraded = _degraded(name, DEGRADATIONS[name].levels[-1], samples)
        assert degraded.shape == samples.shape
        assert np.isfinite(degraded).all()


def test_no_samples_are_refused_and_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(MetricError, match=r"noise: samples of shape \(2, 0\) cannot be degraded"):
        _degraded("noise", 10, np.zeros((2, 0), np.float32))
    with pytest.raises(MetricError, match="there is no degradation 'lowpass'") as error:
        find_degradation("lowpass")
    assert "did you mean 'low-pass'? there are quantization, low-pass" in error.value.hint
