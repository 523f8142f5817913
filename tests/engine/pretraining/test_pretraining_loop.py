"""The loop that teaches a network: resumption, the mean of the weights, what is refused."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from lofi_engine.errors import StageError
from lofi_engine.pretraining.loop import Loop, Teaching
from lofi_engine.pretraining.settings import StepSettings

SETTINGS = StepSettings(
    steps=60, batch_size=4, window_sec=1.0, warmup_steps=5, learning_rate=0.1, ema=0.9
)
TRUTH = torch.tensor([[1.0, -2.0, 0.5]])


def _teach(folder, until=None, poison=None):
    torch.manual_seed(5)
    layer = nn.Linear(3, 1)
    loop = Loop("line", {"layer": layer}, Teaching(SETTINGS, folder, seed=1))

    def step(number):
        inputs = torch.randn(4, 3, generator=loop.draws)
        # Dropout draws from the other generator, which must be kept too.
        error = (nn.functional.dropout(layer(inputs), 0.1) - inputs @ TRUTH.T).square().mean()
        loop.optimizer.zero_grad()
        error.backward()
        loop.optimizer.step()
        return {"error": float("nan") if number == poison else error.item()}

    loop.run(step, until=until)
    return layer


def test_a_stopped_run_ends_with_the_same_weights(tmp_path):
    whole = _teach(tmp_path / "whole")
    for until in (7, 33):
        _teach(tmp_path / "parts", until=until)
    parts = _teach(tmp_path / "parts")
    assert torch.equal(whole.weight, parts.weight)
    assert torch.equal(whole.bias, parts.bias)


def test_the_mean_of_the_weights_is_what_is_left_and_it_has_learned(tmp_path):
    layer = _teach(tmp_path)
    last = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert not torch.equal(layer.weight, last["networks"]["layer.weight"])
    assert torch.equal(layer.weight, last["mean"]["layer.weight"])
    torch.manual_seed(5)
    begun = nn.Linear(3, 1).weight
    assert (layer.weight - TRUTH).norm() < 0.75 * (begun - TRUTH).norm()


def test_steps_done_after_the_checkpoint_are_written_once(tmp_path):
    _teach(tmp_path, until=25)
    with (tmp_path / "losses.jsonl").open("a") as file:
        file.write('{"step": 50, "error": 9.0}\n')
    _teach(tmp_path)
    rows = [json.loads(row)["step"] for row in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert rows == [25, 50, 60]


def test_a_loss_that_is_no_number_ends_the_training_and_says_which(tmp_path):
    with pytest.raises(StageError, match="line: the loss 'error' is nan - lower the learning rate"):
        _teach(tmp_path, poison=10)


def test_a_checkpoint_of_other_shapes_or_a_damaged_one_is_refused(tmp_path):
    _teach(tmp_path, until=2)
    other = Loop("line", {"layer": nn.Linear(2, 1)}, Teaching(SETTINGS, tmp_path, seed=1))
    with pytest.raises(StageError, match=r"checkpoint\.pt: this checkpoint cannot be gone on from"):
        other.run(lambda _: {})
    (tmp_path / "checkpoint.pt").write_bytes(b"PK no zip")
    with pytest.raises(StageError, match=r"checkpoint\.pt: this checkpoint cannot be gone on from"):
        _teach(tmp_path)
