from __future__ import annotations

import pytest
from typer.testing import CliRunner

from lofi_engine.cli.main import app
from tests.support.finished_run import lofi_recipe
from tests.support.recipes import write_recipe

VERBS = (
    "init", "ls", "validate", "migrate", "plan", "run", "status", "clean", "generate", "doctor",
    "styles",
)  # fmt: skip


def test_help_names_every_verb():
    said = CliRunner().invoke(app, ["--help"])
    assert said.exit_code == 0
    assert all(verb in said.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_ends_with_an_example(verb):
    said = CliRunner().invoke(app, [verb, "--help"])
    assert said.exit_code == 0
    assert f"lofi-recipe {verb}" in " ".join(said.stdout.split("Example:")[1].split())


def test_a_missing_recipe_is_one_line_and_exit_1(tmp_path):
    done = lofi_recipe("run", tmp_path / "nowhere.yaml")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_yaml_is_one_line_with_its_position(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\nname: [unclosed\n")
    done = lofi_recipe("run", path)
    assert done.returncode == 1
    assert "bad.yaml:" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_wrong_usage_exits_2_and_says_what_is_missing():
    done = lofi_recipe("run")
    assert done.returncode == 2
    assert "RECIPE" in done.stderr


def test_a_missing_base_folder_is_named_before_anything_runs(tmp_path):
    recipe = write_recipe(tmp_path, base={"model": "models/absent"})
    done = lofi_recipe("run", recipe)
    assert done.returncode == 1
    assert "base.model: the folder 'models/absent' is not there" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_missing_source_folder_is_named_before_anything_runs(tmp_path):
    recipe = write_recipe(
        tmp_path, dataset={"sources": [{"path": "raw/absent", "ledger": "raw/sources.json"}]}
    )
    done = lofi_recipe("run", recipe)
    assert done.returncode == 1
    assert "dataset.sources[0].path: the folder 'raw/absent' is not there" in done.stderr


def test_status_and_clean_on_a_recipe_that_never_ran(tmp_path):
    recipe = write_recipe(tmp_path)
    status = lofi_recipe("status", recipe)
    assert status.returncode == 0
    assert status.stdout.count("to run, because it has not run yet") == 11
    assert "no run is at work" in status.stdout
    assert lofi_recipe("clean", recipe).stdout == "nothing to clean\n"


def test_generate_before_a_run_says_what_to_do(tmp_path):
    recipe = write_recipe(tmp_path)
    done = lofi_recipe("generate", recipe, "rain", "--variant", "int8")
    assert done.returncode == 1
    assert "nothing is published yet" in done.stderr
    assert "lofi-recipe run" in done.stderr


def test_generate_with_an_unknown_variant_names_those_there_are(tmp_path):
    done = lofi_recipe("generate", write_recipe(tmp_path), "rain", "--variant", "int9")
    assert done.returncode == 1
    assert "int9" in done.stderr
    assert "fp16, int8, int4" in done.stderr
