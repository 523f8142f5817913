from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lofi_runtime.synth import harmony
from lofi_runtime.synth.flavour import FLAVOURS
from lofi_runtime.synth.harmony import VOICING_RANGE, parse_progression, voice
from lofi_runtime.synth.score import Key
from lofi_runtime.synth.words import read

TABLES = [
    *harmony._PROGRESSIONS.items(),
    *((mode, texts) for (_, mode), texts in harmony._FLAVOURED.items()),
]
TEMPLATES = sorted({(mode, text) for mode, texts in TABLES for text in texts})


@pytest.mark.parametrize(("mode", "text"), TEMPLATES)
def test_every_progression_is_voiced_smoothly_in_a_comfortable_register(mode, text):
    for tonic in range(12):
        chords = parse_progression(text, tonic)
        voicing: tuple[int, ...] = ()
        for chord in chords:
            following = voice(chord, voicing)
            assert VOICING_RANGE[0] <= min(following)
            assert max(following) <= VOICING_RANGE[1]
            assert {p % 12 for p in following} <= set(chord.pitch_classes)
            assert len(following) >= 4
            if voicing:
                assert abs(following[-1] - voicing[-1]) <= 7
            voicing = following


@pytest.mark.parametrize(("mode", "text"), TEMPLATES)
def test_every_progression_fills_its_bars(mode, text):
    chords = parse_progression(text, 0)
    beats = sum(chord.duration_beats for chord in chords)
    assert beats == 4 * len(text.split())
    for before, after in pairwise(chords):
        assert before.start_beats + before.duration_beats == after.start_beats


def test_a_first_theme_begins_on_the_tonic():
    for mode in harmony._PROGRESSIONS:
        for seed in range(10):
            rng = np.random.Generator(np.random.Philox(seed))
            chords = harmony.choose_progression(Key(4, mode), rng, home=True)
            assert chords[0].root == 4


def test_sad_words_lean_to_minor_and_glad_words_to_major():
    def share_of_minor(text):
        rngs = (np.random.Generator(np.random.Philox(seed)) for seed in range(100))
        return np.mean([harmony.choose_key(read(text), rng).is_minor for rng in rngs])

    assert share_of_minor("melancholic") > 0.8
    assert share_of_minor("happy") < 0.2
    assert 0.3 < share_of_minor("piano") < 0.7


def test_every_flavour_has_a_theme_that_begins_at_home_in_a_known_mode():
    for (flavour, mode), texts in harmony._FLAVOURED.items():
        assert mode in harmony.SCALES
        assert any(text.startswith("0:") for text in texts), (flavour, mode)
        assert flavour in {one.chords for one in FLAVOURS.values()}


def test_a_minor_mode_has_a_minor_third_in_its_last_chord():
    for mode in harmony.SCALES:
        chord = harmony.tonic_chord(Key(0, mode), 0.0, 4.0)
        assert (3 in chord.pitch_classes) == Key(0, mode).is_minor
