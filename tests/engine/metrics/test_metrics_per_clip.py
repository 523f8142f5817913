from __future__ import annotations

import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.figures import HIGHER, LOWER
from lofi_engine.metrics.per_clip import compare_each, measure_each, relative_to

VALUES = {"b": 2.0, "a": 1.0, "c": 6.0}


def test_a_figure_is_the_mean_of_the_clips_with_its_interval():
    figure = measure_each("mel", VALUES, better=LOWER, unit="dB", judged="A", against="B")
    assert (figure.metric, figure.value, figure.n, figure.counted) == ("mel", 3.0, 3, "clips")
    assert figure.interval.low == 1.0 < 3.0 < figure.interval.high == 6.0
    assert figure.interval.resamples == 2000
    assert list(figure.each.items()) == [("a", 1.0), ("b", 2.0), ("c", 6.0)]
    assert (figure.better, figure.unit, figure.judged, figure.against) == (LOWER, "dB", "A", "B")


def test_what_a_figure_was_made_with_goes_along():
    figure = measure_each(
        "clap",
        VALUES,
        better=HIGHER,
        counted="pairs",
        reference_hash="0123456789ab",
        embedding="clap:tiny",
        details={"window_sec": 10},
    )
    assert (figure.counted, figure.embedding) == ("pairs", "clap:tiny")
    assert (figure.reference_hash, figure.details) == ("0123456789ab", {"window_sec": 10})


def test_the_order_of_the_clips_does_not_matter():
    turned = dict(reversed(VALUES.items()))
    assert measure_each("mel", VALUES, better=LOWER) == measure_each("mel", turned, better=LOWER)


def test_one_clip_is_refused():
    with pytest.raises(MetricError) as caught:
        measure_each("visqol", {"rain": 4.2}, better=HIGHER, judged="takes")
    assert str(caught.value) == (
        "visqol: takes: only one clip (rain) has a value, at least 2 are needed"
        " - add clips: one alone says nothing about others of its kind"
    )
    with pytest.raises(MetricError, match="visqol: no clip has a value, at least 2 are needed"):
        measure_each("visqol", {}, better=HIGHER)


def test_a_value_that_is_no_number_is_refused_with_its_clip():
    values = {**VALUES, "d": float("inf"), "e": float("nan")}
    with pytest.raises(MetricError, match="mel: A: NaN or infinity for d, e - leave them out"):
        measure_each("mel", values, better=LOWER, judged="A")


def test_figures_are_compared_clip_by_clip():
    worse = {name: value + 0.5 + 0.01 * value for name, value in VALUES.items()}
    first, second = (measure_each("mel", each, better=LOWER) for each in (worse, VALUES))
    difference = compare_each(first, second)
    assert difference.value == pytest.approx(0.53)
    assert difference.relative == pytest.approx(0.53 / 3)
    assert (difference.metric, difference.n) == ("mel", 3)
    assert 0.5 < difference.interval.low < 0.53 < difference.interval.high < 0.57
    assert difference.is_worse
    assert not compare_each(second, first).is_worse
    assert not compare_each(first, first).is_worse


def test_a_fall_is_worse_where_higher_is_better():
    lower = {name: value - 1 for name, value in VALUES.items()}
    first, second = (measure_each("clap", each, better=HIGHER) for each in (lower, VALUES))
    assert compare_each(first, second).is_worse
    assert not compare_each(second, first).is_worse


def test_figures_of_other_clips_or_metrics_are_not_compared():
    first = measure_each("mel", VALUES, better=LOWER)
    with pytest.raises(MetricError) as caught:
        compare_each(first, measure_each("mel", {"a": 1.0, "x": 2.0}, better=LOWER))
    assert str(caught.value) == (
        "mel: clips without a pair: b, c, x - measure both sets on clips of the same names"
    )
    with pytest.raises(MetricError, match="mel cannot be compared with key - compare figures of"):
        compare_each(first, measure_each("key", VALUES, better=HIGHER))


def test_nothing_is_relative_to_zero():
    assert relative_to(1.0, 4.0) == 0.25
    assert relative_to(1.0, 0.0) is None
