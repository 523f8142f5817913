from pathlib import Path

import pytest

from lofi_engine.cli.init import run_init
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.template import name_from
from lofi_runtime.errors import LofiError


def test_the_written_recipe_loads_and_is_named_after_its_file(tmp_path, capsys):
    path = tmp_path / "Rainy Nights.yaml"
    assert run_init(path) == 0
    assert capsys.readouterr().out == f"wrote {path}; next: lofi-recipe run {path}\n"
    recipe = load_recipe(path)
    assert recipe.name == "rainy-nights"
    assert recipe.publish.to == "published"
    assert set(recipe.measure.max_distance.bounds) == set(recipe.variants)
    assert recipe.base.model == "builtin:lofi-nano"


def test_its_first_line_leads_editors_to_the_schema(tmp_path):
    path = tmp_path / "a.yaml"
    run_init(path)
    first, _, rest = path.read_text().partition("\n")
    schema = tmp_path / first.removeprefix("# yaml-language-server: $schema=")
    assert schema.resolve().name == "recipe.v1.schema.json"
    assert schema.is_file()
    assert "@" not in rest
    assert f"lofi-recipe run {path}" in rest


@pytest.mark.parametrize(
    "old", ["base:", "dataset:", "lora:", "training:", "variants:", "measure:"]
)
def test_every_block_of_it_is_commented(tmp_path, old):
    path = tmp_path / "a.yaml"
    run_init(path)
    block = path.read_text().split(f"\n{old}")[1].split("\n\n")[0]
    assert "# " in block


def test_its_suggestions_load_when_taken(tmp_path):
    path = tmp_path / "a.yaml"
    run_init(path)
    lines = path.read_text().split("\n\n", 1)
    for marked, plain in {
        "    # - {path": "    - {path", "  # lyric": "  lyric",
        "  # int8-small": "  int8-small",
    }.items():  # fmt: skip
        assert marked in lines[1]
        lines[1] = lines[1].replace(marked, plain)
    path.write_text("\n\n".join(lines))
    recipe = load_recipe(path)
    assert recipe.dataset.sources[1].ledger == "tracks/metadata/sources.json"
    assert recipe.variants["int8-small"].max_bytes == 2_500_000_000


def test_a_file_that_exists_is_never_overwritten(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("mine")
    with pytest.raises(LofiError, match=r"a\.yaml: exists already - init never overwrites"):
        run_init(path)
    assert path.read_text() == "mine"


def test_a_folder_takes_a_recipe_yaml(tmp_path):
    assert run_init(tmp_path) == 0
    assert load_recipe(tmp_path / "recipe.yaml").name == "my-recipe"


def test_a_name_that_is_no_yaml_file_is_refused(tmp_path):
    with pytest.raises(LofiError, match=r"a recipe's name ends in \.yaml - write .*lofi\.yaml"):
        run_init(tmp_path / "lofi")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(LofiError, match="its folder does not exist - make it first"):
        run_init(tmp_path / "no" / "a.yaml")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("lofi.yaml", "lofi"),
        ("My_Lofi v2!.yml", "my-lofi-v2"),
        ("2024.yaml", "my-2024"),
        ("0x1f.yaml", "my-0x1f"),
        ("1e5.yaml", "my-1e5"),
        ("true.yaml", "my-true"),
        ("ローファイ.yaml", "my-recipe"),
        ("recipe.yaml", "my-recipe"),
        ("x" * 90 + ".yaml", "x" * 60),
    ],
)
def test_a_file_name_becomes_a_recipe_name(file, name):
    assert name_from(Path(file)) == name
