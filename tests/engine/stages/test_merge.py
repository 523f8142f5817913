from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from lofi_engine.errors import StageError
from lofi_engine.stages import merge
from lofi_engine.training.adapters import (
    adapter_weights,
    add_adapter,
    save_adapter,
    scale_of,
    set_adapter_weights,
)
from lofi_engine.training.features import stack_conditioning
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage
from tests.support.tiny_training import features, one_thread, tiny_base

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
TARGETS = ["to_q", "to_out.0", "speaker_embedder", "linear_q"]


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


def recipe_in(folder, **training):
    return make_recipe(folder, lora={"targets": TARGETS, "alpha": 6.5}, training=training)


def make_adapter(recipe, size=0.05):
    """Weights of an adapter for the tiny base; at size 0 it changes nothing."""
    fresh = adapter_weights(add_adapter(tiny_base().transformer, recipe.lora, 1))
    draws = torch.Generator().manual_seed(4)
    return {
        name: size * torch.randn(part.shape, generator=draws) if "lora_B" in name else part
        for name, part in fresh.items()
    }


def merging(folder, weights, recipe=None):
    recipe = recipe or recipe_in(folder)
    save_adapter(folder / "select" / "adapter", weights, recipe.lora, {})
    return run_stage(merge, recipe, folder / "run", inputs={"select": folder / "select"})


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    with one_thread():
        weights = make_adapter(recipe_in(folder))
        return merging(folder, weights), weights, recipe_in(folder).lora


def test_each_target_s_weight_has_moved_by_the_scaled_product_and_no_other(done):
    run, weights, lora = done
    merged, before = load_file(run.work / WEIGHTS), tiny_base().transformer.state_dict()
    assert merged.keys() == before.keys()
    moved = set()
    for name, part in before.items():
        up = weights.get(f"base_model.model.{name.removesuffix('.weight')}.lora_B.weight")
        if up is None or not name.endswith(".weight"):
            assert torch.equal(merged[name], part), name
            continue
        down = weights[f"base_model.model.{name.removesuffix('.weight')}.lora_A.weight"]
        torch.testing.assert_close(merged[name], part + scale_of(lora) * up @ down)
        assert not torch.equal(merged[name], part)
        moved.add(name)
    assert len(moved) == len(weights) // 2
    assert "speaker_embedder.weight" in moved


def test_the_merged_network_answers_as_base_plus_adapter(done):
    run, weights, lora = done
    made = features(1, frames=5, lyrics=3)
    answers = []
    for with_adapter in (True, False):
        base = tiny_base()
        if with_adapter:
            set_adapter_weights(add_adapter(base.transformer, lora, 1), weights)
        else:
            base.transformer.load_state_dict(load_file(run.work / WEIGHTS))
        base.transformer.eval()
        told = stack_conditioning([made], base.speaker_width)
        with torch.inference_mode():
            answers.append(base.velocity(made.latents[None], torch.tensor([300.0]), told))
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-5)


def test_the_proof_is_kept_with_its_figures(done):
    run, _weights, lora = done
    proof = json.loads((run.work / "merge.json").read_text())
    assert proof == run.outcome.facts
    assert proof["scale"] == scale_of(lora) == 3.25
    assert 0.0 <= proof["merge_error"] <= merge.MAX_MERGE_ERROR
    assert proof["adapter_effect"] > 0.01
    assert (proof["probes"], proof["merged_into"], proof["trained_on"]) == (3, "fp32", "fp32")
    assert run.warnings == []
    assert [(event.done, event.total, event.unit) for event in run.events] == [
        (1, 3, "proofs"),
        (2, 3, "proofs"),
        (3, 3, "proofs"),
    ]
    assert set(run.files()) == {"merge.json", WEIGHTS}


@pytest.mark.parametrize("target", ["speaker_embedder", "linear_q"])
def test_the_proof_sees_adapters_of_voices_and_of_lyrics(tmp_path, target):
    weights = make_adapter(recipe_in(tmp_path))
    silent = {name: part * (target in name) for name, part in weights.items()}
    assert merging(tmp_path, silent).outcome.facts["adapter_effect"] > 1e-4


def test_dora_is_merged_with_its_magnitudes(tmp_path):
    recipe = make_recipe(tmp_path, lora={"targets": TARGETS, "alpha": 6.5, "dora": True})
    weights = {
        name: part * 1.1 if "magnitude" in name else part
        for name, part in make_adapter(recipe).items()
    }
    run = merging(tmp_path, weights, recipe)
    assert run.outcome.facts["merge_error"] <= merge.MAX_MERGE_ERROR
    merged = load_file(run.work / WEIGHTS)
    for name, magnitude in weights.items():
        if name.endswith(".lora_magnitude_vector"):
            module = name.removeprefix("base_model.model.").removesuffix(".lora_magnitude_vector")
            torch.testing.assert_close(merged[f"{module}.weight"].norm(dim=1), magnitude)


@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_an_adapter_of_a_base_held_in_few_bits_goes_into_the_full_one_and_says_so(
    tmp_path, precision
):
    plain = merging(tmp_path / "plain", make_adapter(recipe_in(tmp_path / "plain")))
    recipe = recipe_in(tmp_path / "held", base_precision=precision)
    run = merging(tmp_path / "held", make_adapter(recipe), recipe)
    assert run.files()[WEIGHTS] == plain.files()[WEIGHTS]
    assert run.outcome.facts["trained_on"] == precision
    assert run.warnings == [
        f"trained on a base held in {precision}, merged into the base in float32: "
        "the difference between the two is in no weight of the adapter"
    ]


def test_merged_again_it_is_the_same_bytes(done, tmp_path):
    run, weights, _lora = done
    again = merging(tmp_path, weights)
    assert again.files() == run.files()


def test_an_adapter_of_zeros_is_refused(tmp_path):
    weights = make_adapter(recipe_in(tmp_path), size=0.0)
    with pytest.raises(StageError) as caught:
        merging(tmp_path, weights)
    assert str(caught.value) == "merge: the adapter changes nothing - train it again"
    assert not (tmp_path / "run" / "work" / "merge.json").exists()


@pytest.mark.parametrize(("limit", "size"), [(-1.0, 0.05), (1e-4, 1e37)])
def test_a_merge_that_differs_is_refused_with_its_figures(tmp_path, monkeypatch, limit, size):
    monkeypatch.setattr(merge, "MAX_MERGE_ERROR", limit)
    with pytest.raises(StageError) as caught:
        merging(tmp_path, make_adapter(recipe_in(tmp_path), size=size))
    said = str(caught.value)
    assert said.startswith("merge: the merged network differs from base plus adapter by ")
    assert said.endswith(
        f", allowed {limit:.0e} - this is a fault in the adapter or the base; train again"
    )


def test_an_adapter_that_is_not_finite_is_refused_by_its_tensor(tmp_path):
    text = r"adapter_model\.safetensors: base_model.*lora_B\.weight holds 128 NaN and 0 infinite"
    with pytest.raises(StageError, match=text):
        merging(tmp_path, make_adapter(recipe_in(tmp_path), size=float("nan")))


def test_an_adapter_for_another_recipe_s_targets_is_refused_by_name(tmp_path):
    narrow = make_recipe(tmp_path, lora={"targets": ["to_q"]})
    foreign = make_adapter(recipe_in(tmp_path / "wide"))
    text = r"select/adapter: the adapter does not fit this base: 22 unknown: base_model\."
    with pytest.raises(StageError, match=text):
        merging(tmp_path, foreign, narrow)


def test_an_adapter_made_for_another_base_says_which(tmp_path):
    recipe = recipe_in(tmp_path)
    weights = {
        name: part[:, :1] if "lora_A" in name else part
        for name, part in make_adapter(recipe).items()
    }
    save_adapter(tmp_path / "select" / "adapter", weights, recipe.lora, {"base": "hf:other/base"})
    with pytest.raises(StageError, match=r"; it says it is for hf:other/base - take an adapter"):
        run_stage(merge, recipe, tmp_path / "run", inputs={"select": tmp_path / "select"})


def test_an_adapter_of_the_same_shapes_for_another_base_is_refused_too(tmp_path):
    recipe = recipe_in(tmp_path)
    folder = tmp_path / "select" / "adapter"
    save_adapter(folder, make_adapter(recipe), recipe.lora, {"base": "hf:other/base@1"})
    text = r"merge: the adapter was trained on hf:other/base@1, the base is builtin:tiny@\d"
    with pytest.raises(StageError, match=text):
        run_stage(merge, recipe, tmp_path / "run", inputs={"select": tmp_path / "select"})


def test_a_missing_adapter_is_named(tmp_path):
    with pytest.raises(StageError, match=r"adapter_model\.safetensors: there is no such file"):
        run_stage(
            merge, recipe_in(tmp_path), tmp_path / "run", inputs={"select": tmp_path / "select"}
        )
