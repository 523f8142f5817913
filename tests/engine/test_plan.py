from __future__ import annotations

import shutil
from pathlib import Path

from lofi_engine.fingerprints import Fingerprints
from lofi_engine.lookup import difference, look_up
from lofi_engine.plan import PIPELINE as REAL_PIPELINE
from lofi_engine.plan import plan, stage_seed
from lofi_engine.stages.registry import STAGES
from tests.support.dummy_stages import PIPELINE, DummyStage, dummy_stages
from tests.support.recipes import make_recipe


def keys(planned):
    return {stage.name: stage.key for stage in planned}


def no_files(_path: Path) -> str:
    return "missing"


def test_equal_recipes_in_different_folders_have_equal_keys(tmp_path):
    one, other = make_recipe(tmp_path / "a"), make_recipe(tmp_path / "b" / "c")
    assert keys(plan(one, dummy_stages(), no_files, PIPELINE)) == keys(
        plan(other, dummy_stages(), no_files, PIPELINE)
    )


def test_a_changed_setting_changes_its_stage_and_those_that_read_it_and_no_other(tmp_path):
    before = keys(plan(make_recipe(tmp_path), dummy_stages(), no_files, PIPELINE))
    changed = make_recipe(tmp_path, training={"steps": 7})
    after = keys(plan(changed, dummy_stages(), no_files, PIPELINE))
    assert before["first"] == after["first"]
    assert before["second"] != after["second"]
    assert before["third"] != after["third"]


def test_a_raised_code_version_changes_the_key(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()
    before = keys(plan(recipe, stages, no_files, PIPELINE))
    stages["third"] = DummyStage("third", VERSION=2)
    after = keys(plan(recipe, stages, no_files, PIPELINE))
    assert before["second"] == after["second"]
    assert before["third"] != after["third"]


def test_edited_source_data_changes_the_key_even_when_its_size_stays(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()
    stages["first"].source = "data"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("one")
    before = keys(plan(recipe, stages, Fingerprints(tmp_path), PIPELINE))
    (tmp_path / "data" / "a.txt").write_text("two")
    after = keys(plan(recipe, stages, Fingerprints(tmp_path), PIPELINE))
    assert before["first"] != after["first"]


def test_copied_data_elsewhere_gives_the_same_key(tmp_path):
    stages = dummy_stages()
    stages["first"].source = "data"
    one = make_recipe(tmp_path / "a")
    (tmp_path / "a" / "data").mkdir()
    (tmp_path / "a" / "data" / "x.txt").write_text("same")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    other = make_recipe(tmp_path / "b")
    assert keys(plan(one, stages, Fingerprints(tmp_path), PIPELINE)) == keys(
        plan(other, stages, Fingerprints(tmp_path), PIPELINE)
    )


def test_no_two_stages_share_a_seed():
    assert len({stage_seed(42, name) for name in REAL_PIPELINE}) == len(REAL_PIPELINE)
    assert stage_seed(42, "train") == stage_seed(42, "train") != stage_seed(43, "train")
    assert 0 <= stage_seed(42, "train") < 2**63


def test_the_pipeline_names_exactly_the_stages_and_each_input_comes_before_its_reader():
    names = list(REAL_PIPELINE)
    assert names == list(STAGES)
    for name, inputs in REAL_PIPELINE.items():
        assert all(names.index(other) < names.index(name) for other in inputs)


def test_every_stage_plans_the_small_recipe_without_touching_the_disk(tmp_path):
    planned = plan(make_recipe(tmp_path), STAGES, no_files)
    assert [stage.name for stage in planned] == list(STAGES)
    assert all(len(stage.key) == 16 for stage in planned)


def test_a_stage_that_never_ran_says_so(tmp_path):
    planned = plan(make_recipe(tmp_path), dummy_stages(), no_files, PIPELINE)
    states = look_up(planned, tmp_path / "runs")
    assert [state.reason for state in states] == ["it has not run yet"] * 3
    assert not any(state.cached for state in states)


def test_a_difference_is_told_in_words():
    before = {
        "version": 1, "seed": 1, "settings": {"lora": {"r": 8, "alpha": 4}},
        "inputs": {"encode": "a"}, "sources": {"raw": "x"},
    }  # fmt: skip
    now = {
        "version": 2, "seed": 2, "settings": {"lora": {"r": 16, "alpha": 4}},
        "inputs": {"encode": "b"}, "sources": {"raw": "y", "new": "z"},
    }  # fmt: skip
    assert difference(before, now) == (
        "its code changed (version 1 to 2); lora.r 8 to 16; the seed changed; encode changed; "
        "raw changed; new is new here"
    )
    assert difference(now, now) == "its artifact was removed"


def test_a_hub_base_is_keyed_by_the_commit_its_branch_names_here(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    ref = tmp_path / "hub" / "models--me--base" / "refs" / "main"
    ref.parent.mkdir(parents=True)
    recipe = make_recipe(tmp_path, base={"model": "hf:me/base"})
    found = []
    for commit in ("a" * 40, "b" * 40):
        ref.write_text(commit)
        found.append(keys(plan(recipe, STAGES, no_files)))
    assert found[0]["curate"] == found[1]["curate"]
    assert found[0]["encode"] != found[1]["encode"]


def test_more_threads_or_processes_change_no_key(tmp_path):
    before = keys(plan(make_recipe(tmp_path), STAGES, no_files))
    changed = make_recipe(tmp_path, execution={"workers": 3, "threads": 2})
    after = keys(plan(changed, STAGES, no_files))
    different = [name for name in before if before[name] != after[name]]
    assert different == ["publish"]  # whose manifests carry the recipe's text
