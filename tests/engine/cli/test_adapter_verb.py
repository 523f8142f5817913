"""`lofi-recipe adapter ...`, called as a user calls it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from lofi_engine.artifact import write_record
from lofi_engine.cli.main import app
from lofi_engine.lookup import artifact_folder
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import plan_states, runs_folder
from lofi_engine.stages.base import Outcome
from lofi_engine.stages.registry import STAGES
from lofi_engine.training.adapter_reading import read_adapter
from lofi_engine.training.adapters import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    save_adapter,
)
from tests.support.adapters import random_weights
from tests.support.finished_data import finish_data
from tests.support.finished_run import lofi_recipe
from tests.support.recipes import write_recipe
from tests.support.tiny_training import LORA

ODD = replace(LORA, alpha=math.sqrt(8))
FACTS = {"base": "builtin:tiny@1", "step": "6"}


def call(*arguments: object, code: int = 0):
    """Run a verb in this process; give what it wrote."""
    done = CliRunner().invoke(app, ["adapter", *map(str, arguments)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def write_adapter(folder, lora=ODD):
    _base, weights = random_weights(lora)
    save_adapter(folder, weights, lora, FACTS)
    return weights


def test_inspect_prints_the_facts_and_ends_with_1_where_the_base_is_another(tmp_path):
    write_adapter(tmp_path)
    said = call("inspect", tmp_path, "--base", "builtin:tiny").stdout.splitlines()
    assert said[0] == str(tmp_path / ADAPTER_WEIGHTS)
    assert "  rank    4" in said
    assert said[-1] == "  builtin:tiny: fits"
    said = call("inspect", tmp_path, "--base", "hf:ACE-Step/ACE-Step-v1-3.5B", code=1).stdout
    assert "does not fit: 32 of shape (64, 64), not (2560, 2560)" in said
    facts = json.loads(call("inspect", tmp_path / ADAPTER_WEIGHTS, "--json").stdout)
    assert facts["scales"] == [math.sqrt(2)]


def test_convert_there_and_back_gives_the_same_folder(tmp_path):
    write_adapter(tmp_path / "peft")
    said = call("convert", tmp_path / "peft", "--to", "diffusers", "--out", tmp_path / "other")
    assert said.stdout.split() == [str(tmp_path / "other" / DIFFUSERS_WEIGHTS)]
    said = call("convert", tmp_path / "other", "--to", "peft", "--out", tmp_path / "again")
    assert len(said.stdout.split()) == 2
    for name in (ADAPTER_WEIGHTS, ADAPTER_CONFIG):
        one, other = tmp_path / "peft" / name, tmp_path / "again" / name
        assert one.read_bytes() == other.read_bytes()


def test_converting_dora_says_who_does_not_play_it(tmp_path):
    write_adapter(tmp_path / "peft", replace(ODD, dora=True))
    said = call("convert", tmp_path / "peft", "--to", "diffusers", "--out", tmp_path / "other")
    assert "lofi-recipe: DoRA: ComfyUI does not play its magnitudes" in said.stderr


def finished_recipe(folder):
    """A recipe whose data and chosen adapter are there, as its stages leave them."""
    path = write_recipe(folder, lora={"alpha": 6.5, "r": 4})
    finish_data(path)
    recipe = load_recipe(path)
    stage = next(
        state.stage for state in plan_states(recipe, STAGES) if state.stage.name == "select"
    )
    place = artifact_folder(runs_folder(recipe), stage)
    _base, weights = random_weights(recipe.lora)
    save_adapter(place / "adapter", weights, recipe.lora, FACTS)
    write_record(
        place,
        content={**stage.identity(), "key": stage.key},
        outcome=Outcome(),
        recipe={"name": recipe.name, "text": recipe.text},
        measured={},
    )
    return path, recipe, weights


def test_export_leaves_both_forms_under_recipe_release_and_hash_and_says_what_made_them(tmp_path):
    path, recipe, weights = finished_recipe(tmp_path)
    said = call("export", path, "--out", tmp_path / "out").stdout.strip()
    (place,) = (tmp_path / "out").iterdir()
    assert said == str(place)
    adapters = [read_adapter(place / name) for name in (ADAPTER_WEIGHTS, DIFFUSERS_WEIGHTS)]
    for adapter in adapters:
        metadata = adapter.metadata
        assert place.name == f"small-0.1.0-{metadata['weights_sha256'][:8]}"
        assert metadata["recipe_text"] == recipe.text
        assert metadata["recipe_sha256"] == hashlib.sha256(recipe.text.encode()).hexdigest()
        assert (metadata["rank"], metadata["alpha"], metadata["rslora"]) == ("4", "6.5", "true")
        assert (metadata["base"], metadata["base_revision"]) == ("builtin:tiny@1", "1")
        assert (metadata["step"], metadata["steps"]) == ("6", "6")
        ledger = json.loads(metadata["ledger"])
        assert ledger["tracks"] == 3
        assert ledger["licenses"] == {"ai-training-rights": 1, "cc-by-4.0": 1, "cc0": 1}
    found = load_file(place / ADAPTER_WEIGHTS)
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    call("export", path, "--out", tmp_path / "out")
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [place.name]


def test_export_of_what_is_not_finished_says_what_to_run(tmp_path):
    path = write_recipe(tmp_path)
    done = lofi_recipe("adapter", "export", path)
    assert done.returncode == 1
    assert done.stderr == (
        f"lofi-recipe: {path}: select is not finished (it has not run yet) - "
        f"run it first: lofi-recipe run {path}\n"
    )


def test_the_stock_trainer_s_settings_become_a_recipe_and_come_from_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_recipe(tmp_path)
    said = call("export-trainer", path, "--out", "theirs", "--dataset", "set/train")
    assert said.stdout.startswith(
        "python trainer.py --lora_config_path theirs/lofi_lora_config.json "
        "--dataset_path set/train --exp_name small --max_steps 6 "
    )
    assert "lofi-recipe: otherwise there: training.window_sec: 2: it trains on" in said.stderr
    words = said.stdout.split()[2:]
    done = call(
        "import-trainer", "theirs/lofi_lora_config.json", "--out", "mine.yaml", "--", *words
    )
    assert done.stdout == "mine.yaml\n"
    assert done.stderr == (
        "lofi-recipe: not taken over: --dataset_path set/train: name your folder of audio in "
        "dataset.sources\n"
    )
    ours, theirs = load_recipe(path), load_recipe(tmp_path / "mine.yaml")
    assert theirs.lora == ours.lora
    assert theirs.training.learning_rate == ours.training.learning_rate
    before = (tmp_path / "mine.yaml").read_text()
    again = lofi_recipe("adapter", "import-trainer", "theirs/lofi_lora_config.json",
                        "--out", "mine.yaml", cwd=tmp_path)  # fmt: skip
    assert again.returncode == 1
    assert "mine.yaml: is there already" in again.stderr
    assert (tmp_path / "mine.yaml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inspect", "missing.safetensors"), "missing.safetensors: there is no such file"),
        (("inspect", "."), ".: holds neither adapter_model.safetensors nor pytorch_lora_weights"),
        (("import-trainer", "no.json"), "no.json: no LoRA config"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(tmp_path, arguments, said):
    done = lofi_recipe("adapter", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"lofi-recipe: {said}")
