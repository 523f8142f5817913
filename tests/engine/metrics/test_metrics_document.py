"""What a measurement writes down for programs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lofi_engine.metrics.document import difference_row, figure_row, plain, verdict
from lofi_engine.metrics.figures import HIGHER, LOWER, Difference, Figure, Interval


def figure(better=LOWER, **changes):
    return Figure("mel", 2.0, Interval(1.0, 3.0, 2000), 2, "pairs", better, **changes)


def difference(low, high, better=LOWER):
    both = figure(better), figure(better)
    return Difference("mel", (low + high) / 2, None, Interval(low, high, 2000), 2, *both)


def test_a_figure_keeps_everything_with_clips_sorted():
    row = figure_row(figure(each={"b": 1.0, "a": 3.0}, details={"hop": np.float32(0.5)}))
    assert row == {
        "metric": "mel", "value": 2.0, "n": 2, "counted": "pairs", "better": "lower", "unit": "",
        "interval": {
            "low": 1.0, "high": 3.0, "resamples": 2000, "drawn": "clips", "confidence": 0.95,
        },
        "judged": "", "against": "", "reference_hash": "", "embedding": "",
        "each": {"a": 3.0, "b": 1.0}, "details": {"hop": 0.5},
    }  # fmt: skip
    assert list(row["each"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("low", "high", "better", "word"),
    [
        (0.1, 0.2, LOWER, "worse"),
        (-0.2, -0.1, LOWER, "better"),
        (0.1, 0.2, HIGHER, "better"),
        (-0.2, -0.1, HIGHER, "worse"),
        (-0.1, 0.2, LOWER, "no difference beyond chance"),
        (0.0, 0.2, LOWER, "no difference beyond chance"),
        (0.1, 0.2, "", ""),
    ],
)
def test_a_verdict_needs_an_interval_without_zero_and_a_better_side(low, high, better, word):
    assert verdict(difference(low, high, better)) == word


def test_a_difference_holds_both_figures_and_the_verdict():
    row = difference_row(difference(0.1, 0.3))
    assert row["verdict"] == "worse"
    assert row["first"] == row["second"] == figure_row(figure())
    assert row["relative"] is None


def test_plain_values_are_json_whatever_numpy_made_them():
    value = {
        "array": np.array([[1.0, np.nan]]), "int": np.int64(3), "flag": np.bool_(True),
        "tuple": (1, float("inf")), "set": {"b", "a"}, "none": None, 5: "five",
    }  # fmt: skip
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "array": [[1.0, None]], "int": 3, "flag": True,
        "tuple": [1, None], "set": ["a", "b"], "none": None, "5": "five",
    }  # fmt: skip
