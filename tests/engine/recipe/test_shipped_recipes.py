import itertools

import pytest

from lofi_engine.cli.ls import run_ls
from lofi_engine.recipe.load import load_recipe
from lofi_engine.recipe.model import SelectWeights
from lofi_engine.recipe.shipped import purpose, shipped_recipes
from lofi_runtime.shared_data import shared_folder

HOME = shared_folder("recipes")
# Beside recipes lie the styles, what runs leave, and what makes a base.
RECIPES = sorted(
    path
    for path in HOME.rglob("*.yaml")
    if not {"styles", "runs"} & set(path.relative_to(HOME).parts)
    and not path.stem.endswith("-base")
)


def test_every_recipe_on_disk_is_shipped_and_listed(capsys):
    assert len(RECIPES) > 0
    assert shipped_recipes() == RECIPES
    assert run_ls() == 0
    assert len(capsys.readouterr().out.splitlines()) == len(RECIPES)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_loads_and_opens_with_what_a_user_needs(path):
    recipe = load_recipe(path)
    opening = recipe.text[: recipe.text.index("version: 1")]
    assert opening.startswith("# yaml-language-server: $schema=../schemas/recipe.v1.schema.json\n")
    assert purpose(path).startswith("Makes ")
    for word in ("# Needs ", f"# Run     lofi-recipe run recipes/{path.name}", "# Change "):
        assert word in opening
    assert max(map(len, recipe.text.splitlines())) <= 100


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_override_a_shipped_recipe_shows_works(path):
    words = next(line for line in path.read_text().splitlines() if "# Change" in line).split()
    overrides = [word for before, word in itertools.pairwise(words) if before == "--set"]
    assert overrides
    changed = load_recipe(path, overrides).resolved
    assert changed != load_recipe(path).resolved


def test_the_starter_needs_nothing_that_is_not_here():
    recipe = load_recipe(HOME / "starter.yaml")
    assert recipe.base.model == "builtin:lofi-nano"
    assert all(source.synth for source in recipe.dataset.sources)
    assert not recipe.publish.to.startswith("hf:")
    assert set(recipe.variants) == {"fp16", "int8", "int4"}
    assert (recipe.measure.fad.embedding, recipe.measure.clap) == ("lofi-sound-v1", None)


def test_v1_is_the_specifications_recipe():
    recipe = load_recipe(HOME / "v1.yaml")
    assert [source.path for source in recipe.dataset.sources] == [
        f"../lofi-training-data/raw/{folder}"
        for folder in ("commissioned", "royalty-free", "creative-commons", "partnerships")
    ]
    assert {source.ledger for source in recipe.dataset.sources} == {
        "../lofi-training-data/metadata/sources.json"
    }
    assert recipe.dataset.target_tracks == 500
    assert recipe.dataset.licenses.require_ai_training
    assert recipe.dataset.holdout_share == 0.1
    assert (recipe.lora.r, recipe.lora.alpha, recipe.lora.rslora) == (256, 32.0, True)
    assert recipe.lora.targets == (
        "speaker_embedder", "linear_q", "linear_k", "linear_v", "to_q", "to_k", "to_v", "to_out.0",
    )  # fmt: skip
    training = recipe.training
    assert (training.steps, training.learning_rate) == (100_000, 1e-4)
    assert (training.precision, training.clip_grad_norm) == ("bf16", 0.5)
    assert (training.checkpoint_every, training.sample_every) == (5000, 5000)
    assert training.sampling.by == "style"
    assert recipe.select.weights == SelectWeights(1.0, 1.0, 1.0, 0.0)
    assert (recipe.select.clips, recipe.select.duration_sec) == (24, 10)
    assert recipe.select.clap == recipe.measure.clap.model
    assert recipe.calibration.prompts == 128
    budgets = {name: variant.max_bytes for name, variant in recipe.variants.items()}
    assert list(budgets) == ["fp16", "int8", "int8-fast", "int4"]
    assert budgets["int8"] == 2_500_000_000
    assert budgets["int4"] == 2_000_000_000
    assert recipe.measure.seeds == 50
    assert recipe.measure.fad.max_increase["int8"] == 0.05
    assert recipe.measure.clap.max_drop["int4"] == 0.1
    assert set(recipe.measure.max_distance.bounds) == set(budgets)
    assert (recipe.publish.to, recipe.publish.license) == (
        "hf:willibrandon/lofi-models", "apache-2.0",
    )  # fmt: skip


def test_the_smaller_recipe_differs_from_v1_in_what_saves_memory_alone():
    full, small = (load_recipe(HOME / name).resolved for name in ("v1.yaml", "v1-lowvram.yaml"))
    changed = {key for key in full if full[key] != small[key]}
    assert changed == {"name", "description", "lora", "training", "publish"}
    lora = small["lora"]
    assert (lora["r"], lora["alpha"], lora["rslora"]) == (128, 16, True)
    assert [one for one in full["lora"]["targets"] if one not in lora["targets"]] == [
        "speaker_embedder"
    ]
    assert {key for key in full["training"] if full["training"][key] != small["training"][key]} == {
        "gradient_checkpointing"
    }
    assert full["training"]["base_precision"] == "bf16"
