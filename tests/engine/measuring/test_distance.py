from __future__ import annotations

import json

import numpy as np
import pytest

from lofi_engine.measuring.distance import largest_distance, latent_distance, summarise


def latents(seed, scale=1.0):
    draws = np.random.default_rng(seed)
    return (scale * draws.standard_normal((1, 8, 16, 20))).astype(np.float32)


def test_equal_latents_are_at_distance_zero():
    assert latent_distance(latents(1), latents(1)) == 0.0


def test_the_distance_is_rms_over_the_reference_s_deviation():
    reference = np.array([-2.0, 2.0, -2.0, 2.0], np.float32)  # deviation 2
    found = reference + np.array([1.0, 1.0, -1.0, -1.0], np.float32)
    assert latent_distance(found, reference) == pytest.approx(0.5)


def test_independent_latents_of_equal_width_are_at_the_root_of_two():
    assert latent_distance(latents(1), latents(2)) == pytest.approx(np.sqrt(2), abs=0.03)


def test_the_distance_has_no_unit():
    near, far = latents(1) + 0.1 * latents(2), latents(1)
    assert latent_distance(near, far) == pytest.approx(
        latent_distance(np.float32(7) * near, np.float32(7) * far), rel=1e-5
    )


def test_a_shift_of_the_reference_does_not_shrink_the_distance():
    off = np.float32(100)
    assert latent_distance(latents(1) + off + 1, latents(1) + off) == pytest.approx(1.0, abs=0.05)


def test_a_tiny_difference_is_not_lost_in_float32():
    reference = latents(1)
    found = reference.copy()
    found[0, 0, 0, 0] += np.float32(1e-4)
    expected = 1e-4 / np.sqrt(reference.size) / np.std(reference.astype(np.float64))
    assert latent_distance(found, reference) == pytest.approx(expected, rel=0.01)


def test_the_largest_distance_is_that_of_the_one_value_furthest_off():
    reference = latents(1)
    found = reference.copy()
    found.flat[7] += np.float32(3)
    expected = 3 / np.std(reference.astype(np.float64))
    assert largest_distance(found, reference) == pytest.approx(expected, rel=1e-5)
    assert largest_distance(reference, reference) == 0.0


@pytest.mark.parametrize("distance", [latent_distance, largest_distance])
def test_the_distance_to_a_constant_reference_is_the_plain_difference(distance):
    constant = np.full((1, 2, 3), 0.1, np.float32)
    assert distance(constant, constant) == 0.0
    assert distance(constant + np.float32(0.5), constant) == pytest.approx(0.5)


@pytest.mark.parametrize("distance", [latent_distance, largest_distance])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["found", "reference", "both"])
def test_the_distance_of_what_is_no_number_is_none_either(distance, value, which):
    pair = {"found": latents(1), "reference": latents(2)}
    for name in pair if which == "both" else (which,):
        pair[name].flat[3] = value
    assert not np.isfinite(distance(**pair))


def test_the_summary_has_mean_maximum_and_each_to_six_digits():
    assert summarise([0.1, 0.2, 0.30000001]) == {
        "mean": 0.2,
        "max": 0.3,
        "each": [0.1, 0.2, 0.3],
    }
    assert json.dumps(summarise([1 / 3])) == (
        '{"mean": 0.333333, "max": 0.333333, "each": [0.333333]}'
    )


def test_small_distances_keep_their_digits():
    assert summarise([1.23456789e-7])["mean"] == 1.23457e-07
