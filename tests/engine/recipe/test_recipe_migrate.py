# ruff: noqa: E501 - a table reads best with one case a line
import difflib
from pathlib import Path

import pytest

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.load import load_text
from lofi_engine.recipe.migrate import migrate_text
from lofi_engine.recipe.migrations import MIGRATIONS
from lofi_engine.recipe.version import FORMAT
from tests.support.recipe_texts import GOOD

OLD = (Path(__file__).parent / "fixtures" / "v0.yaml").read_text(encoding="utf-8")


def refusal(text):
    with pytest.raises(RecipeError) as raised:
        migrate_text(text, "r.yaml")
    return str(raised.value)


def test_there_is_a_migration_from_every_older_format():
    assert len(MIGRATIONS) == FORMAT
    for number, migration in enumerate(MIGRATIONS, start=1):
        assert migration.__name__.startswith(f"m{number:03}_from_{number - 1}_to_{number}")


def test_an_old_recipe_loads_after_its_migration():
    recipe = load_text(migrate_text(OLD)[0], Path("old.yaml"))
    assert recipe.version == 1
    assert (recipe.base.family, recipe.base.model) == (
        "ace-step-v1",
        "hf:ACE-Step/ACE-Step-v1-3.5B",
    )
    assert (recipe.lora.r, recipe.lora.alpha, recipe.lora.rslora) == (64, 32.0, True)
    assert recipe.lora.targets == ("to_q", "to_k", "to_v", "to_out.0")
    training = recipe.training
    assert (training.steps, training.learning_rate, training.clip_grad_norm) == (40000, 1e-4, 0.5)
    assert (training.checkpoint_every, training.sample_every) == (5000, 2500)
    assert training.precision == "bf16"
    assert list(recipe.variants) == ["fp16", "int8", "int4"]
    assert recipe.variants["int8"].max_bytes == 2_500_000_000
    assert recipe.variants["int4"].method == "awq"


def test_comments_order_and_layout_survive_byte_for_byte():
    new, changes = migrate_text(OLD)
    old_lines, new_lines = OLD.split("\n"), new.split("\n")
    inserted = new_lines.index("version: 1")
    assert new_lines[inserted + 1] == "name:   old-lofi          # three blanks, on purpose"
    del new_lines[inserted]
    assert len(new_lines) == len(old_lines)
    pairs = enumerate(zip(old_lines, new_lines, strict=True), start=1)
    touched = [number for number, (old, new) in pairs if old != new]
    said = {int(change.split(":")[0].removeprefix("line ")) for change in changes}
    assert set(touched) == said - {4}
    for number in touched:
        old, new = old_lines[number - 1], new_lines[number - 1]
        assert old.partition("#")[2] == new.partition("#")[2]
        assert len(old) - len(old.lstrip()) == len(new) - len(new.lstrip())


def test_only_words_of_the_format_change():
    new, _ = migrate_text(OLD)
    kept = difflib.SequenceMatcher(None, OLD, new, autojunk=False).ratio()
    assert kept > 0.8
    assert "# rank: 5   <- a comment that looks like a key" in new
    assert "out/tiers, license: apache-2.0}   # `tiers` in a value stays" in new
    assert not new.endswith("\n")


def test_a_migrated_recipe_is_current():
    new, _ = migrate_text(OLD)
    assert migrate_text(new) == (new, [])
    assert migrate_text(GOOD) == (GOOD, [])


def test_windows_line_ends_stay():
    new, _ = migrate_text(OLD.replace("\n", "\r\n"))
    assert new.count("\n") == new.count("\r\n") == OLD.count("\n") + 1
    assert load_text(new, Path("r.yaml")).lora.r == 64


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 0  # so old\nname: a\n", "version: 1  # so old\nname: a\n"),
        ("\ufeffname: a\n", "\ufeffversion: 1\nname: a\n"),
        ("---\nname: a\n", "---\nversion: 1\nname: a\n"),
        ("  name: a\n  seed: 1\n", "  version: 1\n  name: a\n  seed: 1\n"),
        ("{name: a}\n", "{version: 1, name: a}\n"),
        ("{}\n", "{version: 1}\n"),
        ('{"tiers":{"a":{"dtype":"int8"}}}', '{version: 1, "variants":{"a":{"weights":"int8"}}}'),
        ("model: x\n", "version: 1\nbase: {family: ace-step-v1, model: x}\n"),
        ("model: 'x y'\n", "version: 1\nbase: {family: ace-step-v1, model: 'x y'}\n"),
        ("model: a, {b}\n", 'version: 1\nbase: {family: ace-step-v1, model: "a, {b}"}\n'),
        ('{"model":"x"}', '{version: 1, "base":{family: ace-step-v1, model: "x"}}'),
        ("tiers: {a: {dtype: int8}}\n", "version: 1\nvariants: {a: {weights: int8}}\n"),
        ("training: {precision: 32}\n", "version: 1\ntraining: {precision: fp32}\n"),
        ("training: {precision: fp32}\n", "version: 1\ntraining: {precision: fp32}\n"),
        ("lora: [rank]\n", "version: 1\nlora: [rank]\n"),
        ("rank: 1\n", "version: 1\nrank: 1\n"),
    ],
)
def test_each_form_an_old_recipe_takes_is_edited_in_place(old, new):
    assert migrate_text(old)[0] == new


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lora: {rank: 8, r: 9}\n", "r.yaml:1:17: r: is 'rank' by its new name, which is on line 1 too; keep one"),
        ("model: x\nbase: {}\n", "r.yaml:2:1: base: is 'model' by its new name, which is on line 1 too; keep one"),
        ("model: [x]\n", "r.yaml:1:8: model: cannot be migrated: write the model on one line, as hf:owner/name or a folder"),
        ("model:\n", "r.yaml:1:7: model: cannot be migrated: write the model on one line, as hf:owner/name or a folder"),
        ("model: a\n  b\n", "r.yaml:1:8: model: cannot be migrated: write the model on one line, as hf:owner/name or a folder"),
        ("lora: &x {rank: 8}\n", "r.yaml:1:7: lora: an anchor ('&x') is not allowed; remove it"),
        ("version: 9\n", "r.yaml:1:10: version: 9 needs a newer lofi-recipe; this is 0.1.0, which reads version 1"),
        ("version: one\n", "r.yaml:1:10: version: 'one' is not a format of recipes; write 1"),
        ("a: [\n", "r.yaml:2:1: not valid YAML: "),
        ("", "r.yaml:1:1: the recipe is empty; `lofi-recipe init` writes one to start from"),
    ],
)  # fmt: skip
def test_what_cannot_be_migrated_is_placed(text, said):
    assert refusal(text).startswith(said)


def test_changes_are_told_in_the_order_of_the_file():
    assert migrate_text("lora: {rank: 8}\nmodel: x\n")[1] == [
        "line 1: version: 1 added",
        "line 1: rank is now r",
        "line 2: model is now base, with its family",
    ]
