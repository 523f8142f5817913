"""What one sees of a training: told after every step, and never the end of it."""

from __future__ import annotations

import time

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lofi_engine.errors import StageError
from lofi_engine.training import job, samples
from lofi_engine.training.job import train
from lofi_engine.training.processes import Processes
from lofi_engine.training.samples import SampleSuite
from tests.support.tiny_training import tiny_job, write_encoded

STEPS = 6


class StoppedError(Exception):
    """What ends a training from outside, as a kill does."""


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    write_encoded(folder, lyrics=4)
    return folder


@pytest.fixture(autouse=True)
def passing_time(monkeypatch):
    """Event files are named by the second; a training is not resumed within one."""
    now, clock = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: clock() + now[0])
    return now


def watched(folder, encoded, stop_at=0, **changes):
    """Train; give the history, the events, the warnings."""
    told, warnings = [], []

    def emit(done, total, message):
        told.append((done, total, message))
        if done == stop_at:
            raise StoppedError

    asked = tiny_job(encoded, folder, **{"steps": STEPS, "sample_every": 99, **changes})
    history = None
    if stop_at:
        with pytest.raises(StoppedError):
            train(asked, Processes(), emit, warnings.append)
    else:
        history = train(asked, Processes(), emit, warnings.append)
    return history, told, warnings


def scalars(folder, tag):
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return {one.step: one.value for one in reader.Scalars(tag)}


def test_the_board_holds_what_the_history_holds(encoded, tmp_path):
    history, told, warnings = watched(tmp_path, encoded)
    losses = scalars(tmp_path / "tensorboard" / "steps", "loss/total")
    assert losses == pytest.approx(dict(enumerate(history.losses, 1)), rel=1e-6)
    place = tmp_path / "tensorboard" / "checkpoints"
    assert scalars(place, "held_out_loss") == pytest.approx(history.held_out, rel=1e-6)
    assert scalars(place, "adapter_effect") == pytest.approx(history.effects, rel=1e-6)
    assert list(history.held_out) == [2, 4, 6]
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5, 6]
    assert warnings == []


def test_a_resumed_training_s_board_and_smoothed_loss_are_as_of_one_that_was_not_stopped(
    encoded, tmp_path, passing_time
):
    whole, _, _ = watched(tmp_path / "whole", encoded)
    watched(tmp_path / "stopped", encoded, stop_at=5)  # the checkpoint at step 4 is kept
    passing_time[0] += 2
    _, told, _ = watched(tmp_path / "stopped", encoded)
    assert [done for done, _, _ in told] == [5, 6]
    for run, tags in {
        "steps": ("loss/total", "loss/smoothed", "optimizer/learning_rate"),
        "checkpoints": ("held_out_loss", "adapter_effect"),
    }.items():
        for tag in tags:
            places = [tmp_path / name / "tensorboard" / run for name in ("whole", "stopped")]
            wanted, found = (scalars(place, tag) for place in places)
            assert found == wanted, tag
    assert len(whole.losses) == STEPS


def test_samples_are_rendered_every_so_many_steps_and_told(encoded, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "INFERENCE_STEPS", 1)
    _, told, warnings = watched(tmp_path, encoded, sample_every=4)
    assert [message for done, _, message in told if done == 4][1:] == [
        f"sample {number + 1} of 10: {style}"
        for number, style in enumerate(
            2 * ("CORE-01", "SEASON-06", "THEME-01", "INST-01", "VOCAL-01")
        )
    ]
    assert sorted(path.name for path in (tmp_path / job.SAMPLES).iterdir()) == [
        "base", "index.html", "samples.json", "step-0000004",
    ]  # fmt: skip
    assert warnings == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), "CUDA out of memory. Tried"),
        (StageError("the model gave 3 samples that are not numbers"), "3 samples that are not"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError(), "MemoryError"),
    ],
    ids=["accelerator", "ours", "disk", "memory"],
)
def test_samples_that_cannot_be_rendered_are_a_warning_and_training_goes_on(
    encoded, tmp_path, monkeypatch, error, said
):
    def fail(_suite, _step):
        raise error

    monkeypatch.setattr(SampleSuite, "render", fail)
    history, _, warnings = watched(tmp_path, encoded, steps=2, sample_every=1)
    assert len(history.losses) == 2
    assert len(warnings) == 2
    assert warnings[0].startswith("train: no samples at step 1, training goes on: ")
    assert said in warnings[0]
    assert "\n" not in warnings[0]


def test_a_mistake_of_ours_is_no_warning(encoded, tmp_path, monkeypatch):
    def fail(_suite, _step):
        raise KeyError("CORE-01")

    monkeypatch.setattr(SampleSuite, "render", fail)
    with pytest.raises(KeyError):
        watched(tmp_path, encoded, steps=2, sample_every=1)


def test_a_board_that_cannot_be_written_is_one_warning_and_training_goes_on(encoded, tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    history, _, warnings = watched(tmp_path, encoded, steps=3)
    assert len(history.losses) == 3
    (warning,) = warnings
    assert warning.startswith("train: the TensorBoard files are written no more: ")
