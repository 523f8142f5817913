from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.frechet import Gaussian
from lofi_engine.metrics.moments import ClipMoments
from tests.support.metric_clips import vector_set

WEIGHTS = [[1, 1, 1, 1], [0, 3, 0, 1], [2, 0, 2, 0], [0, 0, 1, 0]]


@pytest.fixture
def uneven():
    rng = np.random.default_rng(1)
    clips = [rng.standard_normal((count, 5)) + 1e4 for count in (2, 7, 4, 1)]
    return vector_set(clips)


@pytest.mark.parametrize("kept_bytes", [2**20, 0])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_choice_of_clips_has_the_gaussian_of_its_vectors(uneven, weights, kept_bytes):
    moments = ClipMoments(uneven, kept_bytes=kept_bytes)
    chosen = [name for name, times in zip(uneven.names, weights, strict=True) for _ in range(times)]
    expected = Gaussian.of(np.concatenate([uneven.vectors[name] for name in chosen]))
    found = moments.gaussian(np.array(weights, float))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-14)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9, atol=1e-11)


def test_without_weights_every_clip_is_in_once(uneven):
    moments = ClipMoments(uneven)
    expected = moments.gaussian(np.ones(4)).covariance
    np.testing.assert_array_equal(moments.gaussian().covariance, expected)
    assert (moments.clips, moments.dimensions, moments.windows) == (4, 5, 14)


def test_a_draw_counts_how_often_each_clip_is_in_it(uneven):
    weights = ClipMoments(uneven).weights(np.array([1, 1, 3, 1]))
    assert weights.tolist() == [0, 3, 0, 1]
    assert ClipMoments(uneven).windows_of(weights) == 22


def test_a_choice_of_one_window_is_refused(uneven):
    with pytest.raises(MetricError, match="A: 1 windows have no covariance - use longer clips"):
        ClipMoments(uneven).gaussian(np.array([0.0, 0, 0, 1]))
