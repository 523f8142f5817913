from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from lofi_engine.training.history import BANDS, History, band_of, history_from
from lofi_engine.training.report import StepReport, Window


def step(number, *windows, **projection):
    losses = [window.loss for window in windows]
    mean = sum(losses) / len(losses)
    return StepReport(number, mean + 0.1, mean, projection, 1e-4 / 3, 0.7, windows)


def test_a_noise_level_falls_in_one_of_five_bands():
    assert [band_of(sigma) for sigma in (0.0, 0.19, 0.2, 0.5, 0.79, 0.8, 1.0)] == [
        "0.0-0.2", "0.0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0", "0.8-1.0",
    ]  # fmt: skip
    assert len(BANDS) == 6


def test_losses_are_told_by_band_and_by_style_since_a_step():
    history = History(
        [
            step(1, Window(0.1, "CORE-01", 4.0), Window(0.9, "", 1.0)),
            step(2, Window(0.15, "CORE-02", 2.0)),
        ]
    )
    assert history.by_band() == {"0.0-0.2": 3.0, "0.8-1.0": 1.0}
    assert history.by_style() == {"": 1.0, "CORE-01": 4.0, "CORE-02": 2.0}
    assert history.by_band(1) == {"0.0-0.2": 2.0}
    assert history.losses == [2.6, 2.1]


def test_it_comes_back_from_its_tensors_with_the_same_bits():
    history = History(
        [
            step(1, Window(1 / 3, "CORE-01", 1 / 7), mert=0.1),
            step(2, Window(0.9, "", 0.2), Window(0.5, "CORE-01", 0.3), mert=0.2),
        ]
    )
    assert history_from(history.tensors(), *history.names()) == history
    empty = History()
    assert history_from(empty.tensors(), *empty.names()) == empty


def test_rows_are_plain_json():
    (row,) = json.loads(json.dumps(History([step(1, Window(0.25, "CORE-01", 0.5))]).rows()))
    assert row == {
        "step": 1,
        "loss": 0.6,
        "denoising_loss": 0.5,
        "learning_rate": pytest.approx(1e-4 / 3),
        "gradient_norm": 0.7,
        "windows": [[0.25, "CORE-01", 0.5]],
    }


def test_a_norm_that_overflowed_stands_in_rows_as_none():
    overflowed = replace(step(1, Window(0.25, "CORE-01", 0.5)), gradient_norm=math.inf)
    history = History([overflowed])
    assert history.rows()[0]["gradient_norm"] is None
    assert json.dumps(history.rows(), allow_nan=False)
    assert history_from(history.tensors(), *history.names()) == history
