from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from lofi_engine.artifact import read_artifact, write_record
from lofi_engine.data.rows import Row, write_rows
from lofi_engine.errors import StageError
from lofi_engine.hashing import content_hash, hash_file
from lofi_engine.lookup import artifact_folder, look_up
from lofi_engine.plan import plan
from lofi_engine.publishing import facts
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import Lora
from lofi_engine.rehearse import rehearsal
from lofi_engine.run import runs_folder
from lofi_engine.stages import publish
from lofi_engine.stages.registry import STAGES
from lofi_engine.training.adapters import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    save_adapter,
)
from lofi_runtime.bundle import open_bundle
from tests.support.recipes import make_recipe, write_recipe
from tests.support.releases import make_measure, make_record, make_release
from tests.support.stage_runs import run_stage
from tests.support.tiny_bundle import make_tiny_bundle

VARIANTS = ("fp16", "int8")


def write_measures(folder: Path, ratio: float) -> None:
    found = {name: make_measure(ratio=ratio) for name in VARIANTS}
    listing = {
        "variants": {name: one["quality"] for name, one in found.items()},
        "measured": {name: one["measured"] for name, one in found.items()},
    }
    (folder / "measure.json").write_text(json.dumps(listing))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the five stages before leave, by hand."""
    folder = tmp_path_factory.mktemp("inputs")
    inputs = {name: folder / name for name in ("curate", "select", "export", "quantize", "measure")}
    for place in inputs.values():
        place.mkdir()
    write_rows(inputs["curate"], [Row("synth/1", "accepted", duration_sec=6.0, license="cc0")])
    lora = Lora(4, 8.0, rslora=True, targets=("to_q",))
    name = "base_model.model.transformer_blocks.0.attn.to_q.lora_{}.weight"
    weights = {name.format("A"): torch.ones(4, 64), name.format("B"): torch.ones(64, 4)}
    save_adapter(inputs["select"] / "adapter", weights, lora, {"base": "builtin:tiny@1"})
    described = {"identity": "builtin:tiny@1", "pipeline": make_release().pipeline}
    (inputs["export"] / "model.json").write_text(json.dumps(described))
    for name in VARIANTS:
        make_tiny_bundle(inputs["quantize"] / name, manifest=False, query_scale=True, step=True)
        (inputs["quantize"] / name / "record.json").write_text(json.dumps(make_record(name)))
    write_measures(inputs["measure"], 0.5)
    return inputs


def publishing(recipe, place, inputs):
    return run_stage(publish, recipe, place, inputs=inputs)


def record_of(run):
    return write_record(
        run.work, content={}, outcome=run.outcome, recipe={}, measured={"duration_sec": 1}
    )


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


@pytest.fixture(scope="module")
def done(tmp_path_factory, made):
    recipe = make_recipe(tmp_path_factory.mktemp("done"))
    return publishing(recipe, recipe.home / "run", made), recipe


def test_every_variant_lies_verified_in_the_folder_with_adapter_and_pages(done):
    run, recipe = done
    published = recipe.home / "published"
    for name in VARIANTS:
        bundle = open_bundle(published / f"small-{name}", verify=True)
        assert bundle.name == f"small-{name}"
        assert not bundle.path("record.json").exists()
    lora = published / "small-lora"
    assert {path.name for path in lora.iterdir()} == {
        ADAPTER_CONFIG, ADAPTER_WEIGHTS, DIFFUSERS_WEIGHTS,
    }  # fmt: skip
    with safe_open(lora / ADAPTER_WEIGHTS, "pt") as file:
        said = file.metadata()
    assert (said["rank"], said["base"], said["release"]) == ("4", "builtin:tiny@1", "0.1.0")
    assert "release: 0.1.0" in said["recipe_text"]
    assert "# small 0.1.0" in (published / "README.md").read_text()
    assert "# Prompting" in (published / "PROMPTING.md").read_text()
    assert set(json.loads((published / "index.json").read_text())["bundles"]) == {
        "small-fp16",
        "small-int8",
    }
    assert run.warnings == []


def test_the_artifact_keeps_words_and_no_weights(done):
    run, _recipe = done
    assert set(run.files()) - {"artifact.json"} == {
        "README.md",
        "PROMPTING.md",
        "manifests/small-fp16.json",
        "manifests/small-int8.json",
    }
    assert run.outcome.facts["adapter"] == "small-lora"
    assert "index.json" not in run.outcome.facts["files"]


def test_what_was_delivered_is_recorded_with_hashes_but_pages_and_index_need_only_be_there(done):
    run, recipe = done
    outside = run.outcome.outside
    assert {name for name, digest in outside.items() if not digest} == {
        "published/README.md",
        "published/PROMPTING.md",
        "published/index.json",
    }
    weights = "published/small-int8/transformer_decoder_weights.bin"
    assert outside[weights] == hash_file(recipe.home / weights)
    manifest = "published/small-int8/manifest.json"
    assert outside[manifest] == content_hash(recipe.home / manifest)
    assert outside[manifest] != hash_file(recipe.home / manifest)


def test_the_index_has_the_hashes_that_people_verify_with(done):
    _run, recipe = done
    published = recipe.home / "published"
    files = json.loads((published / "index.json").read_text())["files"]
    assert files == {name: hash_file(published / name) for name in files}
    assert "small-int8/manifest.json" in files


def test_speeds_and_the_commit_change_no_content_hash(tmp_path, made, monkeypatch):
    hashes, cards = set(), set()
    for number, (ratio, commit) in enumerate([(0.5, ""), (9.25, "c0ffee0-dirty")]):
        write_measures(tmp_path, ratio)
        monkeypatch.setattr(facts, "git_revision", lambda _at, commit=commit: commit)
        recipe = make_recipe(tmp_path / f"home{number}")
        run = publishing(recipe, tmp_path / f"run{number}", {**made, "measure": tmp_path})
        hashes.add(record_of(run))
        cards.add((run.work / "README.md").read_text())
        found = manifest_of(recipe.home / "published" / "small-int8")["measured"]
        assert found["CPUExecutionProvider"]["render_time_ratio"] == ratio
        assert found.get("git_revision", "") == commit
    assert len(hashes) == 1
    assert len(cards) == 2


def test_overrides_stand_in_manifest_and_card_and_shape_the_key(tmp_path, made):
    path = write_recipe(tmp_path)
    plain, changed = load_recipe(path), load_recipe(path, ["training.steps=60"])
    changed = replace(changed, changes=("--set training.steps=60",))
    assert publish.settings(plain) != publish.settings(changed)
    publishing(changed, tmp_path / "run", made)
    published = tmp_path / "published"
    recipe = manifest_of(published / "small-int8")["recipe"]
    assert recipe["changes"] == ["--set training.steps=60"]
    assert recipe["text"] == path.read_text()
    card = (published / "README.md").read_text()
    assert "- `--set training.steps=60`\n" in card
    assert "rehearsal" not in card


def test_a_rehearsal_says_so_wherever_it_is_published(tmp_path, made):
    changed, differences = rehearsal(make_recipe(tmp_path, publish={"model_name": "big"}))
    run = publishing(changed, tmp_path / "run", made)
    published = tmp_path / changed.publish.to
    card = (published / "README.md").read_text()
    assert card.split("---\n", 2)[2].strip().startswith("> **This is a rehearsal:**")
    recipe = manifest_of(published / "big-int8")["recipe"]
    assert set(differences) <= set(recipe["changes"])
    assert all(f"- `{line}`\n" in card for line in differences)
    assert run.outcome.facts["bundles"]["int8"] == "big-int8"


def test_of_a_base_on_this_machine_the_folder_s_name_alone_is_published(tmp_path, made):
    home = tmp_path / "home"
    recipe = make_recipe(home)
    base = replace(recipe.base, model=str(tmp_path / "models" / "my-base"))
    publishing(replace(recipe, base=base), tmp_path / "run", made)
    published = home / "published"
    assert manifest_of(published / "small-int8")["base"]["model"] == "my-base"
    for path in published.rglob("*"):
        assert path.is_dir() or str(tmp_path).encode() not in path.read_bytes(), path


def test_an_absolute_path_in_the_recipe_s_text_is_warned_of_and_published_as_written(
    tmp_path, made
):
    recipe = make_recipe(tmp_path, description="made of /home/ann/music")
    recipe = replace(recipe, changes=("--set dataset.styles=/home/ann/styles",))
    run = publishing(recipe, tmp_path / "run", made)
    hint = "write the path relative to the recipe if it should stay yours"
    assert run.warnings == [
        f"the recipe names '{path}' and is published as it is written - {hint}"
        for path in ("/home/ann/music", "/home/ann/styles")
    ]
    text = manifest_of(tmp_path / "published" / "small-int8")["recipe"]["text"]
    assert "/home/ann/music" in text


def test_publishing_to_the_hub_is_refused_before_anything_is_made(tmp_path, made):
    recipe = make_recipe(tmp_path, publish={"to": "hf:ann/lofi"})
    with pytest.raises(StageError, match="'hf:ann/lofi': publishing to the Hub is not built yet"):
        publishing(recipe, tmp_path / "run", made)


def finish(recipe, place, inputs):
    """Leave a finished publish artifact in its planned place; give what the lookup then says."""

    def state():
        planned = plan(recipe, STAGES, lambda _path: "missing")
        return look_up(planned, runs_folder(recipe))[-1]

    stage = state().stage
    run = publishing(recipe, place, inputs)
    folder = artifact_folder(runs_folder(recipe), stage)
    shutil.copytree(run.work, folder)
    content = {**stage.identity(), "key": stage.key}
    write_record(folder, content=content, outcome=run.outcome, recipe={}, measured={})
    assert read_artifact(folder) is not None
    return state


def test_a_bundle_that_another_recipe_replaced_is_published_again(tmp_path, made):
    state = finish(make_recipe(tmp_path), tmp_path / "run", made)
    assert state().cached
    other = load_recipe(write_recipe(tmp_path, "other.yaml", seed=7))
    publishing(other, tmp_path / "other-run", made)
    assert not state().cached
    assert state().reason == (
        "what it left is damaged: published/small-fp16/manifest.json is not what this recipe "
        "published"
    )


def test_another_model_published_into_the_same_folder_leaves_this_one_cached(tmp_path, made):
    state = finish(make_recipe(tmp_path), tmp_path / "run", made)
    other = load_recipe(write_recipe(tmp_path, "other.yaml", publish={"model_name": "other"}))
    publishing(other, tmp_path / "other-run", made)
    assert (tmp_path / "published" / "README.md").read_text().count("# other 0.1.0") == 1
    assert state().cached
