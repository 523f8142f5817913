from __future__ import annotations

import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.figures import HIGHER, LOWER, relative_to
from lofi_engine.metrics.per_clip import compare_each, measure_each

VALUES = {"b": 2.0, "a": 1.0, "c": 6.0, "d": 4.0, "e": 3.5, "f": 1.5}


def test_a_figure_is_the_mean_of_the_clips_with_its_interval():
    figure = measure_each("mel", VALUES, better=LOWER, unit="dB", judged="A", against="B")
    assert (figure.metric, figure.value, figure.n, figure.counted) == ("mel", 3.0, 6, "clips")
    assert 1.0 < figure.interval.low < 3.0 < figure.interval.high < 6.0
    assert figure.interval.resamples == 2000
    assert list(figure.each.items()) == sorted(VALUES.items())
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
    values = {**VALUES, "x": float("inf"), "y": float("nan")}
    with pytest.raises(MetricError, match="mel: A: NaN or infinity for x, y - leave them out"):
        measure_each("mel", values, better=LOWER, judged="A")


def test_figures_are_compared_clip_by_clip():
    worse = {name: value + 0.5 + 0.01 * value for name, value in VALUES.items()}
    first, second = (measure_each("mel", each, better=LOWER) for each in (worse, VALUES))
    difference = compare_each(first, second)
    assert difference.value == pytest.approx(0.53)
    assert difference.relative == pytest.approx(0.53 / 3)
    assert (difference.metric, difference.n) == ("mel", 6)
    assert 0.5 < difference.interval.low < 0.53 < difference.interval.high < 0.57
    assert difference.is_worse
    assert not compare_each(second, first).is_worse
    assert not compare_each(first, first).is_worse


def test_a_fall_is_worse_where_higher_is_better():
    lower = {name: value - 1 for name, value in VALUES.items()}
    first, second = (measure_each("clap", each, better=HIGHER) for each in (lower, VALUES))
    assert compare_each(first, second).is_worse
    assert not compare_each(second, first).is_worse


def test_marks_that_are_all_alike_leave_room_for_clips_that_fare_otherwise():
    right = dict.fromkeys("abcdefghij", 1.0)
    given = {"better": HIGHER, "span": (0.0, 1.0), "graded": True}
    figure = measure_each("tempo", right, **given)
    assert figure.interval.low == pytest.approx(1 - 0.2775, abs=1e-4)
    assert (figure.value, figure.interval.high, figure.interval.resamples) == (1.0, 1.0, 0)
    difference = compare_each(figure, figure, graded_span=(0.0, 1.0))
    assert difference.interval.high == pytest.approx(0.2775, abs=1e-4)
    wrong = measure_each("tempo", dict.fromkeys(right, 0.0), **given)
    assert compare_each(wrong, figure, graded_span=(0.0, 1.0)).is_worse


def test_figures_of_other_clips_or_metrics_are_not_compared():
    first = measure_each("mel", VALUES, better=LOWER)
    with pytest.raises(MetricError) as caught:
        compare_each(first, measure_each("mel", {"a": 1.0, "x": 2.0}, better=LOWER))
    assert str(caught.value) == (
        "mel: clips without a pair: b, c, d and 3 more"
        " - measure both sets on clips of the same names"
    )
    with pytest.raises(MetricError, match="mel cannot be compared with key - compare figures of"):
        compare_each(first, measure_each("key", VALUES, better=HIGHER))


def test_nothing_is_relative_to_zero():
    assert relative_to(1.0, 4.0) == 0.25
    assert relative_to(1.0, 0.0) is None
