"""What classifiers listen to: harmony in any key, colour at any loudness."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.base_quality.hearing import (
    HARMONY,
    HOME,
    Classifier,
    colour_of,
    harmony_of,
    hear,
)
from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts
from lofi_engine.metrics.embeddings.sound import SoundEmbedding
from lofi_runtime.synth.score import PITCH_NAMES

RATE = 48_000
MINOR, MAJOR = (0, 3, 7), (0, 4, 7)


def _chord(pitches, root, seed=0, prompt=""):
    rng = np.random.default_rng(seed)
    times = np.arange(int(3.5 * RATE)) / RATE
    notes = [root - 12, *(root + pitch for pitch in pitches)]
    tone = sum(
        rng.uniform(0.5, 1)
        / part
        * np.sin(2 * np.pi * part * 440 * 2 ** ((note - 69) / 12) * times)
        for note in notes
        for part in (1, 2, 3)
    )
    return Clip(
        f"{root}-{pitches}",
        np.stack([tone, tone]).astype(np.float32) * 0.05,
        RATE,
        ClipFacts(prompt),
    )


def test_a_chord_a_semitone_higher_is_nearer_than_one_of_the_other_mode():
    here, there = (harmony_of(_chord(MINOR, root)) for root in (60, 61))
    other = harmony_of(_chord(MAJOR, 60))
    assert np.abs(here - there).mean() < 0.5 * np.abs(here - other).mean()


def test_minor_and_major_are_told_apart_in_keys_that_were_never_heard():
    learn = [_chord(mode, root, seed=root) for mode in (MINOR, MAJOR) for root in range(55, 61)]
    test = [_chord(mode, root, seed=root) for mode in (MINOR, MAJOR) for root in range(61, 66)]
    classifier = Classifier(hear(learn, HARMONY, SoundEmbedding()), ["minor"] * 6 + ["major"] * 6)
    assert (
        classifier.answers(hear(test, HARMONY, SoundEmbedding())) == ["minor"] * 5 + ["major"] * 5
    )


def test_a_third_is_heard_above_the_tonic_that_the_prompt_names():
    def heard(mode, roots):
        asked = [f"lofi, {PITCH_NAMES[root % 12]} minor" for root in roots]
        chords = [
            _chord(mode, root, root, prompt) for root, prompt in zip(roots, asked, strict=True)
        ]
        return hear(chords, HOME, embedding)

    embedding = SoundEmbedding()
    learn, test = range(55, 61), range(61, 65)
    both = np.concatenate([heard(MINOR, learn), heard(MAJOR, learn)])
    classifier = Classifier(both, ["minor"] * 6 + ["major"] * 6)
    assert classifier.answers(heard(MINOR, test)) == ["minor"] * 4
    assert classifier.answers(heard(MAJOR, test)) == ["major"] * 4
    with pytest.raises(MetricError, match="its prompt names no key: lofi"):
        hear([_chord(MINOR, 57, prompt="lofi")], HOME, embedding)


def test_likelihoods_of_all_answers_add_up_to_one():
    heard = np.random.default_rng(0).standard_normal((8, 3))
    classifier = Classifier(heard, ["a", "b"] * 4)
    for one in classifier.likelihoods(heard):
        assert set(one) == {"a", "b"}
        assert sum(one.values()) == pytest.approx(1.0)


def test_colour_says_nothing_of_loudness_but_in_the_embedding_of_it():
    hiss = np.random.default_rng(0).standard_normal((2, int(3.5 * RATE))) * 0.01
    samples = (_chord(MINOR, 60).samples + hiss).astype(np.float32)
    clips = (Clip(str(gain), samples * np.float32(gain), RATE) for gain in (1.0, 2.0))
    one, other = (colour_of(each, SoundEmbedding()) for each in clips)
    names = [dimension.name for dimension in SoundEmbedding().dimensions_table]
    apart = np.abs(one - other)
    assert apart[names.index("loudness")] > 0.5
    apart[names.index("loudness")] = 0.0
    assert apart.max() < 0.05
