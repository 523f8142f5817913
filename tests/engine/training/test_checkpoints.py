from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.training.adapters import load_adapter_weights
from lofi_engine.training.checkpoints import (
    Checkpoint,
    all_checkpoints,
    name_of,
    newest_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from lofi_engine.training.history import History
from lofi_engine.training.report import StepReport, Window


def history(steps):
    windows = (Window(0.3, "CORE-01", 0.5), Window(0.9, "", 1.0 / 3.0))
    said = [
        StepReport(step, 0.1 * step, 0.2 * step, {"mert": 0.7}, 1e-4, 0.25, windows[: step % 3])
        for step in range(1, steps + 1)
    ]
    return History(said, held_out={2: 0.1, 4: 1.0 / 7.0}, effects={4: 0.01}, stopped_early=True)


def checkpoint(step=4):
    return Checkpoint(
        step=step,
        adapter={"a.lora_A.weight": torch.randn(2, 3), "a.lora_B.weight": torch.randn(3, 2)},
        optimizer={"00000/exp_avg": torch.randn(2, 3), "00000/step": torch.tensor(float(step))},
        generator=torch.Generator().manual_seed(step).get_state(),
        global_generator=torch.get_rng_state(),
        history=history(step),
        threads=1,
        scaler={"scale": 65536.0, "_growth_tracker": 3},
    )


def test_everything_comes_back_with_the_same_bits(tmp_path):
    made = checkpoint()
    save_checkpoint(tmp_path, made)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.history, found.threads) == (4, made.history, 1)
    assert found.scaler == made.scaler
    for part in ("adapter", "optimizer"):
        before, after = getattr(made, part), getattr(found, part)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(found.generator, made.generator)
    assert torch.equal(found.global_generator, made.global_generator)


def test_a_restored_generator_draws_what_the_first_would_have(tmp_path):
    generator = torch.Generator().manual_seed(8)
    torch.rand(13, generator=generator)
    save_checkpoint(tmp_path, replace(checkpoint(), generator=generator.get_state()))
    other = torch.Generator()
    other.set_state(read_checkpoint(tmp_path / name_of(4)).generator)
    assert torch.equal(torch.randn(9, generator=other), torch.randn(9, generator=generator))


def test_there_is_none_in_an_empty_or_absent_folder(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "absent") is None
    assert all_checkpoints(tmp_path / "absent") == []


def test_the_newest_is_the_one_of_the_highest_step(tmp_path):
    for step in (100, 9, 20):
        save_checkpoint(tmp_path, checkpoint(step))
    assert [place.name for place in all_checkpoints(tmp_path)] == [
        "step-0000009", "step-0000020", "step-0000100",
    ]  # fmt: skip
    assert newest_checkpoint(tmp_path).step == 100


def test_saving_a_step_again_replaces_it(tmp_path):
    save_checkpoint(tmp_path, checkpoint())
    again = checkpoint()
    save_checkpoint(tmp_path, again)
    found = newest_checkpoint(tmp_path)
    assert torch.equal(found.adapter["a.lora_A.weight"], again.adapter["a.lora_A.weight"])


def test_a_checkpoint_that_was_being_written_is_not_one(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, checkpoint(2))

    def die(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("lofi_engine.training.checkpoints.json.dumps", die)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, checkpoint(4))
    monkeypatch.undo()
    assert newest_checkpoint(tmp_path).step == 2
    save_checkpoint(tmp_path, checkpoint(4))
    assert newest_checkpoint(tmp_path).step == 4
    assert len(list(tmp_path.iterdir())) == 2


def damage_cut(place):
    path = place / "resume.safetensors"
    path.write_bytes(path.read_bytes()[:-40])


def damage_gone(place):
    (place / "resume.safetensors").unlink()


def damage_adapter(place):
    (place / "adapter_model.safetensors").write_bytes(b"torn")


def damage_loop(place):
    (place / "loop.json").write_text('{"step": 4, "losses"')


def damage_list(place):
    (place / "loop.json").write_text("[4]")


def damage_key(place):
    loop = json.loads((place / "loop.json").read_text())
    del loop["held_out"]
    (place / "loop.json").write_text(json.dumps(loop))


@pytest.mark.parametrize(
    "damage", [damage_cut, damage_gone, damage_adapter, damage_loop, damage_list, damage_key]
)
def test_a_damaged_checkpoint_is_an_error_that_names_it(tmp_path, damage):
    save_checkpoint(tmp_path, checkpoint(2))
    save_checkpoint(tmp_path, checkpoint(4))
    damage(tmp_path / name_of(4))
    with pytest.raises(StageError) as caught:
        newest_checkpoint(tmp_path)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'step-0000004'}: the checkpoint is damaged (")
    assert said.endswith(" - delete this folder to go on from the one before it")


def test_no_pickle_is_in_a_checkpoint(tmp_path):
    save_checkpoint(tmp_path, checkpoint())
    names = {path.name for path in (tmp_path / name_of(4)).iterdir()}
    assert names == {"adapter_model.safetensors", "resume.safetensors", "loop.json"}


def test_only_the_two_newest_keep_what_resuming_needs(tmp_path):
    for step in (2, 4, 6, 8):
        save_checkpoint(tmp_path, checkpoint(step))
    kept = [(place / "resume.safetensors").exists() for place in all_checkpoints(tmp_path)]
    assert kept == [False, False, True, True]
    assert all(load_adapter_weights(place) for place in all_checkpoints(tmp_path))
