from __future__ import annotations

import functools

import numpy as np
import pytest

from lofi_runtime.loudness import PEAK_DBFS, TARGET_LUFS, integrated_loudness
from lofi_runtime.synth import compose, render
from tests.support.synth_hearing import (
    RATE,
    band_level_db,
    chroma,
    db,
    keys_by_fit,
    mono,
    noise_floor_db,
    spectrogram,
    tempo_bpm,
)


@functools.cache
def heard(prompt, seed=1, duration_sec=12, style=""):
    samples = render(compose(prompt, seed=seed, duration_sec=duration_sec, style=style))
    samples.setflags(write=False)
    return samples


@pytest.mark.parametrize("asked_bpm", [70, 90])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_tempo_asked_for_is_in_the_sound(asked_bpm, seed):
    samples = heard(f"lofi hip hop, rhodes, boom bap, {asked_bpm} bpm", seed, 16)
    assert tempo_bpm(samples) == pytest.approx(asked_bpm, rel=0.03)


def test_the_key_asked_for_is_the_one_heard():
    ranks = []
    for seed, key in enumerate(("A minor", "C major", "E minor", "Bb major", "F minor", "G major")):
        samples = heard(f"lofi, rhodes, no drums, no vinyl crackle, {key}", seed, 20)
        ranks.append(keys_by_fit(samples).index(key))
    assert ranks.count(0) >= 4, ranks
    assert max(ranks) <= 3, ranks


def test_minor_and_major_sound_their_own_third():
    for seed in (1, 2):
        major = chroma(heard("rhodes, no drums, c major", seed))
        minor = chroma(heard("rhodes, no drums, c minor", seed))
        assert major[4] > 1.3 * major[3]
        assert minor[3] > 1.3 * minor[4]


def treble_hits_db(samples):
    """Return the level above 5 kHz that the loudest frames reach: where hats and snares live."""
    bins_hz = np.fft.rfftfreq(1024, 1 / RATE)
    treble = spectrogram(mono(samples), 1024, 256)[:, (bins_hz > 5000) & (bins_hz < 12000)]
    return db(np.quantile(np.sqrt((treble**2).mean(axis=1)), 0.97))


def test_no_drums_leaves_no_drum_hits_in_the_sound():
    with_hits = treble_hits_db(heard("rhodes, boom bap, no vinyl crackle, 80 bpm"))
    without = treble_hits_db(heard("rhodes, no drums, no vinyl crackle, 80 bpm"))
    assert without < with_hits - 12.0


def test_rain_raises_the_floor_between_the_notes():
    dry = noise_floor_db(heard("rhodes, no drums, no vinyl crackle"))
    wet = noise_floor_db(heard("rhodes, no drums, no vinyl crackle, rain"))
    assert wet > dry + 12.0


def test_dark_and_filtered_sounds_darker_than_clean_and_happy():
    dark = heard("dark, filtered, rhodes, boom bap", 3)
    clean = heard("happy, clean, rhodes, boom bap", 3)
    darkness = band_level_db(dark, 4000, 16000) - band_level_db(dark, 100, 1000)
    clarity = band_level_db(clean, 4000, 16000) - band_level_db(clean, 100, 1000)
    assert darkness < clarity - 6.0


STYLES = ("CORE-01", "CORE-03", "CORE-04", "SEASON-02", "THEME-04", "INST-02", "VOCAL-01")


@pytest.mark.parametrize("style", STYLES)
def test_a_track_is_level_wide_and_clean(style):
    from scipy.signal import resample_poly

    samples = heard("", 2, style=style)
    assert samples.dtype == np.float32
    assert samples.shape == (2, 12 * RATE)
    assert np.isfinite(samples).all()
    assert integrated_loudness(samples) == pytest.approx(TARGET_LUFS, abs=0.3)
    loudest = np.abs(samples).max(axis=0).argmax()
    near = samples[:, max(loudest - RATE, 0) : loudest + RATE]
    assert db(np.abs(resample_poly(near, 4, 1, axis=1)).max()) <= PEAK_DBFS
    assert abs(samples.mean()) < 1e-3
    assert np.corrcoef(samples)[0, 1] < 0.985
    assert np.all(samples[:, 0] == 0.0)
    assert np.all(samples[:, -1] == 0.0)


@pytest.mark.parametrize("style", STYLES)
def test_the_middle_is_never_silent_and_the_timbre_is_mellow(style):
    samples = heard("", 2, style=style)
    middle = mono(samples)[2 * RATE : 9 * RATE]
    seconds = middle.reshape(-1, RATE // 2)
    assert db(np.sqrt((seconds**2).mean(axis=1)).min()) > -45.0
    treble, body = band_level_db(samples, 8000, 20000), band_level_db(samples, 60, 2000)
    assert treble < body - 15.0


def click_crest(samples):
    """Return the highest crest factor of the curvature in 10 ms; a lone step has 22."""
    curvature = np.abs(np.diff(samples, 2, axis=1)).max(axis=0)
    blocks = curvature[: curvature.size // 480 * 480].reshape(-1, 480)
    rms = np.sqrt((blocks**2).mean(axis=1))
    audible = rms > 1e-4
    return (blocks.max(axis=1)[audible] / rms[audible]).max()


def test_no_note_edge_clicks():
    for prompt in ("rhodes, bells", "guitar, flute", "piano, strings", "synth pads, saxophone"):
        samples = heard(f"{prompt}, no drums, no vinyl crackle")
        assert click_crest(samples) < 11.0, prompt
        assert np.abs(np.diff(samples, axis=1)).max() < 0.19, prompt
    broken = samples.copy()
    broken[:, 250_000:] += 0.1
    assert click_crest(broken) > 15.0


def test_the_same_score_gives_the_same_samples_and_another_seed_others():
    score = compose("sax, rain", seed=2**53 - 1, duration_sec=6)
    first = render(score)
    np.testing.assert_array_equal(render(score), first)
    other = render(compose("sax, rain", seed=1, duration_sec=6))
    assert abs(np.corrcoef(mono(first), mono(other))[0, 1]) < 0.5


def test_the_length_is_exact_even_for_odd_durations():
    for duration_sec in (0.1, 5.0, 7.123):
        samples = render(compose("piano", seed=1, duration_sec=duration_sec))
        assert samples.shape == (2, round(duration_sec * RATE))
        assert np.isfinite(samples).all()


@pytest.mark.parametrize(
    "prompt",
    [
        " ",
        "🌧☕🎹",
        "静かな雨の夜、ピアノとカフェ",
        "ok " * 333 + "!",
        "\x00\ud800",
        "no piano no rhodes",
    ],
)
def test_any_text_makes_music(prompt):
    samples = render(compose(prompt, seed=7, duration_sec=5))
    assert -16.0 < integrated_loudness(samples) < -13.0


def test_progress_is_told_between_parts_and_may_stop_the_work():
    calls = []
    score = compose("boom bap, piano", seed=1, duration_sec=8)
    render(score, lambda *call: calls.append(call))
    stages = [stage for stage, _, _ in calls]
    assert stages.index("render") < stages.index("mix")
    assert calls[-1] == ("mix", 7, 7)
    assert [done for stage, done, _ in calls if stage == "mix"] == list(range(8))
    assert all(0 <= done <= total for _, done, total in calls)

    class Stop(Exception):
        pass

    def stop(stage, done, total):
        if stage == "mix":
            raise Stop

    with pytest.raises(Stop):
        render(score, stop)
