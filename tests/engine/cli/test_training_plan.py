"""What `plan` says of the training below the sizes: light, and from the configuration alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lofi_engine.cli.plan import run_plan
from lofi_engine.cli.training_plan import plan_training
from lofi_engine.recipe.load import load_recipe
from lofi_engine.training.memory import CARD_BYTES
from lofi_runtime.shared_data import shared_folder
from tests.support.recipes import write_recipe

V1 = shared_folder("recipes") / "v1.yaml"
LOWVRAM = V1.with_name("v1-lowvram.yaml")
PARTS = ["weights", "adapter", "gradients", "optimizer", "activations", "process"]


def training_lines(capsys, path: Path, *overrides: str) -> list[str]:
    assert run_plan(path, overrides) == 0
    return capsys.readouterr().out.rpartition("\n\n")[2].splitlines()


def test_the_full_recipe_fits_the_card_it_names_by_part(capsys):
    lines = training_lines(capsys, V1)
    assert lines[0] == (
        "Training at rank 256, 1 x 60 s a step, 256 text and 1024 lyric tokens, takes about:"
    )
    assert [line.split()[0] for line in lines[1:]] == [*PARTS, "memory", "disk", "hours"]
    assert [line.split()[1:3] for line in lines[1:4]] == [
        ["6.61", "GB"], ["1.05", "GB"], ["1.05", "GB"],
    ]  # fmt: skip
    assert lines[7].split(maxsplit=3)[3].startswith("of 24.00 GB: fits, ")
    assert plan_training(load_recipe(V1)).memory.training == pytest.approx(15.7e9, rel=0.01)


def test_what_does_not_fit_is_told_what_lowers_it_and_the_smaller_recipe(capsys):
    lines = training_lines(capsys, V1, "training.base_precision=fp32")
    assert "of 24.00 GB: 3.3" in lines[7]
    assert lines[7].endswith(" GB too much")
    assert lines[10].startswith("lower it with training.base_precision: 4bit (saves ")
    assert lines[13].startswith("or take lora and training from recipes/v1-lowvram.yaml: about 10.")
    assert "at rank 128 and without the speaker_embedder" in lines[13]
    assert lines[14].startswith("It costs the vocals most: ")


def test_the_smaller_recipe_leaves_room_on_a_card_of_half_the_memory():
    plan = plan_training(load_recipe(LOWVRAM))
    assert plan.memory.training < 0.9 * CARD_BYTES / 2
    small = load_recipe(LOWVRAM, ("training.base_precision=4bit",))
    assert plan_training(small).memory.training < 0.75 * 8e9


def test_json_holds_the_parts_for_programs(tmp_path, capsys):
    assert run_plan(write_recipe(tmp_path), as_json=True) == 0
    training = json.loads(capsys.readouterr().out)["training"]
    assert list(training["memory_parts"]) == PARTS
    assert training["memory_bytes"] == sum(training["memory_parts"].values())
    assert training["disk_bytes"] == sum(training["disk_parts"].values())
    assert (training["card_bytes"], training["fits"]) == (None, True)
    assert training["adapter_parameters"] == 4 * 128 * 3 * 8
