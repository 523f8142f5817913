from __future__ import annotations

import json
import re

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.stages import select as stage
from lofi_engine.training.adapters import adapter_weights, add_adapter, save_adapter
from lofi_engine.training.encoded import write_index
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_training import make_trainer, one_thread, silent, tiny_base, write_encoded


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


def recipe_in(folder, **blocks):
    return make_recipe(folder, lora={"targets": ["to_q", "to_k", "to_v", "to_out.0"]}, **blocks)


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


def selection(tmp_path, encoded, select=None, progress=None, sink=None, **places):
    """Run the stage on checkpoints by name, each with its adapter's weights."""
    recipe = recipe_in(tmp_path, select=select or {})
    for name, weights in places.items():
        place = tmp_path / "train" / "checkpoints" / name.replace("_", "-")
        save_adapter(place, weights, recipe.lora, {"step": name})
    inputs = {"encode": encoded[0], "train": tmp_path / "train"}
    inputs |= {name: encoded[0] / name for name in ("curate", "describe")}
    place = tmp_path / "run"
    return run_stage(stage, recipe, place, inputs=inputs, progress=progress, sink=sink)


def notes(run):
    return [event.message for event in run.events if event.kind == "note"]


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
    facts = run.outcome.facts
    told = [event for event in run.events if event.kind == "progress"]
    assert [(event.done, event.total, event.unit, event.message) for event in told] == [
        (0, 3, "checks", "base: loss"),
        (1, 3, "checks", f"base: loss {facts['base_error']:.5f}"),
        (1, 3, "checks", "step-01: loss"),
        (2, 3, "checks", f"step-01: loss {facts['errors']['step-01']:.5f}"),
        (2, 3, "checks", "step-02: loss"),
        (3, 3, "checks", f"step-02: loss {facts['errors']['step-02']:.5f}"),
    ]


def test_a_table_on_screen_names_the_chosen_one_and_says_why(tmp_path, encoded, adapters):
    run = selection(tmp_path, encoded, step_01=adapters["still"], step_02=adapters["trained"])
    facts = run.outcome.facts
    head, still, trained, base, why = notes(run)
    assert head.split() == ["checkpoint", "score", "↑", "interval", "held_out_loss", "↓"]
    assert still.split()[:2] == ["step-01", "+0.00%"]
    gain = 1 - facts["errors"]["step-02"] / facts["base_error"]
    assert trained.split()[:3] == ["step-02", "*", f"{gain:+.2%}"]
    assert base.split() == ["base", "+0.00%", f"{facts['base_error']:.4g}"]
    assert why.startswith(f"chosen: step-02 scores {gain:+.2%} [")
    assert f"{gain:.2%} ahead of step-01" in why
    page = (run.work / "select.md").read_text()
    assert "# Checkpoint step-02" in page
    assert "| held_out_loss | 1 | lower | 1 - checkpoint / base | 2 tracks |" in page


def test_the_loss_is_told_by_style_and_by_noise_level(tmp_path, encoded, adapters):
    run = selection(tmp_path, encoded, step_01=adapters["still"], step_02=adapters["trained"])
    facts = run.outcome.facts
    found = facts["checkpoints"]["step-02"]["held_out_loss"]
    assert found["value"] == pytest.approx(facts["errors"]["step-02"], rel=1e-5)
    assert set(found["by_style"]) == {"CORE-01", "SEASON-06"}
    mean = sum(found["by_style"].values()) / 2
    assert mean == pytest.approx(found["value"], rel=1e-5)
    assert len(found["by_sigma"]) == 5
    assert sum(found["by_sigma"].values()) / 5 == pytest.approx(found["value"], rel=1e-5)
    assert facts["terms"]["held_out_loss"]["base_by_style"].keys() == found["by_style"].keys()
    assert "## Held-out loss by style" in (run.work / "select.md").read_text()


def test_it_warns_when_no_checkpoint_beats_the_base(tmp_path, encoded, adapters):
    run = selection(tmp_path, encoded, step_01=adapters["wild"], step_02=adapters["still"])
    assert run.outcome.facts["chosen"] == "step-02"
    assert run.warnings == [
        "no checkpoint is better than the base: step-02, the best of them, scores +0.00%"
    ]


def test_of_equal_checkpoints_the_first_is_chosen(tmp_path, encoded, adapters):
    trained = adapters["trained"]
    run = selection(tmp_path, encoded, step_01=trained, step_02=trained)
    facts = run.outcome.facts
    assert facts["chosen"] == "step-01"
    assert facts["why"].endswith(", as step-02 does: the earlier is taken")
    assert (facts["lead"]["value"], facts["lead"]["beyond_chance"]) == (0.0, False)


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
        "select: the error of step-02 on the tracks it is judged on is nan - "
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


def test_no_checkpoint_at_all_is_refused(tmp_path, encoded):
    with pytest.raises(StageError, match=r"train holds no checkpoint - run again with --from tra"):
        selection(tmp_path, encoded)


def test_an_encoded_set_of_another_base_is_refused(tmp_path, adapters):
    folder = tmp_path / "encoded"
    tracks = write_encoded(folder, ("validation", "validation"))
    write_index(folder, tracks, base="builtin:other@1")
    with pytest.raises(StageError, match=r"were encoded by builtin:other@1, the base is builtin"):
        selection(tmp_path, (folder, tracks), step_01=adapters["still"])


RATED = {"weights": {"held_out_loss": 0, "ratings": 1}, "ratings": "ratings.csv"}


def test_ratings_choose_what_people_like_among_what_they_rated(tmp_path, encoded, adapters):
    rows = ("base,ann,rain,2", "1,ann,rain,5", "base,ann,jazz,3", "1,ann,jazz,4", "base,bo,jazz,1")
    (tmp_path / "ratings.csv").write_text("\n".join(("checkpoint,rater,clip,score", *rows)))
    places = {"step_01": adapters["still"], "step_02": adapters["trained"]}
    run = selection(tmp_path, encoded, RATED, **places)
    facts = run.outcome.facts
    assert facts["chosen"] == "step-01"
    found = facts["checkpoints"]["step-01"]["ratings"]
    assert (found["value"], found["gain"]) == (4.5, 0.5)
    assert facts["terms"]["ratings"]["base"] == 2.5
    assert facts["checkpoints"]["step-02"]["cannot_be_chosen"] == "nobody rated it"
    assert facts["checkpoints"]["step-02"]["held_out_loss"]["value"] > 0  # told all the same
    assert "step-02 cannot be chosen: nobody rated it" in notes(run)
    assert run.warnings == [
        "ratings.csv: 1 of 5 ratings do not count: the same person did not rate that clip of every "
        "checkpoint in it"
    ]


def test_ratings_of_weight_0_are_told_and_change_nothing(tmp_path, encoded, adapters):
    (tmp_path / "ratings.csv").write_text("checkpoint,clip,score\n1,rain,5\n1,jazz,4\n")
    places = {"step_01": adapters["still"], "step_02": adapters["trained"]}
    run = selection(tmp_path, encoded, {"ratings": "ratings.csv"}, **places)
    facts = run.outcome.facts
    assert facts["chosen"] == "step-02"
    assert facts["terms"]["ratings"] | {"details": 0} == {
        "weight": 0.0, "better": "higher", "gain": "(checkpoint - base) / 4", "base": 3.0,
        "n": 2, "counted": "clips", "ratings": 2, "base_is_rated": False, "details": 0,
    }  # fmt: skip
    assert facts["checkpoints"]["step-01"]["ratings"]["gain"] == 0.375
    assert "cannot_be_chosen" not in facts["checkpoints"]["step-02"]


def test_ratings_that_compare_nothing_are_refused_where_they_count(tmp_path, encoded, adapters):
    (tmp_path / "ratings.csv").write_text("checkpoint,clip,score\n1,rain,5\n2,jazz,4\n")
    places = {"step_01": adapters["still"], "step_02": adapters["trained"]}
    with pytest.raises(StageError, match=r"ratings.csv: no clip is rated for all by one person - "):
        selection(tmp_path, encoded, RATED, **places)
    run = selection(tmp_path / "told", encoded, **places)
    assert run.outcome.facts["left_out"] == {}


def test_ratings_and_a_model_s_folder_shape_the_stage_s_key(tmp_path):
    select = {**RATED, "clap": "clap", "weights": {"ratings": 1, "prompt": 1}}
    recipe = recipe_in(tmp_path, select=select)
    assert stage.sources(recipe) == (tmp_path / "clap", tmp_path / "ratings.csv")
    assert stage.sources(recipe_in(tmp_path / "without")) == ()


def test_dora_adapters_are_judged_with_their_magnitudes(tmp_path, encoded):
    lora = {"targets": ["to_q", "to_k"], "dora": True}
    recipe = make_recipe(tmp_path, lora=lora, training={"base_precision": "4bit"})
    fresh = adapter_weights(add_adapter(tiny_base().transformer, recipe.lora, 1))
    louder = {name: part * 1.5 if "magnitude" in name else part for name, part in fresh.items()}
    for name, weights in {"step-01": fresh, "step-02": louder}.items():
        save_adapter(tmp_path / "train" / "checkpoints" / name, weights, recipe.lora, {})
    inputs = {"encode": encoded[0], "train": tmp_path / "train"}
    facts = run_stage(stage, recipe, tmp_path / "run", inputs=inputs).outcome.facts
    assert facts["errors"]["step-01"] == pytest.approx(facts["base_error"], rel=1e-5)
    assert facts["errors"]["step-02"] != pytest.approx(facts["base_error"], rel=1e-4)
    assert facts["precision"] == "fp32"


def test_an_adapter_of_another_rank_is_refused_by_its_folder(tmp_path, encoded, adapters):
    wider = make_recipe(
        tmp_path / "other", lora={"r": 8, "targets": ["to_q", "to_k", "to_v", "to_out.0"]}
    )
    foreign = adapter_weights(add_adapter(tiny_base().transformer, wider.lora, 1))
    with pytest.raises(StageError, match=r"step-02: the adapter does not fit .*its rank is 8, the"):
        selection(tmp_path, encoded, step_01=adapters["still"], step_02=foreign)
