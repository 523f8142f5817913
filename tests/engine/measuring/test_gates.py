from __future__ import annotations

from dataclasses import replace

import pytest

from lofi_engine.measuring.gates import (
    baseless_failure,
    bounds_of,
    change_failure,
    distance_failure,
)
from lofi_engine.measuring.records import difference_record, figure_record, rounded
from lofi_engine.metrics.figures import HIGHER, LOWER, Difference, Figure, Interval
from lofi_engine.recipe.model import ClapGate, FadGate


def fad(bounds):
    return FadGate("lofi-sound-v1", False, bounds)


def clap(bounds):
    return ClapGate("hf:me/clap", bounds)


FAD, CLAP = bounds_of(fad({"int8": 0.05}), None), bounds_of(None, clap({"int8": 0.03}))


def figure(metric, value, better, **changes):
    basis = {"embedding": "lofi-sound-v1", "against": "the held-out tracks"}
    if metric == "clap":
        basis = {"embedding": "clap:me/clap@1a2b"}
    found = Figure(metric, value, Interval(0.9 * value, 1.1 * value, 200), 950, "windows", better)
    given = {"judged": "int8", "reference_hash": "0123456789ab", **basis, **changes}
    return replace(found, **given)


def difference(first, second, low, high, metric="fad", better=LOWER, **changes):
    return Difference(
        metric=metric,
        value=first - second,
        relative=(first - second) / second if second else None,
        interval=Interval(low, high, 200),
        n=50,
        first=figure(metric, first, better, **changes),
        second=figure(metric, second, better, **changes),
    )


def test_an_increase_over_its_bound_is_told_with_its_basis_interval_and_remedy():
    failed = change_failure("int8", difference(1.1, 1.0, 0.04, 0.17), FAD)
    assert failed == (
        "measure: variant int8: its fad is 1.1, float32's is 1 (950 windows, 50 clips, "
        "lofi-sound-v1, against the held-out tracks 0123456789ab): 10 % more (95 % interval 4 % to "
        "17 %, beyond chance), measure.fad.max_increase.int8 allows 5 % - give it more bytes or "
        "bits, or raise the bound"
    )


def test_an_increase_that_chance_may_explain_fails_too_and_asks_for_seeds():
    failed = change_failure("int8", difference(1.1, 1.0, -0.04, 0.2), FAD)
    assert "(95 % interval -4 % to 20 %, which chance may explain)" in failed
    assert failed.endswith(" - measure more seeds; give it more bytes or bits, or raise the bound")


def test_a_drop_is_told_as_less_with_its_interval_turned_round():
    drop = difference(
        0.27, 0.3, -0.06, -0.003, metric="clap", better=HIGHER, counted="clips", n=50,
        against="", reference_hash="",
    )  # fmt: skip
    assert change_failure("int8", drop, CLAP) == (
        "measure: variant int8: its clap is 0.27, float32's is 0.3 (50 clips, clap:me/clap@1a2b): "
        "10 % less (95 % interval 1 % to 20 %, beyond chance), measure.clap.max_drop.int8 allows "
        "3 % - give it more bytes or bits, or raise the bound"
    )


@pytest.mark.parametrize(
    ("first", "better", "bounds"),
    [
        (1.05, LOWER, {"int8": 0.0501}),
        (0.5, LOWER, {"int8": 0.0}),
        (1.5, HIGHER, {"int8": 0.0}),
        (0.97, HIGHER, {"int8": 0.0301}),
        (9.0, LOWER, {"int4": 0.1}),
        (9.0, LOWER, {}),
    ],
)
def test_within_the_bound_better_or_without_one_nothing_is_said(first, better, bounds):
    found = difference(first, 1.0, -1, 1, better=better)
    assert change_failure("int8", found, bounds_of(fad(bounds), None)) == ""


def test_a_figure_of_float32_that_is_not_above_zero_gives_no_share():
    score = figure("clap", -0.01, HIGHER, counted="clips", n=50)
    assert baseless_failure(score, CLAP) == (
        "measure: float32: its clap is -0.01 (50 clips, clap:me/clap@1a2b), and of what is not "
        "above zero measure.clap.max_drop can be no share - train longer, or leave the gate out"
    )
    assert baseless_failure(score, bounds_of(None, clap({}))) == ""
    assert baseless_failure(replace(score, value=0.01), CLAP) == ""


def test_a_distance_that_is_no_number_does_not_pass():
    quality = {"latent_distance": {"mean": float("nan")}}
    said = distance_failure("int8", quality, {"int8": 0.5})
    assert "is nan, measure.max_distance.int8 allows 0.5" in said
    assert distance_failure("int8", quality, {"int4": 0.5}) == ""


def test_a_record_holds_what_a_figure_rests_on_and_nothing_empty():
    found = figure_record(figure("clap", 1 / 3, HIGHER, details={"window_sec": 10.0}))
    assert found == {
        "value": 0.333333,
        "interval": {
            "low": 0.3, "high": 0.366667, "resamples": 200, "drawn": "clips", "confidence": 0.95,
        },
        "n": 950,
        "counted": "windows",
        "better": "higher",
        "reference_hash": "0123456789ab",
        "embedding": "clap:me/clap@1a2b",
        "details": {"window_sec": 10.0},
    }  # fmt: skip


def test_a_change_is_recorded_with_shares_and_a_verdict():
    change = difference_record(difference(1.1, 1.0, 0.04, 0.17))["change"]
    assert (change["value"], change["relative"]) == (0.1, 0.1)
    assert change["relative_interval"] == [0.04, 0.17]
    assert change["verdict"] == "worse"
    assert difference_record(difference(1.1, 1.0, -0.1, 0.3))["change"]["verdict"] == (
        "no difference beyond chance"
    )


def test_of_nothing_there_is_no_share():
    change = difference_record(difference(0.1, 0.0, 0.05, 0.2))["change"]
    assert (change["relative"], change["relative_interval"]) == (None, None)


def test_rounding_reaches_every_depth_and_leaves_whole_numbers():
    assert rounded({"a": [1 / 3, (2, 1e-9 / 3)], "b": True}) == {
        "a": [0.333333, [2, 3.33333e-10]],
        "b": True,
    }
