from __future__ import annotations

from dataclasses import replace

import pytest

from lofi_engine.training.hours import (
    Extras,
    duration_in_words,
    step_seconds,
    training_seconds,
)
from tests.support.tiny_training import TRAINING

LONG = replace(TRAINING, steps=100, checkpoint_every=50, sample_every=100, batch_size=2)


def test_the_first_step_warms_up_and_does_not_count():
    assert step_seconds([0.0, 10.0, 12.0, 13.0, 15.0]) == 2.0
    assert step_seconds([0.0, 10.0]) == 10.0


def test_steps_held_out_tracks_and_samples_add_up():
    assert training_seconds(6.0, LONG, Extras()) == 600.0
    # A forward pass is a third of a step of two windows: 1 s.
    assert training_seconds(6.0, LONG, Extras(held_out_tracks=4)) == 600.0 + 2 * 4 * 5
    with_clips = training_seconds(6.0, LONG, Extras(clip_windows=7.0))
    assert with_clips == 600.0 + 2 * 7.0  # the base's clips and the adapter's


def test_a_resumed_training_has_less_left():
    assert training_seconds(6.0, LONG, Extras(held_out_tracks=4), done=60) == 240.0 + 4 * 5
    assert training_seconds(6.0, LONG, Extras(held_out_tracks=4, clip_windows=9.0), done=100) == 0.0


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (700, "12 min"), (209_880, "58.3 h")])
def test_durations_are_written_as_people_do(seconds, words):
    assert duration_in_words(seconds) == words
