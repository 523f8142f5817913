from __future__ import annotations

import json

import pytest

from lofi_engine.cli.plan import line_of, run_plan
from lofi_engine.errors import RecipeError
from lofi_engine.plan import PIPELINE
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import plan_states
from lofi_engine.stages.registry import STAGES
from tests.support.finished_stages import finish
from tests.support.recipes import write_recipe


def said(capsys, *arguments, **options):
    assert run_plan(*arguments, **options) == 0
    return capsys.readouterr().out


def stages(output):
    """The lines above the empty one: a stage each."""
    return output.partition("\n\n")[0].splitlines()


def test_every_stage_has_a_line_in_order_with_its_key_and_reason(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    lines = stages(said(capsys, recipe))
    assert [line.split()[0] for line in lines] == list(PIPELINE)
    keys = [state.stage.key for state in plan_states(load_recipe(recipe), STAGES)]
    assert [line.split()[1] for line in lines] == keys
    assert all(line.endswith("  to run, because it has not run yet") for line in lines)
    assert len({line.index(key) for line, key in zip(lines, keys, strict=True)}) == 1


def test_finished_stages_are_cached_and_changed_ones_say_what_changed(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    finish(recipe, "curate", "describe", "split", "encode", "train")
    before = {line.split()[0]: line for line in stages(said(capsys, recipe))}
    assert before["train"].endswith("  cached")
    assert before["select"].endswith("to run, because it has not run yet")
    changed = write_recipe(tmp_path, training={"steps": 9})
    after = {line.split()[0]: line for line in stages(said(capsys, changed))}
    assert after["encode"] == before["encode"]
    assert after["train"].endswith("to run, because training.steps 6 to 9")
    assert after["train"].split()[1] != before["train"].split()[1]


def test_an_override_plans_as_the_changed_recipe_would(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    overridden = said(capsys, recipe, ("training.steps=9",))
    assert overridden != said(capsys, recipe)
    changed = write_recipe(tmp_path, training={"steps": 9})
    lines, expected = stages(overridden), stages(said(capsys, changed))
    # The manifests carry the recipe's text, so publish differs; all before it is the same.
    assert lines[:-1] == expected[:-1]


def test_json_holds_the_same_for_programs(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    finish(recipe, "curate")
    rows = json.loads(said(capsys, recipe, as_json=True))["stages"]
    assert [row["stage"] for row in rows] == list(PIPELINE)
    assert rows[0] == {
        "stage": "curate",
        "key": rows[0]["key"],
        "cached": True,
        "reason": "",
    }
    assert rows[1]["cached"] is False
    assert rows[1]["reason"] == "it has not run yet"


def test_planning_makes_nothing(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    said(capsys, recipe)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml"]


def test_a_damaged_artifact_must_run_again_and_the_line_says_why(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    folders = finish(recipe, "curate", "describe")
    (folders["curate"] / "content.bin").write_bytes(b"")
    (folders["describe"] / "artifact.json").write_text("{")
    lines = stages(said(capsys, recipe))
    assert lines[0].endswith(
        "to run, because what it left is damaged: content.bin has 0 bytes, not 1000000"
    )
    assert lines[1].endswith(f"to run, because the record in {folders['describe'].name} is damaged")


def test_a_wrong_recipe_is_refused(tmp_path):
    recipe = write_recipe(tmp_path, training={"stepps": 9})
    with pytest.raises(RecipeError, match=r"recipe\.yaml:\d+:\d+: training\.stepps"):
        run_plan(recipe)


def test_a_line_names_the_stage_first(tmp_path):
    state = plan_states(load_recipe(write_recipe(tmp_path)), STAGES)[0]
    assert line_of(state) == f"curate    {state.stage.key}  to run, because it has not run yet"
