from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.audio.decode import Decoded, decode
from lofi_engine.audio.music import (
    ANALYSIS_RATE,
    analyse,
    brightness_word,
    find_centroid,
    find_key,
    find_tempo,
    fold_tempo,
)
from tests.support.audio_folder import tune
from tests.support.real_track import REAL_TRACK, needs_real_track


@pytest.mark.parametrize(
    ("tempo_bpm", "within"), [(65.0, (55, 75)), (80.0, (60, 120)), (112.0, (105, 120))]
)
def test_the_tempo_of_clicks_is_found(tempo_bpm, within):
    mono = tune(12.0, ANALYSIS_RATE, seed=1, tempo_bpm=tempo_bpm)[:, 0]
    assert find_tempo(mono, within) == pytest.approx(tempo_bpm, rel=0.03)


@pytest.mark.parametrize(
    ("key", "hertz"),
    [
        ("A minor", (220.0, 261.63, 329.63, 440.0)),
        ("C major", (261.63, 329.63, 392.0, 523.25)),
        ("F# major", (185.0, 233.08, 277.18, 370.0)),
    ],
)
def test_the_key_of_a_chord_is_found(key, hertz):
    seconds = np.arange(ANALYSIS_RATE * 4) / ANALYSIS_RATE
    chord = sum(np.sin(2 * np.pi * one * seconds) for one in hertz) * 0.1
    assert find_key(chord.astype(np.float32)) == key


def test_a_track_at_any_rate_is_analysed():
    samples = tune(8.0, 48_000, seed=1).T
    music = analyse(Decoded(samples, 48_000, 8.0, "WAV", "PCM_16"), (60, 100))
    assert music.tempo_bpm == pytest.approx(80.0, rel=0.03)
    assert music.key == "A minor"


def test_silence_has_neither_tempo_nor_key():
    nothing = np.zeros(ANALYSIS_RATE * 2, np.float32)
    assert find_tempo(nothing) == 0.0
    assert find_key(nothing) == ""
    assert find_centroid(nothing) == 0.0
    assert brightness_word(0.0) == ""


def test_a_tempo_an_octave_off_is_put_into_the_styles_range():
    assert fold_tempo(160.0, (70, 90)) == 80.0
    assert fold_tempo(41.0, (70, 90)) == 82.0
    assert fold_tempo(85.0, (70, 90)) == 85.0
    assert fold_tempo(0.0, (70, 90)) == 0.0


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 4000.0])
def test_the_centroid_of_a_tone_is_its_pitch(hertz):
    seconds = np.arange(ANALYSIS_RATE * 2) / ANALYSIS_RATE
    tone = (0.2 * np.sin(2 * np.pi * hertz * seconds)).astype(np.float32)
    assert find_centroid(tone) == pytest.approx(hertz, rel=0.1)


def test_pauses_full_of_hiss_do_not_brighten_a_dark_track():
    seconds = np.arange(ANALYSIS_RATE * 4) / ANALYSIS_RATE
    tone = 0.3 * np.sin(2 * np.pi * 300.0 * seconds)
    tone[ANALYSIS_RATE:] = 0.0
    hiss = np.random.default_rng(1).normal(0.0, 1e-4, len(tone))
    assert find_centroid((tone + hiss).astype(np.float32)) < 900


@pytest.mark.parametrize(
    ("centroid_hz", "word"),
    [(899, "dark"), (900, "warm"), (1400, ""), (1900, ""), (1901, "bright")],
)
def test_the_centroid_has_a_word(centroid_hz, word):
    assert brightness_word(centroid_hz) == word


def test_a_chord_has_a_clear_key_and_noise_has_none():
    noise = np.random.default_rng(3).normal(0.0, 0.1, (1, ANALYSIS_RATE * 6)).astype(np.float32)
    assert not analyse(Decoded(noise, ANALYSIS_RATE, 6.0, "WAV", "PCM_16")).key_is_clear
    assert analyse(Decoded(tune(8.0, 48_000, seed=1).T, 48_000, 8.0, "WAV", "PCM_16")).key_is_clear


@needs_real_track
def test_a_real_track_has_a_tempo_and_a_key():
    music = analyse(decode(REAL_TRACK, keep_sec=30))
    assert 60 <= music.tempo_bpm <= 120
    assert music.key.split()[1] in ("major", "minor")
    assert 500 < music.centroid_hz < 5000
