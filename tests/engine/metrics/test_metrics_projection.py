from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.frechet import frechet_distance
from lofi_engine.metrics.projection import enough_windows, projected, random_directions
from tests.support.metric_clips import gaussian_clips, vector_set


def drawn_set(label, clips, windows, dimensions=32, seed=0, **options):
    return vector_set(gaussian_clips((seed, clips), clips, windows, dimensions), label, **options)


def refusal(sets, **options):
    with pytest.raises(MetricError) as caught:
        enough_windows(sets, **options)
    return str(caught.value)


def test_twice_as_many_windows_as_dimensions_are_enough():
    sets = drawn_set("A", 8, 8), drawn_set("B", 16, 4)
    assert enough_windows(sets) == sets
    assert enough_windows(sets, project=True) == sets


def test_fewer_are_refused_with_both_numbers():
    assert refusal([drawn_set("A", 10, 10), drawn_set("takes", 9, 7)]) == (
        "takes: 63 windows of 2 s for 32 dimensions, at least 64 are needed"
        " - use more or longer clips, or pass --project to look at 31 random directions of them"
    )


def test_fewer_are_projected_on_half_as_many_directions_as_the_smaller_set_has_windows():
    first, second = enough_windows([drawn_set("A", 10, 10), drawn_set("B", 9, 5)], project=True)
    assert (first.dimensions, second.dimensions) == (22, 22)
    assert first.embedding_name == second.embedding_name == "linear-test/random-22"
    assert (first.windows, second.windows) == (100, 45)


def test_the_number_of_directions_can_be_stated():
    sets = drawn_set("A", 10, 10), drawn_set("B", 9, 5)
    first, _ = enough_windows(sets, directions=12)
    assert (first.dimensions, first.embedding_name) == (12, "linear-test/random-12")
    plenty, _ = enough_windows((sets[0], sets[0]), directions=12)
    np.testing.assert_array_equal(plenty.stacked(), first.stacked())
    assert refusal(sets, directions=23).startswith("B: 45 windows of 2 s for 23 dimensions")


def test_under_eight_windows_are_refused_in_any_case():
    sets = drawn_set("A", 10, 10), drawn_set("B", 1, 7)
    expected = (
        "B: 7 windows of 2 s for 4 dimensions, at least 8 are needed - use more or longer clips"
    )
    assert refusal(sets, project=True) == expected
    assert "--project" not in refusal(sets)
    one = drawn_set("B", 1, 1)
    assert refusal([one]).startswith("B: 1 window of 2 s for 32 dimensions, at least 64 are")


def test_sets_of_two_embeddings_are_refused():
    sets = drawn_set("A", 10, 10), drawn_set("B", 10, 10, 16, embedding_name="other")
    assert refusal(sets) == (
        "A is embedded by linear-test in 32 dimensions, B by other in 16"
        " - embed both sets with one model"
    )


def test_directions_are_orthonormal_and_depend_on_nothing_but_the_seed():
    directions = random_directions(96, 32)
    np.testing.assert_allclose(directions.T @ directions, np.eye(32), atol=1e-13)
    np.testing.assert_array_equal(directions, random_directions(96, 32))
    assert not np.allclose(directions, random_directions(96, 32, seed=1))
    np.testing.assert_allclose(random_directions(96, 8), directions[:, :8], atol=1e-13)


def test_the_seed_of_other_directions_is_in_the_name():
    found = projected(drawn_set("A", 4, 4), 6, seed=3)
    assert found.embedding_name == "linear-test/random-6-seed-3"


def test_a_projection_never_takes_sets_further_apart():
    first = gaussian_clips(1, 1, 200, 32, shift=0.3)[0]
    second = gaussian_clips(2, 1, 200, 32, scale=1.5)[0]
    whole = frechet_distance(first, second)
    turned = [random_directions(32, count) for count in (4, 16, 31)]
    found = [frechet_distance(first @ turn, second @ turn) for turn in turned]
    assert found[0] < found[1] < found[2] < whole


def test_all_directions_give_the_distance_itself():
    first, second = gaussian_clips(1, 2, 100, 16, shift=0.3)
    turn = random_directions(16, 16)
    expected = frechet_distance(first, second)
    assert frechet_distance(first @ turn, second @ turn) == pytest.approx(expected, rel=1e-10)
