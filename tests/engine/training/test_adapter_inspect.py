from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from lofi_engine.errors import StageError
from lofi_engine.training.adapter_inspect import adapter_lines, inspect_adapter
from lofi_engine.training.adapter_reading import read_adapter
from lofi_engine.training.adapter_scale import fold
from lofi_engine.training.adapters import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    save_adapter,
    save_for_ace_step,
    scale_of,
)
from tests.support.adapters import random_weights
from tests.support.tiny_training import LORA

FACTS = {"base": "builtin:tiny@1", "step": "40"}
ODD = replace(LORA, alpha=math.sqrt(8), targets=("to_q", "speaker_embedder"))


def inspected(path, base=None):
    facts = inspect_adapter(read_adapter(path), base)
    assert json.loads(json.dumps(facts)) == facts
    return facts, list(adapter_lines(facts))


def product_norm(weights, scale):
    total = 0.0
    for name, up in weights.items():
        if "lora_B" in name:
            total += float((scale * up @ weights[name.replace("lora_B", "lora_A")]).square().sum())
    return math.sqrt(total)


def test_both_forms_of_ours_say_the_same_of_what_was_trained(tmp_path):
    _base, weights = random_weights(ODD)
    save_adapter(tmp_path / "peft", weights, ODD, FACTS)
    save_for_ace_step(tmp_path / "diffusers", weights, ODD, FACTS)
    (one, _lines), (other, lines) = inspected(tmp_path / "peft"), inspected(tmp_path / "diffusers")
    for facts in (one, other):
        assert facts["ranks"] == [4]
        assert facts["alphas"] == [math.sqrt(8)]
        assert (facts["rslora"], facts["dora"], facts["is_no_op"]) == (True, False, False)
        assert facts["scales"] == [scale_of(ODD)]
        assert facts["base"] == "builtin:tiny@1"
        assert {name: part["modules"] for name, part in facts["targets"].items()} == {
            "speaker_embedder": 1,
            "to_q": 8,
        }
        assert facts["change_norm"] == pytest.approx(product_norm(weights, scale_of(ODD)), rel=1e-5)
        assert facts["parameters"] == sum(part.numel() for part in weights.values())
        assert facts["metadata"] == FACTS
        assert facts["notes"] == []
    assert (one["form"], other["form"]) == ("peft", "diffusers")
    assert (one["scale_is_in_weights"], other["scale_is_in_weights"]) == (False, True)
    assert "  scale   1.41421, in the weights: strength 1 plays it" in lines


def test_a_published_file_without_alpha_says_what_loaders_make_of_it(tmp_path):
    _base, weights = random_weights()
    plain = {name.removeprefix("base_model.model."): part for name, part in weights.items()}
    save_file(plain, tmp_path / DIFFUSERS_WEIGHTS)
    facts, lines = inspected(tmp_path)
    assert (facts["alphas"], facts["scales"], facts["base"]) == ([], [], None)
    assert facts["change_norm"] == pytest.approx(product_norm(weights, 1.0), rel=1e-5)
    assert "  alpha   not stated" in lines
    assert "  scale   not stated; loaders play it at 1" in lines
    assert any("ACE-Step's own trainer trains at alpha / sqrt(rank)" in line for line in lines)


def test_a_scale_that_some_loaders_do_not_read_is_said(tmp_path):
    _base, weights = random_weights()
    save_adapter(tmp_path / "peft", weights, LORA, FACTS)
    config = (tmp_path / "peft" / ADAPTER_CONFIG).read_text()
    plain = {name.removeprefix("base_model.model."): part for name, part in weights.items()}
    save_file(plain, tmp_path / DIFFUSERS_WEIGHTS, {"lora_adapter_metadata": config})
    facts, _lines = inspected(tmp_path)
    assert facts["scales"] == [4.0]
    assert facts["notes"][0].startswith("the scale 4 is in the metadata alone: loaders that read")


def test_alphas_of_single_modules_are_read_with_their_ranks(tmp_path):
    tensors = {}
    for module, rank, alpha in (("a.to_q", 2, 1.0), ("b.to_q", 4, 4.0)):
        tensors[f"{module}.lora_down.weight"] = torch.ones(rank, 8)
        tensors[f"{module}.lora_up.weight"] = torch.ones(8, rank)
        tensors[f"{module}.alpha"] = torch.tensor(alpha)
    save_file(tensors, tmp_path / "theirs.safetensors")
    facts, lines = inspected(tmp_path)
    assert (facts["form"], facts["ranks"], facts["scales"]) == ("kohya", [2, 4], [0.5, 1.0])
    assert "  rank    2, 4" in lines
    assert "  form    kohya: ComfyUI" in lines


def test_an_adapter_that_changes_nothing_is_called_a_no_op(tmp_path):
    _base, weights = random_weights()
    nothing = {name: part * ("lora_A" in name) for name, part in weights.items()}
    save_adapter(tmp_path, nothing, LORA, FACTS)
    facts, lines = inspected(tmp_path)
    assert (facts["is_no_op"], facts["change_norm"]) == (True, 0.0)
    assert "  change  none: it is a no-op" in lines
    useless = {name: part * ("lora_B" in name) for name, part in weights.items()}
    save_adapter(tmp_path, useless, LORA, FACTS)
    assert inspected(tmp_path)[0]["is_no_op"] is True


def test_dora_is_said_and_what_does_not_play_it(tmp_path):
    lora = replace(LORA, dora=True)
    _base, weights = random_weights(lora)
    save_for_ace_step(tmp_path, weights, lora, FACTS)
    facts, lines = inspected(tmp_path)
    assert facts["dora"] is True
    assert "  DoRA    yes" in lines
    assert any("ComfyUI leaves its magnitudes out" in note for note in facts["notes"])


def test_held_against_a_base_it_fits_or_all_that_differs_is_listed(tmp_path):
    _base, weights = random_weights(ODD)
    save_adapter(tmp_path, weights, ODD, FACTS)
    facts, lines = inspected(tmp_path, "builtin:tiny")
    assert facts["fit"] == {"base": "builtin:tiny", "fits": True, "misfit": None, "notes": []}
    assert lines[-1] == "  builtin:tiny: fits"
    facts, lines = inspected(tmp_path, "hf:ACE-Step/ACE-Step-v1-3.5B")
    assert facts["fit"]["fits"] is False
    assert "1 of shape (64, 512), not (2560, 512): speaker_embedder" in lines[-1]
    renamed = {name.replace("speaker_embedder", "voice"): part for name, part in weights.items()}
    save_adapter(tmp_path, renamed, ODD, {"base": "hf:some/one@1"})
    fit = inspected(tmp_path, "builtin:tiny")[0]["fit"]
    assert fit["misfit"] == "1 unknown: voice"


def test_shapes_that_fit_are_not_yet_the_base_it_is_for(tmp_path):
    _base, weights = random_weights()
    save_adapter(tmp_path, weights, LORA, {"base": "hf:some/one@abc"})
    facts, lines = inspected(tmp_path, "builtin:tiny")
    assert facts["fit"]["fits"] is True
    assert lines[-1] == "  note: the shapes fit, but it says it is for hf:some/one@abc"


def test_a_peft_file_without_its_config_says_so(tmp_path):
    _base, weights = random_weights()
    save_adapter(tmp_path, weights, LORA, FACTS)
    (tmp_path / ADAPTER_CONFIG).unlink()
    facts, _lines = inspected(tmp_path)
    assert facts["form"] == "peft"
    assert any("no adapter_config.json beside it" in note for note in facts["notes"])
    (tmp_path / ADAPTER_CONFIG).write_text("[1]")
    with pytest.raises(StageError, match=r"adapter_config\.json: the adapter's config is damaged"):
        read_adapter(tmp_path)


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path):
    _base, weights = random_weights()
    name = next(iter(weights))
    weights[name][0, 0] = math.nan
    save_adapter(tmp_path, weights, LORA, FACTS)
    with pytest.raises(StageError, match=r"to_k\.lora_A\.weight holds values that are not finite"):
        inspected(tmp_path / ADAPTER_WEIGHTS)


def test_long_metadata_is_cut_for_people_alone(tmp_path):
    _base, weights = random_weights()
    text = "name: small\n" * 50
    save_adapter(tmp_path, weights, LORA, {**FACTS, "recipe_text": text})
    facts, lines = inspected(tmp_path)
    assert facts["metadata"]["recipe_text"] == text
    assert any(line.endswith("... (600 characters)") for line in lines)


def test_small_products_count_however_the_scale_lies():
    up = torch.full((4, 2), 1e-20)
    assert float(fold(up, 0.5)[0].max()) == pytest.approx(5e-21)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("r", "4", "r is '4', not a whole number above 0"),
        ("lora_alpha", None, "lora_alpha is None, not a number"),
        ("use_rslora", "no", "use_rslora is 'no', not true or false"),
        ("target_modules", 5, "target_modules is 5, not names of modules"),
        ("rank_pattern", {"(": 4}, "rank_pattern is {'(': 4}, not ranks by modules' names"),
        ("alpha_pattern", {"to_q": "z"}, "not alphas by modules' names"),
    ],
)
def test_a_config_with_a_value_that_is_none_is_refused_by_its_key(tmp_path, key, value, text):
    _base, weights = random_weights(LORA)
    save_adapter(tmp_path, weights, LORA, FACTS)
    place = tmp_path / ADAPTER_CONFIG
    place.write_text(json.dumps({**json.loads(place.read_text()), key: value}))
    with pytest.raises(StageError) as caught:
        read_adapter(tmp_path)
    assert str(caught.value).startswith(f"{place}: the adapter's config is damaged (")
    assert text in str(caught.value)


def pair_file(path, rank, width=8, **others):
    pair = {"m.lora_A.weight": torch.ones(rank, width), "m.lora_B.weight": torch.ones(width, rank)}
    save_file({**pair, **others}, path)
    return path


@pytest.mark.parametrize("alpha", [torch.ones(3), torch.tensor(float("nan"))])
def test_an_alpha_that_is_no_number_is_refused(tmp_path, alpha):
    path = pair_file(tmp_path / "a.safetensors", 4, **{"m.alpha": alpha})
    with pytest.raises(StageError, match=r"m\.alpha is no single number"):
        read_adapter(path)


def test_a_rank_far_above_the_layer_is_measured_without_its_square(tmp_path):
    path = pair_file(tmp_path / "a.safetensors", 100_000, width=2)  # squared: 80 GB
    facts, _lines = inspected(path)
    assert facts["change_norm"] == pytest.approx(200_000.0)
