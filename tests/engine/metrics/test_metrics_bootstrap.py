from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from lofi_engine.errors import MetricError
from lofi_engine.metrics.bootstrap import (
    centred_interval,
    difference_interval,
    draw_clips,
    graded_interval,
    mean_interval,
    quantile_interval,
    resampled,
    share_interval,
)
from lofi_engine.metrics.frechet import DistanceTo
from lofi_engine.metrics.moments import ClipMoments
from tests.support.metric_clips import gaussian_clips, vector_set


def coverage(draw, truth, times=400, resamples=400):
    """Give the share of intervals that hold the truth."""
    intervals = [
        mean_interval(draw(np.random.default_rng(at)), at, resamples) for at in range(times)
    ]
    return np.mean([interval.low <= truth <= interval.high for interval in intervals])


def width(interval):
    return interval.high - interval.low


@pytest.mark.parametrize("count", [2, 3, 5, 6, 12, 50])
def test_intervals_of_normal_values_hold_the_mean_as_often_as_they_say(count):
    assert 0.92 <= coverage(lambda rng: rng.standard_normal(count) + 3, 3.0) <= 0.975


def test_intervals_of_skewed_values_hold_the_mean_nearly_as_often():
    assert coverage(lambda rng: rng.exponential(size=20), 1.0) >= 0.90


def test_the_interval_of_many_values_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).standard_normal(400)
    interval = mean_interval(values)
    error = values.std(ddof=1) / np.sqrt(400)
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.008)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.008)
    assert (interval.resamples, interval.drawn, interval.confidence) == (2000, "clips", 0.95)


def test_the_same_seed_gives_the_same_interval_and_another_another():
    values = np.random.default_rng(1).standard_normal(20)
    assert mean_interval(values, 4) == mean_interval(list(values), 4)
    assert mean_interval(values, 4) != mean_interval(values, 5)


def test_values_that_are_all_alike_have_an_interval_without_width():
    interval = mean_interval([0.5] * 7)
    assert (interval.low, interval.high) == (0.5, 0.5)


@pytest.mark.parametrize("count", [3, 20])
def test_an_interval_ends_where_no_value_can_be(count):
    values = np.random.default_rng(1).uniform(0.5, 1.0, count) ** 0.1
    interval = mean_interval(values, span=(0.0, 1.0))
    assert interval.high <= 1.0
    assert mean_interval([0.1, 0.9], span=(0.0, 1.0)).low == 0.0


def test_the_score_interval_of_a_share_is_wilsons():
    assert share_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert share_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)


@pytest.mark.parametrize(
    ("mark", "span", "ends"),
    [
        (1.0, (0.0, 1.0), (1 - 0.2775, 1.0)),
        (0.0, (0.0, 1.0), (0.0, 0.2775)),
        (0.5, (0.0, 1.0), (0.5 * 0.7225, 0.5 * 0.7225 + 0.2775)),
        (0.0, (-1.0, 1.0), (-0.2775, 0.2775)),
        (-1.0, (-1.0, 1.0), (-1.0, -1.0 + 2 * 0.2775)),
    ],
)
def test_ten_clips_of_one_mark_leave_room_for_as_many_others_as_wilson_does(mark, span, ends):
    interval = graded_interval([mark] * 10, span)
    assert (interval.low, interval.high) == pytest.approx(ends, abs=1e-4)
    assert interval.resamples == 0


def test_marks_that_differ_have_the_bootstraps_interval():
    marks = [1.0] * 9 + [0.0]
    assert graded_interval(marks, (0.0, 1.0), 3) == mean_interval(marks, 3, span=(0.0, 1.0))


def test_a_paired_difference_cancels_what_both_sets_share():
    rng = np.random.default_rng(2)
    hardness = 5 * rng.standard_normal(30)
    second = hardness + 0.1 * rng.standard_normal(30)
    first = hardness + 0.1 * rng.standard_normal(30) + 0.2
    paired = difference_interval(first, second)
    assert 0 < paired.low < 0.2 < paired.high
    unpaired = mean_interval(first), mean_interval(second)
    assert width(paired) < 0.05 * min(width(interval) for interval in unpaired)


def test_paired_intervals_hold_the_difference_as_often_as_they_say():
    def differences(rng):
        shared = rng.standard_normal(15)
        first, second = (shared + 0.3 * rng.standard_normal(15) for _ in range(2))
        return first + 0.1 - second

    assert 0.925 <= coverage(differences, 0.1) <= 0.98


def test_quantiles_lie_as_far_out_as_student_s_t_for_so_many_clips():
    drawn = np.linspace(0, 1, 100_001)
    below = norm.cdf(t.ppf(0.025, 6) * np.sqrt(7 / 6))
    interval = quantile_interval(drawn, 7)
    assert (interval.low, interval.high) == pytest.approx((below, 1 - below), abs=1e-5)
    assert quantile_interval(drawn, 10_000).low == pytest.approx(0.025, abs=1e-4)


def test_a_centred_interval_lies_around_the_figure_not_around_the_draws():
    drawn = 10 + np.random.default_rng(1).standard_normal(4000)
    interval = centred_interval(8.0, drawn, 1000)
    assert (interval.low, interval.high) == pytest.approx((8 - 1.96, 8 + 1.96), abs=0.15)


def test_a_centred_interval_of_a_distance_ends_at_zero():
    drawn = np.random.default_rng(1).standard_normal(400)
    interval = centred_interval(0.5, drawn, 50, floor=0.0)
    assert interval.low == 0.0
    assert 2 < interval.high < 3.5


def test_intervals_of_a_frechet_distance_hold_what_other_sets_of_that_size_give():
    reference = ClipMoments(vector_set(gaussian_clips(99, 60, 4, 4, alike=0.3)))
    distance_to = DistanceTo(reference.gaussian())
    values, intervals = [], []
    for at in range(60):
        moments = ClipMoments(vector_set(gaussian_clips(at, 12, 4, 4, alike=0.3, shift=0.5)))
        draws = resampled(
            lambda drawn, of=moments: distance_to(of.gaussian(of.weights(drawn))),
            12,
            resamples=100,
            seed=at,
        )
        values.append(distance_to(moments.gaussian()))
        intervals.append(centred_interval(values[-1], draws, 12, floor=0.0))
    usual = np.mean(values)
    share = np.mean([interval.low <= usual <= interval.high for interval in intervals])
    assert share >= 0.9
    assert np.mean([width(interval) for interval in intervals]) < 6 * np.std(values)


def test_draws_are_clips_with_replacement_the_same_for_the_same_seed():
    drawn = draw_clips(10, 500, seed=3)
    assert drawn.shape == (500, 10)
    np.testing.assert_array_equal(drawn, draw_clips(10, 500, seed=3))
    assert set(drawn.ravel()) == set(range(10))
    different = np.mean([len(set(draw)) for draw in drawn]) / 10
    assert different == pytest.approx(1 - 0.9**10, abs=0.02)


def test_a_statistic_is_given_the_places_of_the_clips_drawn():
    values = np.arange(5.0)
    found = resampled(lambda drawn: float(values[drawn].max()), 5, resamples=300, seed=1)
    np.testing.assert_array_equal(found, values[draw_clips(5, 300, 1)].max(axis=1))


def test_draws_without_a_value_are_left_out_and_counted():
    values = np.array([np.nan, 1.0, 2.0, 3.0, 4.0, 5.0])
    found = resampled(lambda drawn: float(values[drawn[:1]].mean()), 6, resamples=600)
    assert np.isfinite(found).all()
    assert quantile_interval(found, 6).resamples == len(found) == pytest.approx(500, abs=40)


def test_a_statistic_that_mostly_has_no_value_is_refused():
    with pytest.raises(MetricError) as caught:
        resampled(lambda drawn: float("nan"), 6, resamples=50)
    assert str(caught.value) == "50 of 50 draws of 6 clips have no value - add clips"


@pytest.mark.parametrize(("values", "count"), [([1.0], "1 clip"), ([], "0 clips")])
def test_one_clip_is_refused(values, count):
    with pytest.raises(MetricError) as caught:
        mean_interval(values)
    assert str(caught.value) == (
        f"{count} cannot be drawn again and again, at least 2 are needed"
        " - add clips: one alone says nothing about others of its kind"
    )


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(MetricError, match="NaN or infinity among the clips' values - leave the"):
        mean_interval([1.0, float("nan")])


def test_values_without_a_pair_are_refused():
    with pytest.raises(MetricError, match="3 values against 2 have no pairs"):
        difference_interval([1.0, 2.0, 3.0], [1.0, 2.0])
