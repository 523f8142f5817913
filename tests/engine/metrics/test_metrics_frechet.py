from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigvalsh, sqrtm

from lofi_engine.errors import MetricError
from lofi_engine.metrics.frechet import (
    DistanceTo,
    Gaussian,
    covariance_factor,
    frechet_between,
    frechet_distance,
)


def gaussian(mean, covariance):
    return Gaussian(np.array(mean, float), np.array(covariance, float))


def correlated(dimensions, count, seed):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dimensions, dimensions)) / np.sqrt(dimensions)
    draws = rng.standard_normal((count, dimensions)) * np.geomspace(1, 0.03, dimensions)
    return draws + draws @ mixing / 2 + 0.1 * seed


def rotation(dimensions, seed=5):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dimensions, dimensions)))[0]


def by_square_root(first, second):
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(axis=0) - second.mean(axis=0)
    return shift @ shift + np.trace(one) + np.trace(other) - 2 * np.trace(sqrtm(one @ other)).real


def by_singular_values(many, few):
    """Take the few's windows, not the dimensions: as exact, and small."""
    covariance = np.cov(many, rowvar=False)
    shift = many.mean(axis=0) - few.mean(axis=0)
    centred = (few - few.mean(axis=0)) / np.sqrt(len(few) - 1)
    shared = np.sqrt(np.maximum(eigvalsh(centred @ covariance @ centred.T), 0)).sum()
    return shift @ shift + np.trace(covariance) + np.square(centred).sum() - 2 * shared


def test_in_one_dimension_it_is_the_shift_and_the_difference_of_deviations_squared():
    # Means 2 and 6, variances 1 and 9: (6 - 2)^2 + (3 - 1)^2 = 20
    first, second = np.array([[1.0], [2.0], [3.0]]), np.array([[3.0], [6.0], [9.0]])
    assert frechet_distance(first, second) == pytest.approx(20, rel=1e-14)


def test_a_shift_of_the_mean_alone_gives_its_squared_length():
    vectors = correlated(6, 40, 1)
    assert frechet_distance(vectors, vectors + np.array([3, 4, 0, 0, 0, 12])) == pytest.approx(
        169, rel=1e-12
    )


def test_diagonal_covariances_give_the_squared_differences_of_their_deviations():
    first = gaussian([0, 0, 0], np.diag([1, 4, 9]))
    second = gaussian([1, 0, 0], np.diag([4, 4, 1]))
    assert frechet_between(first, second) == pytest.approx(1 + 1 + 0 + 4, rel=1e-14)


def test_commuting_covariances_give_what_their_eigenvalues_give():
    turn = rotation(5)
    one, other = np.array([1.0, 2, 3, 4, 5]), np.array([9.0, 1, 0, 2, 5])
    first = gaussian(np.zeros(5), turn * one @ turn.T)
    second = gaussian(np.zeros(5), turn * other @ turn.T)
    expected = np.square(np.sqrt(one) - np.sqrt(other)).sum()
    assert frechet_between(first, second) == pytest.approx(expected, rel=1e-7)


def test_covariances_that_do_not_commute_give_the_value_found_by_hand():
    # tr (S1 S2)^(1/2) of 2 x 2 matrices is the root of tr(S1 S2) + 2 (det S1 det S2)^(1/2):
    # tr(S1 S2) = 2*1 + 1*0 + 1*0 + 2*4 = 10, determinants 3 and 4.
    first, second = gaussian([0, 0], [[2, 1], [1, 2]]), gaussian([0, 0], [[1, 0], [0, 4]])
    expected = 4 + 5 - 2 * math.sqrt(10 + 2 * math.sqrt(12))
    assert frechet_between(first, second) == pytest.approx(expected, rel=1e-12)


def test_equal_covariances_leave_the_shift_alone_however_small_it_is():
    covariance = np.cov(correlated(20, 100, 1), rowvar=False)
    first, second = gaussian(np.zeros(20), covariance), gaussian(np.full(20, 1e-9), covariance)
    assert frechet_between(first, second) == pytest.approx(20e-18, rel=1e-6)


@pytest.mark.parametrize("dimensions", [128, 512])
def test_it_agrees_with_the_matrix_square_root_in_float64(dimensions):
    first, second = (correlated(dimensions, 2 * dimensions, seed) for seed in (1, 2))
    assert frechet_distance(first, second) == pytest.approx(by_square_root(first, second), rel=1e-9)


def test_it_agrees_with_eigenvalues_in_float64_for_2048_dimensions():
    many, few = correlated(2048, 2100, 1), correlated(2048, 300, 2)
    assert frechet_distance(many, few) == pytest.approx(by_singular_values(many, few), rel=1e-6)


@pytest.mark.parametrize("dimensions", [128, 512])
def test_sets_that_are_nearly_alike_keep_their_distance_to_six_digits(dimensions):
    first = correlated(dimensions, 2 * dimensions, 1)
    closer = 1e-6
    covariance = np.cov(first, rowvar=False)
    expected = closer**2 * (np.square(first.mean(axis=0)).sum() + np.trace(covariance))
    assert frechet_distance(first, first * (1 + closer)) == pytest.approx(expected, rel=1e-6)


def test_vectors_and_their_gaussians_give_one_distance():
    first, second = correlated(64, 200, 1), correlated(64, 150, 2)
    expected = frechet_distance(first, second)
    gaussians = Gaussian.of(first), Gaussian.of(second)
    assert frechet_between(*gaussians) == pytest.approx(expected, rel=1e-9)
    assert DistanceTo(gaussians[1])(gaussians[0]) == pytest.approx(expected, rel=1e-7)


def test_fewer_vectors_than_dimensions_give_the_distance_of_the_space_they_span():
    first, second = correlated(32, 100, 1), correlated(32, 90, 2)
    into_2048 = np.linalg.qr(np.random.default_rng(3).standard_normal((2048, 32)))[0].T
    spread_out = frechet_distance(first @ into_2048, second @ into_2048)
    assert spread_out == pytest.approx(frechet_distance(first, second), rel=1e-9)


def test_the_distance_does_not_depend_on_which_set_is_named_first_or_how_space_is_turned():
    first, second = correlated(24, 60, 1), correlated(24, 20, 2)
    expected = frechet_distance(first, second)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-10)
    turn = rotation(24)
    assert frechet_distance(first @ turn, second @ turn) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e140])
def test_the_distance_keeps_its_digits_at_any_scale(scale):
    first, second = correlated(16, 40, 1), correlated(16, 40, 2)
    expected = frechet_distance(first, second)
    found = frechet_distance(first * scale, second * scale)
    assert found / scale / scale == pytest.approx(expected, rel=1e-9)


@given(
    dimensions=st.integers(1, 12),
    counts=st.tuples(st.integers(2, 20), st.integers(2, 20)),
    rank=st.integers(0, 12),
    exponent=st.integers(-160, 140),
    apart=st.sampled_from([0.0, 1e-12, 1e-6, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_it_is_never_negative_and_always_finite(dimensions, counts, rank, exponent, apart, seed):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dimensions, rank)) @ rng.standard_normal((rank, dimensions))
    first = rng.standard_normal((counts[0], dimensions)) @ mixing
    second = np.resize(first, (counts[1], dimensions)) + apart * rng.standard_normal(dimensions)
    first, second = first * 10.0**exponent, second * 10.0**exponent
    assert 0 <= frechet_distance(first, second) < math.inf
    gaussians = Gaussian.of(first), Gaussian.of(second)
    assert 0 <= frechet_between(*gaussians) < math.inf
    assert 0 <= DistanceTo(gaussians[0])(gaussians[1]) < math.inf


@pytest.mark.parametrize(("count", "dimensions"), [(2, 1), (50, 20), (10, 40), (2, 512)])
def test_a_set_is_at_no_distance_from_itself(count, dimensions):
    vectors = correlated(dimensions, count, 1)
    traces = np.square(vectors).sum()
    assert frechet_distance(vectors, vectors) <= 1e-26 * traces
    assert frechet_distance(vectors, vectors[::-1]) <= 1e-26 * traces


def test_sets_without_any_spread_are_as_far_apart_as_their_points():
    assert frechet_distance(np.zeros((3, 2)), np.zeros((5, 2))) == 0.0
    assert frechet_distance(np.zeros((3, 2)), np.ones((5, 2))) == pytest.approx(2.0)


def test_values_too_small_to_be_squared_or_inverted_give_zero():
    assert frechet_distance(np.eye(3) * 1e-320, np.zeros((3, 3))) == 0.0


def test_a_covariance_is_its_factor_times_its_factor_turned():
    covariance = np.cov(correlated(12, 8, 1), rowvar=False)
    factor = covariance_factor(gaussian(np.zeros(12), covariance))
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-14)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), r"vectors of shape \(1, 3\) have no covariance"),
        (np.zeros(3), np.zeros((4, 3)), r"vectors of shape \(3,\) have no covariance"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "vectors of 3 dimensions against 2 - embed both sets"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), "NaN or infinity among the vectors"),
        (np.zeros((4, 3)), np.full((4, 3), np.inf), "NaN or infinity among the vectors"),
    ],
)
def test_vectors_without_a_distance_are_refused(first, second, message):
    with pytest.raises(MetricError, match=message):
        frechet_distance(first, second)


def test_what_is_no_covariance_is_refused_with_its_eigenvalue():
    wrong = gaussian([0, 0], [[1, 2], [2, 1]])
    with pytest.raises(
        MetricError, match="a covariance with the eigenvalue -1, its largest being 3"
    ):
        frechet_between(wrong, wrong)
