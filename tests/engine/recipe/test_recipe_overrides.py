# ruff: noqa: E501 - a table reads best with one case a line
from pathlib import Path

import pytest

from lofi_engine.recipe.load import load_text
from tests.support.recipe_texts import GOOD, complaints


def load(*overrides):
    return load_text(GOOD, Path("r.yaml"), overrides)


def test_an_override_stands_in_place_of_the_files_value():
    recipe = load("training.steps=200", "lora.targets=[to_q, to_v]", "name=other")
    assert recipe.training.steps == 200
    assert recipe.lora.targets == ("to_q", "to_v")
    assert recipe.resolved["name"] == "other"
    assert recipe.text == GOOD
    assert recipe.changes == ("training.steps=200", "lora.targets=[to_q, to_v]", "name=other")
    assert load().changes == ()


def test_an_override_may_add_what_the_file_leaves_out():
    recipe = load("measure.max_distance.int8=0.5", "variants.int4={weights: int4}", "seed=7")
    assert recipe.measure.max_distance.bounds == {"int8": 0.5}
    assert recipe.variants["int4"].weights == "int4"
    assert recipe.seed == 7


def test_numbers_in_a_path_are_list_items():
    assert load("dataset.sources.0.synth.tracks=9").dataset.sources[0].synth.tracks == 9


def test_the_last_of_two_wins():
    assert load("seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.stepz=3", "training.stepz=3: training.stepz: unknown key; did you mean 'steps'?"),
        ("lora.r=0", "lora.r=0: lora.r: 0 is less than the minimum of 1"),
        ("lora.r=", "lora.r=: lora.r: is empty; give a whole number, or remove the line"),
        ("lora={rr: 3}", "lora={rr: 3}: lora.rr: unknown key; did you mean 'r'?"),
        ("lora.r", "lora.r: is not an override; write key.path=value, such as training.steps=200"),
        ("lora..r=3", "lora..r=3: is not an override; write key.path=value, such as training.steps=200"),
        ("name.x=3", "name.x=3: name.x: leads nowhere in this recipe"),
        ("dataset.sources.9.path=a", "dataset.sources.9.path=a: dataset.sources[9].path: leads nowhere in this recipe"),
        ("lora.r=[1", "lora.r=[1: lora.r: not valid YAML: a list in brackets lacks its ',' or ']'"),
        ("seed=&a 1", "seed=&a 1: seed: an anchor ('&a') is not allowed; remove it"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_named_in_place_of_the_file(override, said):
    assert complaints(GOOD, override) == [said]


def test_wrong_overrides_are_told_with_the_files_own_problems():
    assert complaints(GOOD.replace("r: 8", "r: 0"), "seed=1", "training.steps=0") == [
        "training.steps=0: training.steps: 0 is less than the minimum of 1",
        "10:6: lora.r: 0 is less than the minimum of 1",
    ]
