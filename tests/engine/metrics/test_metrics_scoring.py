"""Metrics run over sets; a stand-in metric says how it was called."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.figures import LOWER, Difference, Figure, Interval
from lofi_engine.metrics.protocol import Needs
from lofi_engine.metrics.scoring import Sets, score


def clips(label, *names, seed=None):
    silence = np.zeros((1, 4), np.float32)
    return ClipsInMemory(
        label, [Clip(name, silence, 48_000, ClipFacts(seed=seed)) for name in names]
    )


def figure(judged, value=1.0):
    return Figure("odd", value, None, 1, "clips", LOWER, judged=judged)


class Odd:
    name, title, sees = "odd", "stand-in", frozenset()

    def __init__(self, *, reference=False, refuses=(), value=1.0):
        self.needs = Needs(reference=reference)
        self.refuses = refuses
        self.value = value
        self.calls = []

    def measure(self, judged, against, report):
        self.calls.append(("measure", judged.label, against and against.label))
        if judged.label in self.refuses:
            raise MetricError(f"{judged.label}: refused")
        return (figure(judged.label, self.value),)

    def compare(self, first, second, against, report):
        self.calls.append(("compare", first.label, second.label, against and against.label))
        if self.refuses:
            raise MetricError("pairs refused")
        interval = Interval(-1.0, 1.0, 10)
        return (
            Difference("odd", 0.0, None, interval, 1, figure(first.label), figure(second.label)),
        )


A, B, C = clips("A", "x", seed=1), clips("B", "x", seed=1), clips("C", "y")


def ignore(done, total, name):
    pass


@pytest.mark.parametrize(
    ("reference", "sets", "calls"),
    [
        (False, Sets(A), [("measure", "A", None)]),
        (True, Sets(A), [("measure", "A", None)]),
        (True, Sets(A, B), [("measure", "A", "B")]),
        (False, Sets(A, B), [("compare", "A", "B", None)]),
        (False, Sets(A, C), [("measure", "A", None), ("measure", "C", None)]),
        (True, Sets(A, B, C), [("compare", "A", "B", "C")]),
        (False, Sets(A, B, C), [("compare", "A", "B", None)]),
    ],
)
def test_what_is_asked_of_a_metric_follows_from_the_sets_and_its_need(reference, sets, calls):
    metric = Odd(reference=reference)
    assert score("odd", lambda: metric, sets, ignore).refused == ""
    assert metric.calls == calls


@pytest.mark.parametrize(
    ("sets", "calls"),
    [
        (Sets(A, B), [("measure", "A", "B")]),
        (Sets(A, C), [("measure", "A", None), ("measure", "C", None)]),
        (Sets(A, B, C), [("compare", "A", "B", None)]),
        (Sets(A, B, clips("D", "x")), [("compare", "A", "B", "D")]),
    ],
)
def test_tempo_and_key_take_the_other_set_where_it_holds_the_pairs(sets, calls):
    metric = Odd()
    metric.name = "tempo"
    score("tempo", lambda: metric, sets, ignore)
    assert metric.calls == calls


def test_clips_of_other_seeds_are_no_pairs_and_measured_by_themselves():
    metric = Odd()
    found = score("odd", lambda: metric, Sets(A, clips("B", "x", seed=2)), ignore)
    assert [one.judged for one in found.figures] == ["A", "B"]


def test_a_refusal_is_kept_in_words():
    metric = Odd(refuses=("A",))
    assert score("odd", lambda: metric, Sets(A), ignore).refused == "A: refused"


def test_a_metric_that_cannot_be_made_refuses():
    def make():
        raise MetricError("no model", hint="name one")

    assert score("odd", make, Sets(A), ignore).refused == "no model - name one"


def test_the_other_sets_refusal_loses_only_its_own_figure():
    found = score("odd", lambda: Odd(refuses=("B",)), Sets(A, B), ignore)
    assert (found.refused, found.note) == ("", "B: refused")
    assert [one.judged for one in found.figures] == ["A"]


def test_the_judged_sets_refusal_is_the_metrics():
    assert score("odd", lambda: Odd(refuses=("A",)), Sets(A, B), ignore).refused == "A: refused"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_a_refusal(value):
    found = score("odd", lambda: Odd(value=value), Sets(A), ignore)
    assert found.refused == f"odd: came out as {value} - look for odd clips in the sets"
    assert found.figures == ()


def test_a_bug_is_no_refusal():
    def make():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        score("odd", make, Sets(A), ignore)
