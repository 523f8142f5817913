from __future__ import annotations

import json
import re

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.stages import select
from lofi_engine.training.adapters import adapter_weights, add_adapter, save_adapter
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_training import make_trainer, one_thread, silent, tiny_base, write_encoded


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


def recipe_in(folder):
    return make_recipe(folder, lora={"targets": ["to_q", "to_k", "to_v", "to_out.0"]})


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    tracks = write_encoded(folder, ("train", "train", "validation", "validation"))
    return folder, tracks


@pytest.fixture(scope="module")
def adapters(encoded, tmp_path_factory):
    """Weights of adapters by what they are: trained, "still" (changes nothing), "wild"."""
    folder, tracks = encoded
    with one_thread():
        trainer = make_trainer(
            folder, tracks, tmp_path_factory.mktemp("training"),
            steps=30, batch_size=2, learning_rate=1e-2, checkpoint_every=30, clip_grad_norm=10.0,
        )  # fmt: skip
        trainer.run(5, silent)
        trained = adapter_weights(trainer.model)
    draws = torch.Generator().manual_seed(2)
    wild = {name: torch.randn(part.shape, generator=draws) for name, part in trained.items()}
    still = {
        name: torch.zeros_like(part) if "lora_B" in name else part for name, part in trained.items()
    }
    return {"trained": trained, "still": still, "wild": wild}


def selection(tmp_path, encoded, **places):
    """Run the stage on checkpoints by name, each with its adapter's weights."""
    recipe = recipe_in(tmp_path)
    for name, weights in places.items():
        place = tmp_path / "train" / "checkpoints" / name.replace("_", "-")
        save_adapter(place, weights, recipe.lora, {"step": name})
    inputs = {"encode": encoded[0], "train": tmp_path / "train"}
    return run_stage(select, recipe, tmp_path / "run", inputs=inputs)


def test_the_checkpoint_of_the_lowest_error_is_chosen_not_the_last(tmp_path, encoded, adapters):
    run = selection(
        tmp_path, encoded,
        step_01=adapters["still"], step_02=adapters["trained"], step_03=adapters["wild"],
    )  # fmt: skip
    facts = run.outcome.facts
    errors = facts["errors"]
    assert facts["chosen"] == "step-02"
    assert errors["step-02"] < errors["step-01"] < errors["step-03"]
    assert errors["step-01"] == facts["base_error"]
    assert (facts["judged_on"], facts["tracks"]) == ("validation", 2)
    assert run.warnings == []
    chosen = tmp_path / "train" / "checkpoints" / "step-02"
    for file in chosen.iterdir():
        assert (run.work / "adapter" / file.name).read_bytes() == file.read_bytes()
    assert json.loads((run.work / "select.json").read_text()) == facts


def test_progress_shows_each_checkpoint_s_error(tmp_path, encoded, adapters):
    run = selection(tmp_path, encoded, step_01=adapters["still"], step_02=adapters["trained"])
    errors = run.outcome.facts["errors"]
    assert [(event.done, event.total, event.unit, event.message) for event in run.events] == [
        (1, 2, "checkpoints", f"step-01: {errors['step-01']:.5f}"),
        (2, 2, "checkpoints", f"step-02: {errors['step-02']:.5f}"),
    ]


def test_it_warns_when_no_checkpoint_beats_the_base(tmp_path, encoded, adapters):
    run = selection(tmp_path, encoded, step_01=adapters["wild"], step_02=adapters["still"])
    facts = run.outcome.facts
    assert facts["chosen"] == "step-02"
    assert run.warnings == [
        "no checkpoint denoises the validation tracks better than the base "
        f"({facts['base_error']:.5f} against {facts['base_error']:.5f})"
    ]


def test_of_equal_checkpoints_the_first_is_chosen(tmp_path, encoded, adapters):
    trained = adapters["trained"]
    run = selection(tmp_path, encoded, step_01=trained, step_02=trained)
    assert run.outcome.facts["chosen"] == "step-01"


def test_without_validation_tracks_it_says_it_judges_on_training_tracks(tmp_path, adapters):
    folder = tmp_path / "encoded"
    run = selection(
        tmp_path, (folder, write_encoded(folder, ("train", "train"))), step_01=adapters["trained"]
    )
    assert run.outcome.facts["judged_on"] == "train"
    assert run.outcome.facts["tracks"] == 2
    assert run.warnings[0] == (
        "no validation tracks: the checkpoints are judged on their training tracks"
    )


def test_the_same_checkpoints_score_the_same_again(tmp_path, encoded, adapters):
    one, other = (
        selection(tmp_path / place, encoded, step_01=adapters["trained"]) for place in "ab"
    )
    assert one.outcome == other.outcome
    assert one.files() == other.files()


def test_a_checkpoint_whose_error_is_no_number_is_refused_by_name(tmp_path, encoded, adapters):
    broken = {name: part * 1e30 for name, part in adapters["trained"].items()}
    with pytest.raises(StageError) as caught:
        selection(tmp_path, encoded, step_01=adapters["trained"], step_02=broken)
    assert str(caught.value) == (
        "select: the error of step-02 on tracks not trained on is nan - "
        "train again with a lower training.learning_rate"
    )


def test_a_checkpoint_that_is_not_finite_is_refused_by_its_file(tmp_path, encoded, adapters):
    broken = {name: part * float("nan") for name, part in adapters["trained"].items()}
    with pytest.raises(StageError) as caught:
        selection(tmp_path, encoded, step_01=adapters["trained"], step_02=broken)
    said = str(caught.value)
    assert "step-02/adapter_model.safetensors: base_model.model.transformer_blocks.0" in said
    assert "holds 256 NaN and 0 infinite values of 256 - train it again (not finite: " in said


def test_an_adapter_of_other_modules_is_refused(tmp_path, encoded):
    recipe = make_recipe(tmp_path / "other", lora={"targets": ["linear_q"]})
    foreign = adapter_weights(add_adapter(tiny_base().transformer, recipe.lora, 1))
    with pytest.raises(StageError, match=r"step-01: the adapter does not fit .*: 64 missing"):
        selection(tmp_path, encoded, step_01=foreign)


def test_a_missing_adapter_file_is_named(tmp_path, encoded):
    (tmp_path / "train" / "checkpoints" / "step-01").mkdir(parents=True)
    place = re.escape("checkpoints/step-01/adapter_model.safetensors")
    with pytest.raises(StageError, match=f"{place}: there is no such file - train it again"):
        selection(tmp_path, encoded)
