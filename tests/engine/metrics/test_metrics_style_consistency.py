from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from lofi_engine.errors import MetricError
from lofi_engine.metrics.style_consistency import StyleConsistency, silhouettes
from lofi_engine.metrics.style_space import membership
from tests.support.styled_clips import PlaceEmbedding, clips_at, scattered, silent

LINE = {"JAZZ": [[0], [0], [2], [2]], "RAIN": [[10], [10], [12], [12]]}
CENTRES = {"JAZZ": [0, 0, 0, 0], "RAIN": [6, 0, 0, 0], "WIND": [6, 0, 0, 3]}


def _scattered(label, seed, clips=6, spread=1.0, factor=1.0):
    centres = {style: factor * np.array(centre) for style, centre in CENTRES.items()}
    return clips_at(label, scattered(np.random.default_rng(seed), centres, clips, spread))


def _measure(judged, reference, dimensions=4, **options):
    metric = StyleConsistency(PlaceEmbedding(dimensions), **options)
    (figure,) = metric.measure(judged, reference, silent)
    return figure


def test_two_styles_on_a_line_have_the_silhouette_worked_out_by_hand():
    figure = _measure(clips_at("ours", LINE), clips_at("real", {"A": LINE["RAIN"], **LINE}), 1)
    outer, inner = (11 - 4 / 3) / 11, (9 - 4 / 3) / 9
    assert figure.value == pytest.approx((outer + inner) / 2, abs=1e-4)
    assert figure.each["JAZZ-0"] == pytest.approx(outer, abs=1e-4)
    assert figure.each["JAZZ-2"] == pytest.approx(inner, abs=1e-4)
    assert figure.interval.low < figure.value < figure.interval.high
    assert (figure.metric, figure.n, figure.counted) == ("style-consistency", 8, "clips")
    assert (figure.better, figure.against, figure.embedding) == ("higher", "real", "place-v1")
    assert len(figure.reference_hash) == 12
    assert figure.details["reference_clips"] == 12


def test_silhouettes_are_those_of_scikit_learn():
    vectors = np.random.default_rng(1).normal(size=(30, 5))
    labels = np.arange(30) % 3
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    values, _ = silhouettes(distances, membership(labels))
    assert values == pytest.approx(silhouette_samples(vectors, labels))


def test_clips_that_are_all_the_same_have_a_silhouette_of_zero():
    values, _ = silhouettes(np.zeros((8, 8)), membership(np.repeat([0, 1], 4)))
    assert values.tolist() == [0] * 8


def test_a_copy_drawn_again_is_no_neighbour_of_itself():
    line = np.array([0, 0.5, 2, 2, 10, 10, 12, 12.0])
    weighted = membership(np.repeat([0, 1], 4)) * np.array([2, 0, 1, 1, 1, 1, 1, 1])[:, None]
    values, _ = silhouettes(np.abs(line[:, None] - line), weighted)
    assert values[0] == pytest.approx((11 - 2) / 11)
    assert values[1] == 0


def test_each_style_is_told_with_the_one_nearest_to_it():
    figure = _measure(_scattered("ours", 1), _scattered("real", 2, clips=12))
    styles = figure.details["styles"]
    assert [styles[style]["nearest"] for style in CENTRES] == ["RAIN", "WIND", "RAIN"]
    assert styles["JAZZ"]["silhouette"] > styles["WIND"]["silhouette"]
    assert figure.value == pytest.approx(np.mean([s["silhouette"] for s in styles.values()]))


def test_styles_that_do_not_differ_have_an_interval_that_holds_zero():
    figure = _measure(_scattered("ours", 3, factor=0), _scattered("real", 2, clips=12))
    assert figure.interval.low < 0 < figure.interval.high + 0.05
    assert abs(figure.value) < 0.1


def test_tighter_styles_are_better_by_more_than_chance():
    real, metric = _scattered("real", 2, clips=12), StyleConsistency(PlaceEmbedding(4))
    (found,) = metric.compare(
        _scattered("loose", 3, spread=2), _scattered("tight", 3), real, silent
    )
    assert found.value == pytest.approx(found.first.value - found.second.value)
    assert found.is_worse
    assert found.interval.low < found.value < found.interval.high < 0
    assert found.n == 18
    assert found.relative == pytest.approx(found.value / found.second.value)


def test_equal_sets_differ_by_nothing():
    real, metric = _scattered("real", 2, clips=12), StyleConsistency(PlaceEmbedding(4))
    (found,) = metric.compare(_scattered("a", 3), _scattered("b", 3), real, silent)
    assert (found.value, found.interval.low, found.interval.high) == (0, 0, 0)
    assert not found.is_worse


def test_the_seed_alone_decides_the_interval():
    ours, real = _scattered("ours", 1), _scattered("real", 2)
    assert _measure(ours, real, seed=5) == _measure(ours, real, seed=5)
    assert _measure(ours, real, seed=5).interval != _measure(ours, real, seed=6).interval


def test_without_a_reference_it_says_what_to_do():
    with pytest.raises(MetricError) as refused:
        _measure(_scattered("ours", 1), None)
    assert str(refused.value) == (
        "style-consistency: no reference set - name a second folder to hold the first against"
    )


def test_a_set_is_not_held_against_itself():
    with pytest.raises(MetricError) as refused:
        _measure(_scattered("ours", 1), _scattered("copy", 1))
    assert str(refused.value) == (
        "ours: held against itself (copy): a set lies too tight when it sets its own scale - "
        "give other labelled clips as the reference"
    )
