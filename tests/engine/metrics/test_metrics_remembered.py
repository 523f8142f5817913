from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.remembered import RememberedEmbedding


class Counting:
    name, dimensions, sample_rate, channels, window_sec, hop_sec = "counting", 1, 8_000, 1, 1.0, 0.5

    def __init__(self):
        self.calls = 0

    def embed(self, windows):
        self.calls += 1
        return windows.sum(axis=(1, 2), dtype=np.float64)[:, None]


def test_equal_windows_are_embedded_once_and_others_anew():
    counting = Counting()
    embedding = RememberedEmbedding(lambda: counting)
    windows = np.ones((2, 1, 4), np.float32)
    np.testing.assert_array_equal(embedding.embed(windows), [[4.0], [4.0]])
    np.testing.assert_array_equal(embedding.embed(windows.copy()), [[4.0], [4.0]])
    assert counting.calls == 1
    np.testing.assert_array_equal(embedding.embed(windows.reshape(4, 1, 2)), [[2.0]] * 4)
    assert counting.calls == 2


def test_what_is_done_to_an_answer_does_not_change_the_next():
    embedding = RememberedEmbedding(Counting)
    windows = np.ones((1, 1, 4), np.float32)
    embedding.embed(windows)[:] = 99.0
    np.testing.assert_array_equal(embedding.embed(windows), [[4.0]])


def test_it_is_made_when_first_asked_and_says_what_the_made_one_says():
    made = []
    embedding = RememberedEmbedding(lambda: made.append(1) or Counting())
    assert made == []
    assert (embedding.name, embedding.dimensions, embedding.sample_rate) == ("counting", 1, 8_000)
    assert (embedding.channels, embedding.window_sec, embedding.hop_sec) == (1, 1.0, 0.5)
    assert embedding.sees == frozenset()
    assert made == [1]


def test_a_model_that_is_not_there_is_refused_when_asked():
    def make():
        raise MetricError("no such model")

    embedding = RememberedEmbedding(make)
    with pytest.raises(MetricError, match="no such model"):
        _ = embedding.name
