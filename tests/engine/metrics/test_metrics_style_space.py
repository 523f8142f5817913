from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.style_losses import BETWEEN, WITHIN, kept, lost, root_mean, upper_bounds
from lofi_engine.metrics.style_space import (
    chance_apart,
    draw_by_style,
    interval_by_style,
    membership,
    scale_within,
    squared_distances,
    styles_apart,
    whiten_within,
)
from tests.support.styled_clips import styled_at

STYLE_OF = np.repeat([0, 1], 4)


def test_distances_of_two_styles_on_a_line_are_those_worked_out_by_hand():
    line = np.array([0, 0, 2, 2, 10, 10, 12, 12.0])[:, None]
    apart = styles_apart(squared_distances(line), membership(STYLE_OF))
    # Within: 4 of 6 pairs at distance 2. Between: mean of 100, 144, 64, 100, less 8/3.
    assert apart == pytest.approx(np.array([[8 / 3, 298 / 3], [298 / 3, 8 / 3]]))


def test_styles_that_do_not_differ_lie_at_no_distance_on_average():
    rng = np.random.default_rng(5)
    found, plain = [], []
    for _ in range(200):
        vectors = rng.normal(size=(8, 20))
        found.append(styles_apart(squared_distances(vectors), membership(STYLE_OF))[0, 1])
        plain.append(((vectors[:4].mean(axis=0) - vectors[4:].mean(axis=0)) ** 2).sum())
    assert np.mean(found) == pytest.approx(0, abs=3 * np.std(found) / 200**0.5)
    assert np.mean(plain) == pytest.approx(10, rel=0.1)  # the bias that is avoided


def test_a_clip_drawn_twice_is_no_pair_with_itself():
    line = np.array([0, 1, 3, 7, 10, 11, 13, 17.0])[:, None]
    counts = np.array([2, 2, 0, 0, 1, 1, 1, 1.0])
    apart = styles_apart(squared_distances(line), membership(STYLE_OF) * counts[:, None])
    assert apart[0, 0] == pytest.approx(1)


def test_redrawn_clips_lie_as_far_apart_as_the_clips_themselves_on_average():
    vectors = np.random.default_rng(6).normal(size=(12, 10))
    vectors[6:] += 1
    style_of = np.repeat([0, 1], 6)
    squared, member = squared_distances(vectors), membership(style_of)
    drawn = [styles_apart(squared, member * c[:, None]) for c in draw_by_style(style_of, 1)]
    found = styles_apart(squared, member)
    assert np.mean(drawn, axis=0) == pytest.approx(found, rel=0.03)


def test_draws_keep_every_styles_number_of_clips_and_never_one_clip_alone():
    style_of = np.array([0, 1, 0, 1, 0, 1, 1])
    draws = draw_by_style(style_of, seed=3)
    assert draws.shape == (2000, 7)
    assert (draws[:, style_of == 0].sum(axis=1) == 3).all()
    assert (draws[:, style_of == 1].sum(axis=1) == 4).all()
    assert (draws[:, style_of == 0].max(axis=1) < 3).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(7), abs=0.05)
    assert np.array_equal(draws, draw_by_style(style_of, seed=3))
    assert not np.array_equal(draws, draw_by_style(style_of, seed=4))


def test_whitening_makes_the_spread_within_styles_equal_and_unrelated():
    rng = np.random.default_rng(7)
    mixing = np.array([[5.0, 4.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 300.0]])
    style_of = np.repeat([0, 1], 500)
    styled = styled_at(rng.normal(size=(1000, 3)) @ mixing + 50 * style_of[:, None], style_of)
    space = whiten_within(styled)
    within = np.cov(styled_at(space.apply(styled), style_of).deviations.T)
    assert within == pytest.approx(np.eye(3), abs=0.05)
    assert space.shrinkage == pytest.approx(0.0, abs=0.01)


def test_with_fewer_clips_than_dimensions_whitening_is_shrunk_and_finite():
    styled = styled_at(np.random.default_rng(8).normal(size=(8, 40)))
    space = whiten_within(styled)
    assert 0.5 < space.shrinkage <= 1
    assert np.isfinite(space.matrix).all()
    assert np.abs(space.matrix).max() < 10


def test_dimensions_are_scaled_by_all_sets_and_one_without_spread_by_the_widest():
    ours = styled_at(np.column_stack([[0, 2, 0, 2, 9, 11, 9, 11], [7.0] * 4 + [3.0] * 4]))
    base = styled_at(np.column_stack([[0, 14, 0, 14, 9, 23, 9, 23], [7.0] * 4 + [3.0] * 4]))
    assert scale_within(ours) == pytest.approx([1, 1])
    assert scale_within(ours, base) == pytest.approx([5, 5])


def test_styles_whose_clips_are_all_alike_have_no_scale():
    copies = np.repeat([[1.0, 2.0], [5.0, 2.0]], 4, axis=0)
    with pytest.raises(MetricError) as refused:
        scale_within(styled_at(copies), styled_at(copies, label="base"))
    assert str(refused.value) == (
        "ours and base: all clips of a style sound the same, so nothing says how far apart is far"
        " - use clips of different seeds"
    )


def test_styles_far_apart_are_hardly_ever_so_by_lot():
    line = np.array([0, 1, 2, 3, 10, 11, 12, 13.0])[:, None]
    # Of the 70 ways to deal two styles to eight clips, two part them as they are.
    assert chance_apart(squared_distances(line), STYLE_OF, 0) == pytest.approx(2 / 70, abs=0.015)
    mixed = np.array([0, 12, 2, 10, 11, 1, 13, 3.0])[:, None]
    assert chance_apart(squared_distances(mixed), STYLE_OF, 0) > 0.5


def test_a_share_is_of_root_mean_squares_and_chance_below_zero_counts_as_nothing():
    base = np.array([16.0, 16.0])
    assert kept(np.array([1.0, 7.0]), base) == pytest.approx(0.5)
    assert kept(np.array([-3.0, 1.0]), base) == 0
    assert np.isnan(kept(np.array([1.0, 1.0]), np.array([-1.0, 0.5])))
    assert root_mean(np.array([[9.0, 9.0], [-1.0, 0.5]])).tolist() == [3, 0]


def test_entries_of_both_kinds_come_with_their_names():
    apart = np.array([[1, 2, 3], [2, 4, 5], [3, 5, 6.0]])
    assert BETWEEN.entries(apart).tolist() == [2, 3, 5]
    assert BETWEEN.labels(("A", "B", "C")) == ["A and B", "A and C", "B and C"]
    assert WITHIN.entries(np.stack([apart, 2 * apart])).tolist() == [[1, 4, 6], [2, 8, 12]]
    assert WITHIN.labels(("A", "B", "C")) == ["A", "B", "C"]


def test_many_bounds_hold_together_where_single_ones_would_fail():
    rng = np.random.default_rng(9)
    missed_together = missed_alone = 0
    for _ in range(200):
        found = rng.normal(size=50)
        drawn = found + rng.normal(size=(400, 50))
        missed_together += (upper_bounds(found, drawn, 0.975) < 0).any()
        missed_alone += (np.quantile(drawn, 0.975, axis=0) < 0).any()
    assert missed_together <= 13  # about 5 of 200 are allowed to fail
    assert missed_alone > 100


def test_a_value_that_never_varies_is_its_own_bound():
    bounds = upper_bounds(np.array([-1.0, 2.0]), np.array([[-1.0, 1.0], [-1.0, 3.0]]), 0.975)
    assert bounds[0] == -1
    assert bounds[1] > 2


def test_what_is_lost_is_what_lies_below_the_share_by_more_than_chance():
    rng = np.random.default_rng(10)
    base, found = np.array([100.0, 100.0, 0.01]), np.array([90.0, 30.0, 0.001])
    noise = rng.normal(size=(1000, 3))
    assert lost(found, base, found + noise, base + noise, 0.8).tolist() == [False, True, False]


def test_intervals_by_style_lie_farther_out_than_plain_percentiles():
    drawn = np.random.default_rng(11).normal(size=2000)
    interval = interval_by_style(drawn, styled_at(np.zeros((8, 1))))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert interval.low < low
    assert interval.high > high
    assert (interval.resamples, interval.drawn) == (2000, "clips")


def test_a_draw_without_a_value_does_not_count():
    drawn = np.array([1.0, np.nan] * 50)
    interval = interval_by_style(drawn, styled_at(np.zeros((8, 1))))
    assert (interval.low, interval.high, interval.resamples) == (1, 1, 50)
