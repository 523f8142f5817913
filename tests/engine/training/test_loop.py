from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.training.adapters import adapter_weights, add_adapter
from lofi_engine.training.checkpoints import all_checkpoints, name_of, read_checkpoint
from lofi_engine.training.loop import learning_rate
from lofi_engine.training.validation import validation_error
from tests.support.tiny_training import (
    LORA,
    TRAINING,
    make_trainer,
    one_thread,
    silent,
    tiny_base,
    write_encoded,
)

SEED = 5
STEPS = 6


class StoppedError(Exception):
    """What a kill is to the loop: an exception from nowhere."""


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """An encoded set and its training tracks, with lyrics so that dropout draws too."""
    folder = tmp_path_factory.mktemp("encoded")
    return folder, write_encoded(folder, ("train",) * 4, lyrics=5)


@pytest.fixture(scope="module")
def undisturbed(encoded, tmp_path_factory):
    """Losses, weights and checkpoint bytes of a training nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with one_thread():
        trainer = make_trainer(*encoded, folder, SEED, accumulate=2)
        losses = trainer.run(SEED, silent).losses
    return losses, adapter_weights(trainer.model), bytes_of(folder)


def bytes_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stop_after(step):
    def report(said):
        if said.step == step:
            raise StoppedError

    return report


def test_it_reports_each_step_once_and_keeps_checkpoints(undisturbed, encoded, tmp_path):
    seen = []
    losses = (
        make_trainer(*encoded, tmp_path, SEED)
        .run(SEED, lambda said: seen.append((said.step, said.loss)))
        .losses
    )
    assert seen == list(enumerate(losses, 1))
    assert len(losses) == STEPS
    assert [place.name for place in all_checkpoints(tmp_path)] == [name_of(n) for n in (2, 4, 6)]
    assert losses != undisturbed[0]  # accumulation draws twice as much


def test_the_last_step_has_a_checkpoint_even_out_of_turn(encoded, tmp_path):
    make_trainer(*encoded, tmp_path, SEED, steps=3).run(SEED, silent)
    assert [place.name for place in all_checkpoints(tmp_path)] == [name_of(n) for n in (2, 3)]
    kept = read_checkpoint(tmp_path / name_of(3))
    assert (kept.step, len(kept.history.losses)) == (3, 3)


def test_the_same_seed_trains_the_same_bits(undisturbed, encoded, tmp_path):
    trainer = make_trainer(*encoded, tmp_path, SEED, accumulate=2)
    assert trainer.run(SEED, silent).losses == undisturbed[0]
    assert bytes_of(tmp_path) == undisturbed[2]
    other = make_trainer(*encoded, tmp_path / "other", SEED + 1, steps=1)
    assert other.run(SEED + 1, silent).losses[0] != undisturbed[0][0]


@pytest.mark.parametrize("stops", [(1,), (2,), (3,), (4, 5), (2, 3, 6)])
def test_stopped_and_resumed_it_ends_with_the_same_bits(undisturbed, encoded, tmp_path, stops):
    for number, stop in enumerate(stops):
        torch.manual_seed(1000 + number)  # what else the process drew must not matter
        with pytest.raises(StoppedError):
            make_trainer(*encoded, tmp_path, SEED, accumulate=2).run(SEED, stop_after(stop))
    torch.rand(17)
    trainer = make_trainer(*encoded, tmp_path, SEED, accumulate=2)
    losses, weights, files = undisturbed
    assert trainer.run(SEED, silent).losses == losses
    found = adapter_weights(trainer.model)
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert bytes_of(tmp_path) == files


def test_a_finished_training_resumed_does_nothing(undisturbed, encoded, tmp_path):
    make_trainer(*encoded, tmp_path, SEED, accumulate=2).run(SEED, silent)
    steps = []
    trainer = make_trainer(*encoded, tmp_path, SEED, accumulate=2)
    losses = trainer.run(SEED, lambda said: steps.append(said.step)).losses
    assert steps == []
    assert losses == undisturbed[0]
    found = adapter_weights(trainer.model)
    assert all(torch.equal(found[name], tensor) for name, tensor in undisturbed[1].items())


def test_a_damaged_checkpoint_is_an_error_and_no_silent_restart(encoded, tmp_path):
    with pytest.raises(StoppedError):
        make_trainer(*encoded, tmp_path, SEED).run(SEED, stop_after(3))
    (tmp_path / name_of(2) / "resume.safetensors").write_bytes(b"torn")
    steps = []
    with pytest.raises(StageError, match="step-0000002: the checkpoint is damaged"):
        make_trainer(*encoded, tmp_path, SEED).run(SEED, lambda said: steps.append(said.step))
    assert steps == []


def test_a_checkpoint_of_another_adapter_is_refused(encoded, tmp_path):
    make_trainer(*encoded, tmp_path, SEED, steps=2).run(SEED, silent)
    trainer = make_trainer(*encoded, tmp_path, SEED)
    narrow = add_adapter(tiny_base().transformer, replace(LORA, targets=("linear_q",)), SEED)
    with pytest.raises(StageError, match="the adapter does not fit this base"):
        replace(trainer, model=narrow).run(SEED, silent)


def test_only_the_adapter_moves(encoded, tmp_path):
    trainer = make_trainer(*encoded, tmp_path, SEED)
    before = {name: part.detach().clone() for name, part in trainer.model.named_parameters()}
    trainer.run(SEED, silent)
    for name, part in trainer.model.named_parameters():
        changed = not torch.equal(part, before[name])
        assert changed is (".lora_" in name), name


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("latents", "training: the loss at step 1 is nan"),
        ("gradient", "training: the gradient's norm at step 1 is nan"),
    ],
)
def test_what_is_not_finite_is_a_named_error_and_leaves_no_checkpoint(
    encoded, tmp_path, monkeypatch, broken, text
):
    trainer = make_trainer(*encoded, tmp_path, SEED, checkpoint_every=1)
    first = next(part for part in trainer.model.parameters() if part.requires_grad)
    if broken == "gradient":
        first.register_hook(lambda gradient: gradient * float("nan"))
    else:
        with torch.no_grad():
            first.fill_(float("nan"))
    with pytest.raises(StageError) as caught:
        trainer.run(SEED, silent)
    assert str(caught.value) == (f"{text} - lower training.learning_rate or use precision fp32")
    assert all_checkpoints(tmp_path) == []


def test_training_lowers_the_error_on_what_it_was_trained_on(encoded, tmp_path):
    folder, tracks = encoded
    trainer = make_trainer(
        folder, tracks, tmp_path, SEED,
        steps=50, batch_size=2, learning_rate=1e-2, checkpoint_every=50, clip_grad_norm=10.0,
    )  # fmt: skip

    def error():
        return validation_error(trainer.base, folder, tracks, shift=3.0, window_frames=8, seed=1)

    before = error()
    losses = trainer.run(SEED, silent).losses
    assert error() < 0.65 * before
    assert statistics.mean(losses[-15:]) < 0.85 * statistics.mean(losses[:15])


def test_bf16_trains_float32_adapters(encoded, tmp_path):
    trainer = make_trainer(*encoded, tmp_path, SEED, steps=2, precision="bf16")
    plain = make_trainer(*encoded, tmp_path / "plain", SEED, steps=2)
    rough, exact = trainer.run(SEED, silent).losses, plain.run(SEED, silent).losses
    assert rough != exact
    assert rough == pytest.approx(exact, rel=0.05)
    trained = [part for part in trainer.model.parameters() if part.requires_grad]
    assert {part.dtype for part in trained} == {torch.float32}


def test_accumulating_two_is_the_gradient_of_their_mean(encoded, tmp_path):
    # Without momentum from before, the first step's loss is the mean over what was accumulated.
    trainer = make_trainer(*encoded, tmp_path / "a", SEED, steps=1, accumulate=2)
    (whole,) = trainer.run(SEED, silent).losses
    trainer = make_trainer(*encoded, tmp_path / "b", SEED, steps=2, learning_rate=1e-6)
    assert whole == pytest.approx(statistics.mean(trainer.run(SEED, silent).losses), rel=1e-4)


def test_dropout_is_on_while_training(encoded, tmp_path):
    trainer = make_trainer(*encoded, tmp_path, SEED, steps=1)
    modes = []
    trainer.run(SEED, lambda *_: modes.extend(m.training for m in trainer.model.modules()))
    assert all(modes)


def test_the_rate_rises_over_the_warm_up_and_falls_to_the_end():
    settings = replace(TRAINING, steps=10, warmup_steps=4, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(1, 11)]
    assert rates == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6], rel=1e-12
    )
    assert learning_rate(11, settings) == 0.0


def test_without_warm_up_the_first_step_has_the_full_rate():
    settings = replace(TRAINING, steps=4, warmup_steps=0, learning_rate=2e-4)
    rates = [learning_rate(step, settings) for step in range(1, 5)]
    assert rates == pytest.approx([2e-4, 1.5e-4, 1e-4, 0.5e-4], rel=1e-12)
    longer = replace(TRAINING, steps=2, warmup_steps=8, learning_rate=1.0)
    assert [learning_rate(step, longer) for step in (1, 2)] == pytest.approx([1 / 9, 2 / 9])


def test_the_optimizer_takes_each_step_s_rate_and_the_reference_s_betas(encoded, tmp_path):
    settings = {"steps": 3, "warmup_steps": 1, "learning_rate": 1e-3}
    trainer = make_trainer(*encoded, tmp_path, SEED, **settings)
    optimizers, rates = [], []
    make = trainer._optimizer

    def kept():
        optimizers.append(make())
        return optimizers[0]

    object.__setattr__(trainer, "_optimizer", kept)
    trainer.run(SEED, lambda *_: rates.append(optimizers[0].param_groups[0]["lr"]))
    assert rates == [learning_rate(step, trainer.settings) for step in (1, 2, 3)]
    assert optimizers[0].param_groups[0]["betas"] == (0.8, 0.9)
    assert optimizers[0].param_groups[0]["weight_decay"] == 1e-2


def test_what_is_reported_at_a_step_is_reported_again_after_a_kill_right_then(encoded, tmp_path):
    """A clip rendered at a checkpoint's step must not be missed for ever."""
    with pytest.raises(StoppedError):
        make_trainer(*encoded, tmp_path, SEED).run(SEED, stop_after(4))
    seen = []
    make_trainer(*encoded, tmp_path, SEED).run(SEED, lambda said: seen.append(said.step))
    assert 4 in seen


def test_resuming_with_other_threads_is_said(encoded, tmp_path):
    said = []
    with pytest.raises(StoppedError):
        make_trainer(*encoded, tmp_path, SEED).run(SEED, stop_after(3))
    other = replace(make_trainer(*encoded, tmp_path, SEED), warn=said.append)
    torch.set_num_threads(2)
    other.run(SEED, silent)
    assert said == [
        "resumed with 2 threads, the checkpoint was made with 1: the result will differ in its "
        "last bits"
    ]
