from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.key import WEIGHTS, asked_key, hear_key, relation
from tests.support.clip_sets import RATE


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("lofi, 74 bpm, A minor", "A minor"),
        ("f# major, rain", "F# major"),
        ("Bb minor", "Bb minor"),
        ("in D# major", "Eb major"),
        ("D dorian, piano", "D minor"),
        ("g mixolydian", "G major"),
    ],
)
def test_a_key_in_a_prompt_is_read(prompt, key):
    assert asked_key(prompt) == key


@pytest.mark.parametrize("prompt", ["", "rain, piano", "in a minor key", "minor", "key of C"])
def test_half_a_key_asks_for_nothing(prompt):
    assert asked_key(prompt) is None


@pytest.mark.parametrize(
    ("found", "asked", "related", "weight"),
    [
        # mir_eval's table: the same, a fifth above, relative, parallel, else nothing.
        ("C major", "C major", "same", 1.0),
        ("G major", "C major", "fifth", 0.5),
        ("E minor", "A minor", "fifth", 0.5),
        ("F major", "C major", "other", 0.0),
        ("A minor", "C major", "relative", 0.3),
        ("C major", "A minor", "relative", 0.3),
        ("F# minor", "A major", "relative", 0.3),
        ("C minor", "C major", "parallel", 0.2),
        ("C major", "C minor", "parallel", 0.2),
        ("E minor", "C major", "other", 0.0),
        ("D major", "C major", "other", 0.0),
    ],
)
def test_related_keys_have_mirexs_weights(found, asked, related, weight):
    assert relation(found, asked) == related
    assert WEIGHTS[related] == weight


def test_the_key_of_a_chord_is_heard():
    seconds = np.arange(6 * RATE) / RATE
    chord = 0.1 * sum(np.sin(2 * np.pi * hertz * seconds) for hertz in (220, 261.63, 329.63, 440))
    assert hear_key(Clip("chord", (chord * np.ones((2, 1))).astype(np.float32), RATE)) == "A minor"
