# ruff: noqa: E501 - a table reads best with one case a line
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.load import load_recipe, load_text
from tests.support.recipe_texts import GOOD, changed, complaints


def test_a_good_recipe_becomes_frozen_values_with_its_defaults():
    recipe = load_text(GOOD, Path("somewhere/good.yaml"))
    assert recipe.name == "good"
    assert recipe.home == Path("somewhere")
    assert recipe.text == GOOD
    assert recipe.lora.r == 8
    assert recipe.lora.targets[:2] == ("speaker_embedder", "linear_q")
    assert recipe.training.steps == 10
    assert recipe.training.learning_rate == 1e-4
    assert recipe.dataset.sources[0].path is None
    assert recipe.dataset.sources[0].synth.duration_sec == 30.0
    assert recipe.publish.model_name == "good"
    assert recipe.measure.max_distance.bounds == {}
    assert recipe.measure.fad is None
    with pytest.raises(AttributeError):
        recipe.lora.r = 3


def test_resolved_is_json_with_every_default():
    resolved = load_text(GOOD, Path("good.yaml")).resolved
    again = json.loads(json.dumps(resolved, allow_nan=False))
    assert again == resolved
    assert again["seed"] == 42
    assert again["variants"]["int8"]["keep_fp16"] == ["dcae_decoder", "vocoder"]
    assert "budget" not in again["dataset"]


def test_a_resolved_recipe_is_itself_a_recipe_and_resolves_to_itself():
    first = load_text(GOOD, Path("good.yaml"))
    content = {**first.resolved, "variants": {"int8": {"weights": "int8"}}}
    second = load_text(json.dumps(content), Path("good.yaml"))
    assert second.lora == first.lora
    assert second.resolved["training"] == first.resolved["training"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("r: 8", "r: -3", "10:6: lora.r: -3 is less than the minimum of 1"),
        ("r: 8", "r: 5000", "10:6: lora.r: 5000 is more than the maximum of 4096"),
        ("r: 8", "r: 8.5", "10:6: lora.r: 8.5 is not a whole number"),
        ("r: 8", "r:", "10:3: lora.r: is empty; give a whole number, or remove the line"),
        ("r: 8", "r: '8'", "10:6: lora.r: '8' is not a whole number; write it without quotes"),
        ("r: 8", "r: true", "10:6: lora.r: true is not a whole number"),
        ("r: 8", "r: [8]", "10:6: lora.r: a list is not a whole number"),
        ("steps: 10", "steps: 10_000", "12:10: training.steps: '10_000' is not a whole number; write 10000"),
        ("steps: 10", "steps: 1e1", None),
        ("steps: 10", "learning_rate: 0", "12:18: training.learning_rate: 0 is too small; it must be more than 0"),
        ("steps: 10", "learning_rate: 1e-4", None),
        ("steps: 10", "learning_rate: 2e0", "12:18: training.learning_rate: 2e0 is more than the maximum of 1"),
        ("r: 8", "rslora: no", "10:11: lora.rslora: 'no' is not true or false; write false"),
        ("r: 8", "rslora: 'true'", "10:11: lora.rslora: 'true' is not true or false; write it without quotes"),
        ("r: 8", "targets: to_q", "10:12: lora.targets: 'to_q' is not a list; put it in brackets"),
        ("r: 8", "targets: []", "10:12: lora.targets: is an empty list; give at least 1 entry"),
        ("r: 8", "targets: [to_q, to_v, to_q]", "10:25: lora.targets[2]: 'to_q' is listed twice; keep one"),
        ("r: 8", "targets: [to q]", "10:13: lora.targets[0]: 'to q' is not a module name; write one such as to_q or to_out.0"),
        ("r: 8", "rank: 8", "10:3: lora.rank: unknown key; did you mean 'r'?"),
        ("r: 8", "aplha: 8", "10:3: lora.aplha: unknown key; did you mean 'alpha'?"),
        ("r: 8", "zzz: 8", "10:3: lora.zzz: unknown key; allowed here: r, alpha, rslora, dora, targets"),
        ("r: 8", "steps: 8", "10:3: lora.steps: unknown key here; did you mean 'training.steps', 'select.steps' or 'measure.steps'?"),
        ("r: 8", "seed: 8", "10:3: lora.seed: unknown key here; it belongs to the top level, not indented"),
        ("  r: 8", "  - r", "10:3: lora: a list is not a mapping of keys (r, alpha, rslora, dora, targets)"),
        ("name: good", "name: My Model", "2:7: name: 'My Model' is not a name; use lower-case letters, digits and hyphens, 63 at most, beginning with a letter or a digit"),
        ("name: good", "name: 8", "2:7: name: 8 is not text; put it in quotes"),
        ("name: good", "name: |\n  good", "2:7: name: 'good\\n' is not a name; use lower-case letters, digits and hyphens, 63 at most, beginning with a letter or a digit"),
        ("name: good", "name: good\nrelease: 1.0", "3:10: release: 1.0 is not a version; write MAJOR.MINOR.PATCH, such as 1.0.0"),
        ("name: good", "name: good\nrelease: v1.0.0", "3:10: release: 'v1.0.0' is not a version; write MAJOR.MINOR.PATCH, such as 1.0.0"),
        ("name: good", "name: good\nrelease: 1.0.0-rc.1+b5", None),
        ("name: good", "name: good\nseed: 9007199254740992", "3:7: seed: 9007199254740992 is more than the maximum of 9007199254740991"),
        ("name: good\n", "", "1:1: name: is missing (the recipe's name)"),
        ("  model: builtin:tiny\n", "", "3:1: base.model: is missing (where the base is)"),
        ("ace-step-v1", "ace-step-v2", "4:11: base.family: 'ace-step-v2' is not allowed here (ace-step-v1); did you mean 'ace-step-v1'?"),
        ("{weights: int8}", "{weights: INT8}", "15:19: variants.int8.weights: 'INT8' is not allowed here (fp16, int8, int4); did you mean 'int8'?"),
        ("{weights: int8}", "{weights: int8, max_bytes: 2.5e9}", None),
        ("{weights: int8}", "{weights: int8, max_bytes: 2.5}", "15:36: variants.int8.max_bytes: 2.5 is not a whole number"),
        ("{weights: int8}", "{weights: int8, block_size: 48}", "15:37: variants.int8.block_size: 48 is not allowed here (16, 32, 64, 128, 256)"),
        ("int8: {", "Int_8: {", "15:3: variants.Int_8: 'Int_8' is not a name; use lower-case letters, digits and hyphens, 63 at most, beginning with a letter or a digit"),
        ("{weights: int8}", "int8", "15:9: variants.int8: 'int8' is not a mapping of keys (weights, method, block_size, max_bytes, keep_fp16)"),
        ("- synth: {tracks: 4}", "- {}", "8:7: dataset.sources[0]: give either path or synth"),
        ("- synth: {tracks: 4}", "- {path: a, ledger: b, synth: {tracks: 1}}", "8:7: dataset.sources[0]: give either path or synth, not both"),
        ("- synth: {tracks: 4}", "- {path: '', ledger: b}", "8:14: dataset.sources[0].path: '' is not a path; it is empty, or holds a line break or another control character"),
        ("to: published", "to: \"a\\0b\"", "17:7: publish.to: 'a\\x00b' is not a path; it is empty, or holds a line break or another control character"),
        ("r: 8", "r: &x 8", "10:6: lora.r: an anchor ('&x') is not allowed; remove it"),
        ("r: 8", "r: .inf", "10:6: lora.r: .inf is not a number a recipe can use; give a finite one"),
    ],
)  # fmt: skip
def test_a_mistake_is_placed_named_and_answered(old, new, line):
    assert complaints(changed(old, new)) == ([line] if line else [])


def test_variants_may_not_be_empty():
    text = GOOD.replace("  fp16: {weights: fp16}\n  int8: {weights: int8}\n", "  {}\n")
    assert complaints(text) == ["13:1: variants: is empty; give at least 1 entry"]


def test_everything_wrong_is_said_at_once_in_the_order_of_the_file():
    text = changed("r: 8", "r: 0\n  rank: 3\n  alpha: !x 3").replace("to: published", "too: x")
    assert complaints(text) == [
        "10:6: lora.r: 0 is less than the minimum of 1",
        "11:3: lora.rank: unknown key; did you mean 'r'?",
        "12:10: lora.alpha: a tag ('!x') is not allowed; remove it",
        "18:1: publish.to: is missing (where bundles go)",
        "19:3: publish.too: unknown key; did you mean 'to'?",
    ]


def test_a_value_of_the_wrong_type_is_complained_of_once():
    assert len(complaints(changed("ace-step-v1", "[3]"))) == 1


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("", "1:1: version: is missing; run `lofi-recipe migrate r.yaml --write`"),
        ("version: 0\n", "1:10: version: 0 is old; run `lofi-recipe migrate r.yaml --write`"),
        ("version: 2\n", "1:10: version: 2 needs a newer lofi-recipe; this is 0.1.0, which reads version 1"),
        ("version: '1'\n", "1:10: version: '1' is not a format of recipes; write 1, without quotes"),
        ("version: true\n", "1:10: version: true is not a format of recipes; write 1"),
        ("version: 1.0\n", "1:10: version: 1.0 is not a format of recipes; write 1"),
        ("version: [1]\n", "1:10: version: a list is not a format of recipes; write 1"),
    ],
)  # fmt: skip
def test_the_format_is_asked_before_anything_else(version, said):
    assert complaints(GOOD.replace("version: 1\n", version) + "unknown: 1\n") == [said]


def test_the_file_is_named_as_the_user_typed_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(changed("r: 8", "r: 0"))
    with pytest.raises(RecipeError, match=r"^bad\.yaml:10:6: lora\.r: 0 is less"):
        load_recipe(Path("bad.yaml"))


def test_loading_needs_none_of_the_heavy_packages():
    code = (
        "import sys; from pathlib import Path; from lofi_engine.recipe.load import load_text;"
        f"load_text({GOOD!r}, Path('r.yaml'));"
        "heavy = {'torch', 'numpy', 'onnxruntime', 'onnx', 'scipy', 'transformers'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
