"""Every form of training stops anywhere and goes on with the same bits."""

from __future__ import annotations

import errno
import itertools
import math
import os
import random
import signal
from dataclasses import replace

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import EarlyStop, Ssl
from lofi_engine.training import checkpoints
from lofi_engine.training.adapters import adapter_weights
from lofi_engine.training.checkpoints import all_checkpoints, name_of
from tests.support.programs import require
from tests.support.tiny_training import (
    SSL_WIDTHS,
    make_trainer,
    one_thread,
    silent,
    write_encoded,
)

SEED = 5
STEPS = 8
FORMS = {
    "plain": {},
    "checkpointed": {"gradient_checkpointing": True},
    "8-bit moments": {"optimizer": "adamw-8bit", "learning_rate": 1e-2},
    "half precision": {"precision": "fp16"},
    "bfloat16": {"precision": "bf16", "base_precision": "bf16"},
    "base in 4 bits": {"base_precision": "4bit"},
    "features": {"ssl": Ssl("mert", "mhubert", 0.5), "accumulate": 2},
    "held out": {"early_stop": EarlyStop(9, 0.0)},
}
STOPS = dict(zip(FORMS, random.Random(3).choices(range(1, STEPS), k=len(FORMS)), strict=True))


@pytest.fixture(scope="module", autouse=True)
def single_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    return folder, write_encoded(folder, ("train",) * 4, lyrics=5, ssl=True)


def trainer_of(form, encoded, folder, **changes):
    if form in ("8-bit moments", "base in 4 bits"):
        require("lowvram")
    settings = {"steps": STEPS, "checkpoint_every": 3, **FORMS[form], **changes}
    trainer = make_trainer(*encoded, folder, SEED, **settings)
    if form == "held out":
        measured = iter(range(100))
        trainer = replace(trainer, held_out_loss=lambda: 1.0 / (1 + next(measured)))
    return trainer


def files_of(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("form", FORMS)
def test_stopped_at_any_step_it_ends_with_the_same_bits(form, encoded, tmp_path):
    straight = trainer_of(form, encoded, tmp_path / "straight")
    history = straight.run(SEED, silent)
    assert len(history.losses) == STEPS

    def stop(said):
        if said.step == STOPS[form]:
            raise StoppedError

    with pytest.raises(StoppedError):
        trainer_of(form, encoded, tmp_path / "stopped").run(SEED, stop)
    torch.rand(11)  # what else the process drew must not matter
    again = trainer_of(form, encoded, tmp_path / "stopped")
    if form == "held out":  # its measure counts calls
        done = len(all_checkpoints(tmp_path / "stopped"))
        measured = iter(range(done, 100))
        again = replace(again, held_out_loss=lambda: 1.0 / (1 + next(measured)))
    assert again.run(SEED, silent) == history
    found, wanted = adapter_weights(again.model), adapter_weights(straight.model)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "straight")


def test_checkpointed_activations_change_nothing(encoded, tmp_path):
    losses = [
        trainer_of(form, encoded, tmp_path / form).run(SEED, silent).losses
        for form in ("plain", "checkpointed")
    ]
    assert losses[0] == losses[1]


def test_half_precision_trains_nearly_as_float32(encoded, tmp_path):
    plain = trainer_of("plain", encoded, tmp_path / "a", steps=3).run(SEED, silent).losses
    half = trainer_of("half precision", encoded, tmp_path / "b", steps=3).run(SEED, silent).losses
    assert half != plain
    assert half == pytest.approx(plain, rel=0.02)


def test_a_step_that_overflows_in_half_precision_is_skipped(encoded, tmp_path):
    trainer = trainer_of("half precision", encoded, tmp_path, steps=3)
    first = next(part for part in trainer.model.parameters() if part.requires_grad)
    calls = []

    def overflow(gradient):
        calls.append(gradient)
        return gradient * float("inf") if len(calls) == 2 else gradient

    first.register_hook(overflow)
    weights = []
    history = trainer.run(SEED, lambda said: weights.append(first.detach().clone()))
    finite = [math.isfinite(said.gradient_norm) for said in history.steps]
    assert finite == [True, False, True]
    moved = [not torch.equal(*pair) for pair in itertools.pairwise(weights)]
    assert moved == [False, True]


def test_features_add_their_projection_loss_at_its_coefficient(encoded, tmp_path):
    history = trainer_of("features", encoded, tmp_path).run(SEED, silent)
    for said in history.steps:
        assert said.projection_loss.keys() == SSL_WIDTHS.keys()
        assert all(0.0 < value < 2.0 for value in said.projection_loss.values())
        expected = said.denoising_loss + 0.5 * sum(said.projection_loss.values()) / 2
        assert said.loss == pytest.approx(expected, rel=1e-5)


def test_windows_are_told_with_their_noise_level_and_style(encoded, tmp_path):
    history = trainer_of("features", encoded, tmp_path).run(SEED, silent)
    windows = [window for said in history.steps for window in said.windows]
    assert len(windows) == 2 * STEPS
    assert {window.style for window in windows} == {"CORE-01", "SEASON-06"}
    assert all(0.0 < window.sigma <= 1.0 for window in windows)
    for said in history.steps:
        mean = sum(window.loss for window in said.windows) / len(said.windows)
        assert said.denoising_loss == pytest.approx(mean)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_writes_a_checkpoint_and_stops(encoded, tmp_path, number):
    straight = trainer_of("plain", encoded, tmp_path / "straight").run(SEED, silent)
    seen = []

    def report(said):
        seen.append(said.step)
        if said.step == 4:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        trainer_of("plain", encoded, tmp_path / "stopped").run(SEED, report)
    assert signal.getsignal(number) is before
    assert seen == [1, 2, 3, 4]
    kept = [place.name for place in all_checkpoints(tmp_path / "stopped")]
    assert kept == [name_of(3), name_of(4)]
    assert trainer_of("plain", encoded, tmp_path / "stopped").run(SEED, silent) == straight


def test_a_second_signal_does_not_wait_for_the_step(encoded, tmp_path):
    def report(said):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("still at work")

    with pytest.raises(KeyboardInterrupt):
        trainer_of("plain", encoded, tmp_path).run(SEED, report)
    assert all_checkpoints(tmp_path) == []


def test_a_loss_that_runs_away_stops_it_and_names_the_last_good_checkpoint(
    encoded, tmp_path, monkeypatch
):
    monkeypatch.setattr("lofi_engine.training.guards.WINDOW_STEPS", 3)
    trainer = trainer_of("plain", encoded, tmp_path, steps=200, learning_rate=0.5)
    with pytest.raises(StageError) as caught:
        trainer.run(SEED, silent)
    text = str(caught.value)
    assert text.startswith("training: the loss runs away: its median over 3 steps is ")
    last = all_checkpoints(tmp_path)[-1].name
    assert text.endswith(
        f"; the last good checkpoint is {last} - lower training.learning_rate or use precision fp32"
    )


def test_it_stops_early_when_nothing_gets_better_and_stays_stopped(encoded, tmp_path):
    losses = iter([1.0, 0.8, 0.81, 0.85, 0.2])
    changes = {"early_stop": EarlyStop(2, 0.01), "checkpoint_every": 1}

    def stopping():
        trainer = trainer_of("plain", encoded, tmp_path, **changes)
        return replace(trainer, held_out_loss=lambda: next(losses))

    history = stopping().run(SEED, silent)
    assert history.stopped_early
    assert len(history.losses) == 4
    assert history.held_out == {1: 1.0, 2: 0.8, 3: 0.81, 4: 0.85}
    assert stopping().run(SEED, silent) == history


def test_a_full_disk_leaves_the_checkpoint_before_whole(encoded, tmp_path, monkeypatch):
    real = checkpoints.save_tensors

    def full(path, *arguments):
        if name_of(6) in path.parent.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, *arguments)

    monkeypatch.setattr(checkpoints, "save_tensors", full)
    with pytest.raises(StageError) as caught:
        trainer_of("plain", encoded, tmp_path).run(SEED, silent)
    text = str(caught.value)
    assert f"{name_of(6)}: the checkpoint could not be written: [Errno 28] No space left" in text
    assert f"{name_of(3)} before it is whole - a checkpoint takes " in text
    assert [path.name for path in tmp_path.iterdir()] == [name_of(3)]
    monkeypatch.undo()
    history = trainer_of("plain", encoded, tmp_path).run(SEED, silent)
    assert history == trainer_of("plain", encoded, tmp_path / "straight").run(SEED, silent)


def test_the_adapter_s_effect_is_measured_and_grows(encoded, tmp_path):
    effects = trainer_of("plain", encoded, tmp_path).run(SEED, silent).effects
    assert list(effects) == [3, 6, 8]
    assert 0.0 < effects[3] < effects[6] < effects[8]


def test_an_adapter_that_stays_zero_is_refused_at_the_first_checkpoint(encoded, tmp_path):
    trainer = trainer_of("plain", encoded, tmp_path, learning_rate=0.0)
    with pytest.raises(StageError) as caught:
        trainer.run(SEED, silent)
    assert str(caught.value) == (
        "train: after 3 steps the adapter changes nothing: every lora_B is zero - "
        "train more steps or raise training.learning_rate"
    )


def test_moments_of_the_other_optimizer_are_not_taken_for_this_ones(encoded, tmp_path):
    require("lowvram")
    trainer_of("plain", encoded, tmp_path, steps=3).run(SEED, silent)
    with pytest.raises(StageError, match="the checkpoint's optimizer is not the recipe's"):
        trainer_of("8-bit moments", encoded, tmp_path).run(SEED, silent)
