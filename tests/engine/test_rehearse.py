from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from lofi_engine.needs import check_needs
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import FadGate, Select, SelectWeights
from lofi_engine.rehearse import rehearsal
from lofi_engine.training.adapters import scale_of
from lofi_runtime.shared_data import shared_folder
from tests.support.finished_run import lofi_recipe


def full():
    return load_recipe(shared_folder("recipes") / "v1.yaml")


def test_a_rehearsal_keeps_the_adapter_s_targets_and_scale_and_the_variants_and_needs_nothing():
    recipe = full()
    changed, _said = rehearsal(recipe)
    assert (changed.lora.targets, changed.lora.rslora) == (recipe.lora.targets, recipe.lora.rslora)
    assert scale_of(changed.lora) == scale_of(recipe.lora) == 2.0
    assert list(changed.variants) == list(recipe.variants)
    assert changed.training.precision == recipe.training.precision
    assert changed.name != recipe.name
    check_needs(changed)


def test_a_rehearsal_says_everything_it_replaces():
    recipe = full()
    said = "\n".join(rehearsal(recipe)[1])
    assert "base: builtin:tiny in place of hf:ACE-Step/ACE-Step-v1-3.5B" in said
    assert "lora.r: 16 in place of 256, at the same scale" in said
    assert "training.steps: 6 in place of 100000" in said
    assert "dataset.holdout_share: 0.25 in place of 0.1, for fad" in said
    assert "measure.fad: by lofi-sound-v1, projected to the few dimensions" in said
    assert "measure.clap: not measured; it needs a model" in said
    assert "select.weights.prompt: 0 in place of 1" in said
    assert "publish.to: runs/" in said
    assert "variants.int4.max_bytes: left out, it is for the real base" in said


def test_a_rehearsal_measures_fad_without_a_model_or_a_bound():
    fad = replace(full().measure.fad, embedding="hf:me/clap", project=False)
    recipe = replace(full(), measure=replace(full().measure, fad=fad))
    changed, _said = rehearsal(recipe)
    assert changed.measure.fad == FadGate("lofi-sound-v1", True, {})
    assert changed.measure.clap is None
    assert (changed.measure.seeds, changed.measure.duration_sec) == (4, 5.0)
    assert changed.dataset.holdout_share == 0.25


def test_tracks_too_short_for_fad_leave_it_out_of_the_rehearsal_and_it_is_said():
    dataset = full().dataset
    short = replace(dataset, quality=replace(dataset.quality, min_duration_sec=4.0))
    changed, said = rehearsal(replace(full(), dataset=short))
    assert changed.measure.fad is None
    assert (changed.measure.seeds, changed.dataset.holdout_share) == (2, 0.1)
    assert "measure.fad: not measured; its pieces or tracks are too few and short for it" in said


def test_a_rehearsal_without_fad_holds_out_what_the_recipe_says():
    select = replace(full().select, weights=SelectWeights(0.0, 0.0, 1.0, 0.0))
    recipe = replace(full(), measure=replace(full().measure, fad=None), select=select)
    changed, said = rehearsal(recipe)
    assert (changed.measure.seeds, changed.dataset.holdout_share) == (2, 0.1)
    assert changed.select.weights == SelectWeights(1.0, 0.0, 0.0, 0.0)
    assert not [line for line in said if line.startswith(("measure.fad", "dataset.holdout"))]


def test_a_rehearsal_chooses_by_loss_and_distance_without_a_model_or_ratings():
    select = replace(full().select, ratings="heard.csv", weights=SelectWeights(0.5, 2.0, 1.0, 1.0))
    recipe = replace(full(), measure=replace(full().measure, fad=None), select=select)
    changed, said = rehearsal(recipe)
    assert changed.select == Select(SelectWeights(0.5, 2.0, 0.0, 0.0), 4, 4, 5, None, None)
    assert changed.dataset.holdout_share == 0.25
    assert "select.weights.ratings: 0 in place of 1" in said


@pytest.mark.pipeline
@pytest.mark.timeout(900)
def test_the_full_recipe_rehearses_end_to_end(tmp_path):
    recipe = tmp_path / "v1.yaml"
    shutil.copy(shared_folder("recipes") / "v1.yaml", recipe)
    done = lofi_recipe("run", recipe, "--rehearse", timeout_sec=800)
    assert done.returncode == 0, done.stderr
    assert "training.steps: 6 in place of 100000" in done.stderr
    bundles = [line.rsplit("/", 1)[1] for line in done.stdout.splitlines()]
    assert [name.removeprefix("lofi-ace-step-") for name in bundles] == list(full().variants)
