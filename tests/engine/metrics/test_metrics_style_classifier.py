from __future__ import annotations

import contextlib

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.style_classifier import train_classifier
from tests.support.styled_clips import styled_at

THREE = np.repeat([0, 1, 2], 8)


def _vectors(seed, apart, dimensions=40):
    rng = np.random.default_rng(seed)
    centres = apart * np.eye(3, dimensions)
    return centres[THREE] + rng.normal(size=(len(THREE), dimensions))


def test_styles_far_apart_are_heard_with_fewer_clips_than_dimensions():
    classifier = train_classifier(styled_at(_vectors(1, 8), THREE), seed=0)
    judged = styled_at(_vectors(2, 8), THREE, label="ours")
    assert classifier.hits(judged).tolist() == [1] * 24
    assert classifier.heard(judged)[8] == "S1"
    assert classifier.own_recall == 1
    assert classifier.own_chance == 0.001
    assert classifier.chance == pytest.approx(1 / 3)
    assert classifier.folds == 5


def test_a_clip_is_never_heard_by_a_model_that_was_told_of_it():
    # Told of all clips, a model of 24 clips in 200 dimensions hears every label, however dealt.
    vectors = _vectors(3, 0, dimensions=200)
    with pytest.raises(MetricError, match=r"recall 0\.\d\d of clips held out, 0\.33 by guessing"):
        train_classifier(styled_at(vectors, THREE), seed=0)


def test_folds_are_no_more_than_the_clips_of_the_smallest_style():
    vectors = 20.0 * np.array([[0], [1]])[np.repeat([0, 1], 4)] + np.arange(8)[:, None] % 4
    classifier = train_classifier(styled_at(vectors), seed=0)
    assert classifier.folds == 4
    assert classifier.own_recalls == {"S0": 1, "S1": 1}


def test_labels_by_lot_are_refused_nearly_always():
    passed = 0
    for seed in range(40):
        with contextlib.suppress(MetricError):
            train_classifier(styled_at(_vectors(seed, 0, dimensions=6), THREE), seed=0)
            passed += 1
    assert passed <= 4  # one in twenty would be 2


def test_the_seed_alone_decides_the_folds():
    training = styled_at(_vectors(4, 2), THREE)
    found = [train_classifier(training, seed).own_recalls for seed in (0, 0, 1, 2, 3)]
    assert found[0] == found[1]
    assert any(other != found[0] for other in found[2:])
