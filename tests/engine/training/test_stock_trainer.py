"""ACE-Step's trainer: its config and command line into a recipe and back."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from lofi_engine.errors import RecipeError, StageError
from lofi_engine.recipe.load import load_recipe, load_text
from lofi_engine.recipe.model import Lora
from lofi_engine.training.stock_trainer.exporting import export_trainer
from lofi_engine.training.stock_trainer.importing import import_trainer
from lofi_engine.training.stock_trainer.options import OPTIONS, parse_options
from lofi_runtime.shared_data import shared_folder
from tests.support.recipes import make_recipe

CONFIG = {
    "r": 256,
    "lora_alpha": 32,
    "target_modules": ["speaker_embedder", "to_q", "to_out.0"],
    "use_rslora": True,
}


def imported(folder: Path, arguments=(), config=CONFIG):
    path = folder / "lofi_lora_config.json"
    path.write_text(json.dumps(config))
    found = import_trainer(path, arguments)
    return load_text(found.text, folder / "recipe.yaml"), found


def test_the_config_becomes_the_lora_block(tmp_path):
    recipe, found = imported(tmp_path)
    assert recipe.lora == Lora(256, 32.0, True, ("speaker_embedder", "to_q", "to_out.0"))
    assert recipe.name == "lofi-lora-config"
    assert found.notes == ()


def test_what_the_config_leaves_out_is_peft_s_own(tmp_path):
    recipe, _found = imported(tmp_path, config={"target_modules": ["to_q"]})
    assert recipe.lora == Lora(8, 8.0, False, ("to_q",))
    dora = {**CONFIG, "use_dora": True, "bias": "none", "lora_dropout": 0.0}
    assert imported(tmp_path, config=dora)[0].lora.dora is True


def test_every_option_with_a_counterpart_arrives(tmp_path):
    recipe, found = imported(
        tmp_path,
        shlex.split(
            "python trainer.py --learning_rate 3e-4 --max_steps 5000 --every_n_train_steps 100 "
            "--every_plot_step 50 --shift 2.5 --precision bf16-mixed --accumulate_grad_batches 4 "
            "--devices 2 --num_nodes 3 --gradient_clip_val 1.0 --exp_name Rainy_Days "
            "--checkpoint_dir bases/ace-step"
        ),
    )
    training = recipe.training
    assert (training.learning_rate, training.steps, training.accumulate) == (3e-4, 5000, 4)
    assert (training.checkpoint_every, training.sample_every) == (100, 50)
    assert (training.timestep_shift, training.clip_grad_norm) == (2.5, 1.0)
    assert (training.precision, training.base_precision) == ("bf16", "fp32")
    assert training.processes == 6
    assert recipe.name == "rainy-days"
    assert recipe.base.model == "bases/ace-step"
    assert found.notes == ()


def test_what_the_trainer_does_without_being_asked_is_in_the_recipe(tmp_path):
    recipe, _found = imported(tmp_path)
    training = recipe.training
    assert (training.batch_size, training.warmup_steps, training.window_sec) == (1, 10, 240.0)
    assert training.steps == 2000000
    assert training.precision == "fp32"
    assert training.gradient_checkpointing is True
    assert training.sampling.by == "track"
    dropout = training.condition_dropout
    assert (dropout.text, dropout.lyric, dropout.speaker) == (0.15, 0.15, 0.5)
    assert training.ssl.coefficient == 1.0
    assert training.ssl.mert == "hf:m-a-p/MERT-v1-330M"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("32", ("fp32", "fp32")),
        ("16-mixed", ("fp16", "fp32")),
        ("bf16", ("bf16", "fp32")),
        ("bf16-true", ("bf16", "bf16")),
    ],
)
def test_lightning_s_precisions_are_those_of_arithmetic_and_base(tmp_path, said, meant):
    training = imported(tmp_path, ["--precision", said])[0].training
    assert (training.precision, training.base_precision) == meant


def test_options_without_a_counterpart_are_said_and_stand_in_the_recipe(tmp_path):
    _recipe, found = imported(
        tmp_path,
        ["--num_workers=2", "--epochs", "3", "--ckpt_path", "last.ckpt", "--dataset_path", "data",
         "--logger_dir", "./exps/logs/", "--lora_config_path", "config/other.json"],
    )  # fmt: skip
    starts = [note.split(":")[0] for note in found.notes]
    assert starts == [
        "--num_workers 2", "--epochs 3", "--ckpt_path last.ckpt", "--dataset_path data",
        "--lora_config_path config/other.json",
    ]  # fmt: skip
    for note in found.notes:
        assert f"# Not taken over: {note}" in found.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--learning-rate", "1"], r"no option '--learning-rate'; did you mean 'learning_rate'\?"),
        (["--lora_rank", "8"], "trainer.py has no option '--lora_rank'"),
        (["--max_steps", "many"], "trainer.py: argument --max_steps: invalid int value: 'many'"),
        (["--devices"], "trainer.py: argument --devices: expected one argument"),
        (["--precision", "64"], "--precision 64 has no counterpart in a recipe - use one of 32"),
        (["--gradient_clip_algorithm", "value"], "gradient_clip_algorithm value has no counterp"),
    ],
)
def test_an_option_nobody_can_follow_is_refused_by_name(tmp_path, arguments, said):
    with pytest.raises(StageError, match=said):
        imported(tmp_path, arguments)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lora_aplha": 3}, r"'lora_aplha' is unknown; did you mean 'lora_alpha'\?"),
        ({"lora_dropout": 0.1}, "lora_dropout: 0.1 has no counterpart in a recipe - leave it out"),
        ({"target_modules": "all-linear"}, "'all-linear' is no list of module names"),
        ({"rank_pattern": {"to_q": 8}}, "rank_pattern: .* has no counterpart"),
    ],
)
def test_a_config_nobody_can_follow_is_refused_by_key(tmp_path, change, said):
    with pytest.raises(StageError, match=said):
        imported(tmp_path, config={**CONFIG, **change})


def test_values_that_no_recipe_may_have_are_refused_by_the_recipe_s_own_check(tmp_path):
    with pytest.raises(RecipeError, match=r"training\.learning_rate: 0\.0 is too small"):
        imported(tmp_path, ["--learning_rate", "0"])
    with pytest.raises(StageError, match="no LoRA config"):
        import_trainer(tmp_path / "missing.json")


def test_a_recipe_exported_and_imported_again_trains_alike(tmp_path):
    recipe = load_recipe(shared_folder("recipes") / "v1.yaml")
    exported = export_trainer(recipe)
    again, _found = imported(tmp_path, exported.arguments, exported.config)
    assert again.lora == recipe.lora
    for key in ("steps", "learning_rate", "precision", "clip_grad_norm", "checkpoint_every",
                "sample_every", "timestep_shift", "accumulate", "processes", "condition_dropout",
                "base_precision"):  # fmt: skip
        assert getattr(again.training, key) == getattr(recipe.training, key), key
    assert again.name == recipe.name
    assert set(parse_options(exported.arguments)) <= set(OPTIONS)


def test_the_export_says_what_the_trainer_does_otherwise(tmp_path):
    recipe = make_recipe(
        tmp_path,
        training={"batch_size": 2, "accumulate": 3, "base_precision": "4bit", "steps": 6},
    )
    exported = export_trainer(recipe)
    keys = [note.split(":")[0] for note in exported.notes]
    assert keys == [
        "base.model", "training.batch_size", "training.warmup_steps", "training.window_sec",
        "training.sampling", "training.ssl", "training.base_precision",
        "training.gradient_checkpointing", "select",
    ]  # fmt: skip
    words = shlex.split(exported.command("config.json", "my data/train"))
    assert words[:6] == [
        "python", "trainer.py", "--lora_config_path", "config.json", "--dataset_path",
        "my data/train",
    ]  # fmt: skip
    assert parse_options(exported.arguments)["accumulate_grad_batches"] == 6


def test_the_config_is_one_that_peft_takes(tmp_path):
    from peft import LoraConfig

    exported = export_trainer(make_recipe(tmp_path, lora={"dora": True}))
    config = LoraConfig(**exported.config)
    assert (config.r, config.lora_alpha, config.use_dora) == (4, 8.0, True)
    assert sorted(config.target_modules) == ["to_k", "to_q", "to_v"]
