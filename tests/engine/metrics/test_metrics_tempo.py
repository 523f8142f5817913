from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.tempo import (
    FURTHEST,
    NO_BEAT,
    AskedTempo,
    agreement,
    asked_tempo,
    hear_tempo,
)
from tests.support.clip_sets import RATE


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("lofi hip hop, 74 bpm, rain", "74 bpm"),
        ("74.5 BPM", "74.5 bpm"),
        ("at 82-bpm", "82 bpm"),
        ("between 70-80 bpm", "70-80 bpm"),
        ("80 to 70 beats per minute", "70-80 bpm"),
        ("tempo: 90, piano", "90 bpm"),
        ("bpm 66", "66 bpm"),
    ],
)
def test_a_tempo_in_numbers_is_read(prompt, asked):
    assert str(asked_tempo(prompt)) == asked


@pytest.mark.parametrize("prompt", ["", "slow tempo, 1990s, 808 drums", "999 bpm", "5 bpm", "bpm"])
def test_other_numbers_and_words_ask_for_nothing(prompt):
    assert asked_tempo(prompt) is None


@pytest.mark.parametrize(
    ("found", "asked", "is_strict", "is_octave_error", "deviation"),
    [
        (75.0, (75, 75), True, False, 0.0),
        (78.0, (75, 75), True, False, 0.04),
        (78.1, (75, 75), False, False, 78.1 / 75 - 1),
        (150.0, (75, 75), False, True, 0.0),
        (38.0, (75, 75), False, True, 76 / 75 - 1),
        (75.0, (70, 80), True, False, 0.0),
        (83.0, (70, 80), True, False, 83 / 80 - 1),
        (155.0, (70, 80), False, True, 0.0),
        (100.0, (75, 75), False, False, 1 / 3),
    ],
)
def test_tempos_agree_within_four_percent_and_octaves_are_told_apart(
    found, asked, is_strict, is_octave_error, deviation
):
    result = agreement(found, AskedTempo(*asked))
    assert (result.is_strict, result.is_octave_error) == (is_strict, is_octave_error)
    assert result.deviation == pytest.approx(deviation)


def test_no_beat_is_as_far_as_anything_can_be():
    assert agreement(0.0, AskedTempo(80, 80)) == NO_BEAT
    assert NO_BEAT.deviation == FURTHEST == pytest.approx(0.41421, abs=1e-5)


def clicks(tempo_bpm: float, seconds: float = 12.0) -> Clip:
    rng = np.random.default_rng(1)
    sound = 0.002 * rng.standard_normal((2, round(seconds * RATE)))
    decay = np.exp(-np.arange(2400) / 300) * rng.standard_normal(2400)
    for at in np.arange(0.1, seconds - 0.1, 30 / tempo_bpm):  # every other one weaker
        strength = 0.5 if round((at - 0.1) * tempo_bpm / 30) % 2 == 0 else 0.2
        sound[:, round(at * RATE) : round(at * RATE) + 2400] += strength * decay
    return Clip("clicks", sound.astype(np.float32), RATE)


@pytest.mark.parametrize("tempo_bpm", [68.3, 84.0, 101.7])
def test_the_tempo_of_clicks_is_heard_to_a_fifth_of_a_percent(tempo_bpm):
    assert hear_tempo(clicks(tempo_bpm)) == pytest.approx(tempo_bpm, rel=0.002)


def test_noise_and_steady_tones_have_no_beat():
    rng = np.random.default_rng(0)
    seconds = np.arange(12 * RATE) / RATE
    for sound in (
        0.1 * rng.standard_normal((2, len(seconds))),
        0.3 * np.sin(2 * np.pi * 220 * seconds) * np.ones((2, 1)),
    ):
        assert hear_tempo(Clip("beatless", sound.astype(np.float32), RATE)) == 0.0
