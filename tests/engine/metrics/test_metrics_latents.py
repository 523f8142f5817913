from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.latents import (
    MOST_SNR_DB,
    LatentCosine,
    LatentSnr,
    latent_cosine,
    latent_snr_db,
)
from tests.support.clip_sets import quiet, with_latents


def latents(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("found", "reference", "cosine"),
    [
        ((1, 2, 3), (2, 4, 6), 1.0),
        ((1, 0), (0, 1), 0.0),
        ((1, 0), (-2, 0), -1.0),
        ((3, 4), (4, 3), 24 / 25),
    ],
)
def test_the_cosine_agrees_with_arithmetic_by_hand(found, reference, cosine):
    assert latent_cosine(latents(*found), latents(*reference)) == pytest.approx(cosine, abs=1e-12)


def test_a_cosine_next_to_one_keeps_its_digits():
    reference = latents(1.0, 0.0)
    assert 1 - latent_cosine(latents(1.0, 1e-6), reference) == pytest.approx(5e-13, rel=1e-3)


@pytest.mark.parametrize(
    ("found", "reference", "decibels"),
    [
        ((1.1, 0), (1, 0), 20.0),  # noise of a tenth
        ((3, 4.5), (3, 4), 20.0),  # 25 over 0.25
        ((0, 0), (3, 4), 0.0),
        ((-1, 0), (1, 0), -6.0206),
    ],
)
def test_the_ratio_agrees_with_arithmetic_by_hand(found, reference, decibels):
    ratio = latent_snr_db(latents(*found), latents(*reference))
    assert ratio == pytest.approx(decibels, abs=1e-4)


def test_identical_latents_have_the_largest_ratio_not_infinity():
    assert latent_snr_db(latents(1, 2), latents(1, 2)) == MOST_SNR_DB == 150.0


def test_figures_are_means_over_pairs():
    reference = with_latents("fp32", {"a": latents(1, 0), "b": latents(3, 4)})
    judged = with_latents("int8", {"a": latents(1.1, 0), "b": latents(3, 4)})
    (cosine,) = LatentCosine().measure(judged, reference, quiet)
    (ratio,) = LatentSnr().measure(judged, reference, quiet)
    assert (cosine.value, cosine.better) == (pytest.approx(1.0), "higher")
    assert (ratio.value, ratio.unit) == (pytest.approx(85.0, abs=1e-4), "dB")
    assert ratio.details["share_at_most_snr"] == 0.5
    assert ratio.each["a"] == pytest.approx(20.0, abs=1e-4)


@pytest.mark.parametrize("metric", [LatentCosine(), LatentSnr()])
def test_latents_without_meaning_are_refused_by_name(metric):
    fine = {"a": latents(1, 2), "b": latents(3, 4)}
    reference = with_latents("fp32", fine)

    def refused(text: str, **other: np.ndarray | None) -> None:
        with pytest.raises(MetricError, match=text):
            metric.measure(with_latents("int8", {**fine, **other}), reference, quiet)

    refused(r"int8: b: no latents - keep them beside the sound as b.latents.npy", b=None)
    refused("int8: b: NaN or infinity in the latents", b=latents(1, np.nan))
    refused("int8: b: latents of zeros", b=latents(0, 0))
    refused("int8: b: latents of shape 1 x 1 x 3, but 1 x 1 x 2 in fp32", b=latents(1, 2, 3))
    zeros = with_latents("fp32", {"a": latents(0, 0), "b": latents(1, 1)})
    with pytest.raises(MetricError, match="fp32: a: latents of zeros"):
        metric.measure(with_latents("int8", fine), zeros, quiet)


def test_two_variants_are_compared_pair_by_pair():
    rng = np.random.default_rng(1)
    exact = {f"t{n}": rng.standard_normal((8, 16, 20)).astype(np.float32) for n in range(6)}

    def noisy(label: str, level: float):
        return with_latents(
            label,
            {
                name: (one + level * rng.standard_normal(one.shape)).astype(np.float32)
                for name, one in exact.items()
            },
        )

    reference = with_latents("fp32", exact)
    (difference,) = LatentSnr().compare(noisy("int4", 0.1), noisy("int8", 0.01), reference, quiet)
    assert difference.value == pytest.approx(-20.0, abs=0.3)
    assert difference.is_worse
