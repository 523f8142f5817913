"""Lyrics on a score: their vowels, in order, on the notes of who sings."""

from __future__ import annotations

import numpy as np

from lofi_runtime.synth import compose, render
from lofi_runtime.synth.sung import is_sung, sing, syllables_of


def test_syllables_are_runs_of_vowels_and_directions_are_not_read():
    assert syllables_of("[Verse 1]\nLonely sea") == ("oo", "ee", "ii", "ea")
    assert syllables_of("[inst]") == syllables_of("夜 hm") == ()


def test_sung_notes_take_the_syllables_in_order_and_over_again():
    score = compose("female vocals, piano", seed=3, duration_sec=20, style="VOCAL-03")
    sung = sing(score, "la mi")
    told = [note.syllable for note in sung.notes if note.instrument.endswith("vocals")]
    assert told[:4] == ["aa", "ii", "aa", "ii"]
    assert not any(n.syllable for n in sung.notes if not n.instrument.endswith("vocals"))
    assert sing(score, "[inst]") is score


def test_a_score_without_a_singer_stays_as_it_was():
    score = compose("piano, no vocals", seed=3, duration_sec=10, style="INST-01")
    assert not is_sung(score)
    assert sing(score, "la la") == score


def test_other_vowels_sound_otherwise():
    score = compose("female vocals, drumless", seed=3, duration_sec=6, style="VOCAL-03")
    low, high = (render(sing(score, lyrics)) for lyrics in ("lu lu", "la la"))
    assert np.abs(low - high).mean() > 0.05 * np.abs(low).mean()
    assert np.array_equal(low, render(sing(score, "nu nu")))
