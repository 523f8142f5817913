"""The built-in embedding on sounds whose properties are known without hearing them."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.embeddings.sound import SoundEmbedding, measure
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS

RATE, LENGTH = 48_000, 144_000
SECONDS = np.arange(LENGTH) / RATE
EMBEDDING = SoundEmbedding()
NAMES = [dimension.name for dimension in EMBEDDING.dimensions_table]


def stereo(left, right=None):
    return np.stack([left, left if right is None else right]).astype(np.float32)


def sine(frequency_hz, level=0.25):
    return level * np.sin(2 * np.pi * frequency_hz * SECONDS)


def noise(seed=0, level=0.1):
    return level * np.random.default_rng(seed).standard_normal(LENGTH)


def chord(*frequencies_hz):
    return sum(sine(f, 0.1) for f in frequencies_hz)


def hits(beats_a_minute):
    """Give 50 ms bursts of noise at this tempo."""
    since = np.mod(SECONDS + 0.1, 60 / beats_a_minute)
    return noise() * np.exp(-since / 0.05)


def music(seed=1):
    """Give something with notes, hits and width, quick to make."""
    wide = 0.02 * noise(seed) / 0.1
    together = chord(220, 277.2, 329.6) + hits(80)
    return stereo(together + wide, together - 0.5 * wide)


def vector(samples):
    return EMBEDDING.embed(samples[None])[0]


def moved(first, second):
    """Give how far each dimension is moved, by name."""
    return dict(zip(NAMES, np.abs(vector(first) - vector(second)), strict=True))


def test_every_dimension_has_a_name_a_unit_a_meaning_and_a_spread():
    table = EMBEDDING.dimensions_table
    assert EMBEDDING.name == "lofi-sound-v1"
    assert EMBEDDING.dimensions == len(table) == len(set(NAMES)) == 58
    assert (EMBEDDING.sample_rate, EMBEDDING.channels) == (48_000, 2)
    assert (EMBEDDING.window_sec, EMBEDDING.hop_sec) == (3.0, 1.5)
    assert all(one.unit and one.says and one.spread > 0 for one in table)
    assert set(measure(music())) == set(NAMES)
    by_name = {one.name: one for one in table}
    assert by_name["level-6"].says == "level of 700 to 1200 Hz against the whole"
    assert by_name["level-10"].says == "level of 5600 to 9000 Hz against the band below"
    assert by_name["comb-2"].unit == "dB"


def test_it_says_what_it_is_not():
    assert "not VGGish" in SoundEmbedding.__doc__
    assert EMBEDDING.sees == frozenset(DEGRADATIONS)


def test_a_window_gets_the_same_vector_alone_and_among_others():
    windows = np.stack([music(1), stereo(noise()), music(2)])
    together = EMBEDDING.embed(windows)
    assert together.dtype == np.float64
    assert together.shape == (3, 58)
    for at, window in enumerate(windows):
        np.testing.assert_array_equal(EMBEDDING.embed(window[None])[0], together[at])


def test_a_gain_moves_loudness_alone_and_a_decibel_moves_it_little():
    for gain_db in (1.0, -1.0, -40.0):
        distances = moved(music(), music() * np.float32(10 ** (gain_db / 20)))
        loudness = distances.pop("loudness")
        assert max(distances.values()) < 1e-3, gain_db
        assert loudness < 0.17 * abs(gain_db)
        assert loudness > 0.1 * abs(gain_db)


def test_an_offset_moves_nothing():
    assert max(moved(music(), music() + np.float32(0.1)).values()) < 5e-3


def test_float32_and_float64_agree():
    wide = music().astype(np.float64)
    wide_vector = EMBEDDING.embed(wide[None])[0]
    np.testing.assert_allclose(wide_vector, vector(wide.astype(np.float32)), atol=1e-6)
    rounded = music() * np.float32(1 + 2.0**-22)
    np.testing.assert_allclose(vector(rounded), vector(music()), atol=1e-3)


def test_a_sine_is_in_its_band_tonal_narrow_and_three_decibels_below_its_peak():
    heard = measure(stereo(sine(1000)))
    assert heard["loudness"] == pytest.approx(10 * np.log10(0.25**2 / 2), abs=0.01)
    assert heard["level-6"] == pytest.approx(0.0, abs=0.05)
    assert heard["level-4"] < -50
    assert heard["crest"] == pytest.approx(10 * np.log10(2), abs=0.01)
    assert heard["noise-1"] < -5
    assert heard["side-2"] == pytest.approx(-40, abs=0.1)
    assert heard["balance"] == pytest.approx(0, abs=1e-6)
    assert heard["loudness-spread"] < 0.1


def test_white_noise_is_flat_and_as_wide_as_its_sides_differ():
    heard = measure(stereo(noise(1), noise(2)))
    assert heard["noise-2"] > -1.5
    assert heard["side-2"] == pytest.approx(0, abs=0.5)
    # Bands of white noise are as loud as they are wide.
    assert heard["level-11"] == pytest.approx(10 * np.log10(4000 / 3400), abs=0.3)
    assert heard["clicks"] < 1


def test_balance_and_width_tell_where_a_sound_is():
    assert measure(stereo(sine(500), 0 * SECONDS))["balance"] == pytest.approx(40, abs=0.1)
    assert measure(stereo(sine(500), -sine(500)))["side-2"] == pytest.approx(40, abs=0.1)
    assert measure(stereo(sine(500), 0.5 * sine(500)))["balance"] == pytest.approx(6.02, abs=0.02)


@pytest.mark.parametrize("tempo_bpm", [60, 75, 90])
def test_hits_are_counted_and_their_period_is_found(tempo_bpm):
    heard = measure(stereo(hits(tempo_bpm)))
    assert heard["onsets"] == pytest.approx(tempo_bpm / 60, abs=0.4)
    assert heard["beat-period"] == pytest.approx(np.log2(60 / tempo_bpm), abs=0.13)
    assert heard["beat-clarity"] > 0.8


def test_steady_noise_has_no_beat():
    assert measure(stereo(noise()))["beat-clarity"] < 0.35


def test_major_and_minor_differ_in_the_third():
    major = measure(stereo(chord(220, 277.18, 329.63)))["third"]
    minor = measure(stereo(chord(220, 261.63, 329.63)))["third"]
    assert major > 1
    assert minor < -1


def test_pitches_that_change_are_told_from_those_that_stay():
    staying = chord(220, 277.18, 329.63)
    turns = np.floor(SECONDS * 4) % 2 == 0
    changing = np.where(turns, staying, chord(196, 246.94, 293.66))
    assert (
        measure(stereo(changing))["chroma-change"] > measure(stereo(staying))["chroma-change"] + 10
    )


@pytest.mark.parametrize(("cents", "to_the_semitone", "to_the_quarter"), [(0, 1, 0), (25, 0, 1)])
def test_tuning_is_where_peaks_lie_between_semitones(cents, to_the_semitone, to_the_quarter):
    heard = measure(stereo(sine(440 * 2 ** (cents / 1200)) + noise(level=1e-6)))
    assert heard["tuning-in"] == pytest.approx(to_the_semitone, abs=0.1)
    assert heard["tuning-off"] == pytest.approx(to_the_quarter, abs=0.1)


def test_a_comb_is_seen_at_the_vocoders_frame_rate_and_at_no_other():
    def with_comb(base_hz):
        lines = sum(np.cos(2 * np.pi * base_hz * k * SECONDS) for k in range(1, 100))
        return measure(stereo(noise() + 0.003 * lines))

    clean, at_rate, beside = (measure(stereo(noise())), with_comb(44100 / 512), with_comb(84))
    for name in ("comb-1", "comb-2"):
        assert at_rate[name] > clean[name] + 10
        assert abs(beside[name] - clean[name]) < 1.5


def test_a_throb_is_seen_at_the_rates_of_the_vocoder_and_of_the_latents():
    def throbbing(rate_hz):
        pulses = sum(np.cos(2 * np.pi * rate_hz * k * SECONDS) for k in range(1, 8))
        return measure(stereo(noise() * (1 + 0.1 * pulses)))

    beside = throbbing(9.7)
    assert throbbing(44100 / 512)["throb-vocoder"] > beside["throb-vocoder"] + 5
    assert throbbing(44100 / 4096)["throb-latents"] > beside["throb-latents"] + 2


def test_samples_crowd_below_the_peak_where_it_is_clipped():
    clean = noise()
    levels = [np.quantile(np.abs(clean), share) for share in (0.999, 0.99, 0.9)]
    crowds = [measure(stereo(np.clip(clean, -top, top)))["peak-crowd"] for top in levels]
    assert measure(stereo(clean))["peak-crowd"] < -4.5
    assert crowds == pytest.approx([-3, -2, -1], abs=0.4)


def test_clicks_are_counted():
    clicking = noise(level=0.001)
    clicking[4_000::12_000] += 0.5
    assert measure(stereo(clicking))["clicks"] == pytest.approx(np.sqrt(12 / 3), abs=0.3)


def odd_windows():
    silence, click, short = np.zeros(LENGTH), np.zeros(LENGTH), np.zeros(LENGTH)
    click[70_000] = 0.5
    short[1_000:1_400] = noise()[:400]
    return {
        "silence": stereo(silence),
        "an offset": stereo(silence + 0.7),
        "one sample": stereo(click),
        "9 ms of sound": stereo(short),
        "mono": stereo(noise()),
        "one side": stereo(silence, noise()),
        "opposite sides": stereo(noise(), -noise()),
        "full scale square": stereo(np.sign(sine(100))),
        "far too loud": stereo(1000 * noise()),
        "hardly there": stereo(1e-8 * noise()),
        "one step of 16 bits": stereo(np.where(SECONDS > 1.5, 1 / 32768, 0)),
        "denormal": stereo(1e-42 * np.sign(noise())),
        "highest tone": stereo(sine(24_000 - 0.2)),
        "lowest tone": stereo(sine(0.3)),
    }


@pytest.mark.parametrize("name", odd_windows())
def test_odd_windows_have_finite_vectors(name):
    found = vector(odd_windows()[name])
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 25  # drawn in: no odd window outweighs a whole set


def test_windows_of_another_shape_are_refused_with_what_is_needed():
    for shape in ((2, LENGTH), (1, 1, LENGTH), (1, 2, LENGTH - 1)):
        with pytest.raises(MetricError, match=r"lofi-sound-v1: .*\(windows, 2, 144000\)") as caught:
            EMBEDDING.embed(np.zeros(shape, np.float32))
        assert "48000 Hz stereo" in str(caught.value)


def test_a_sample_that_is_not_finite_is_refused_by_its_window():
    windows = np.stack([music(), music()])
    windows[1, 0, 5] = np.nan
    with pytest.raises(MetricError, match="window 2 has a sample that is not a finite number"):
        EMBEDDING.embed(windows)


def test_no_windows_give_no_vectors():
    assert EMBEDDING.embed(np.zeros((0, 2, LENGTH), np.float32)).shape == (0, 58)
