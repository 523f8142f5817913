from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Lora
from lofi_engine.training.adapter_targets import ending
from lofi_engine.training.adapters import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    adapter_norm,
    adapter_weights,
    add_adapter,
    base_of_adapter,
    load_adapter_weights,
    save_adapter,
    save_for_ace_step,
    scale_of,
    set_adapter_weights,
)
from lofi_engine.training.features import stack_conditioning
from lofi_engine.training.held import hold_base
from tests.support.programs import require
from tests.support.tiny_training import LORA, features, tiny_base

FACTS = {"base": "builtin:tiny@1", "recipe": "small", "step": "2"}


def filled(lora=LORA, seed=3):
    """A tiny base with an adapter that does something; its weights by PEFT's names."""
    base = tiny_base()
    model = add_adapter(base.transformer, lora, seed)
    draws = torch.Generator().manual_seed(seed)
    weights = {
        name: 0.1 * torch.randn(tensor.shape, generator=draws)
        for name, tensor in adapter_weights(model).items()
    }
    set_adapter_weights(model, weights)
    return base, model, weights


def answer(base):
    """The velocity for one fixed question."""
    base.transformer.eval()
    made = features(7, frames=6, lyrics=4)
    with torch.inference_mode():
        told = stack_conditioning([made], base.speaker_width)
        return base.velocity(made.latents[None], torch.tensor([500.0]), told)


@pytest.mark.parametrize(
    ("lora", "scale"),
    [
        (Lora(256, 32, True, ("to_q",)), 2.0),
        (Lora(256, 32, False, ("to_q",)), 0.125),
        (Lora(8, 16.5, True, ("to_q",)), 16.5 / math.sqrt(8)),
    ],
)
def test_the_scale_is_alpha_over_the_root_of_r_or_over_r(lora, scale):
    assert scale_of(lora) == pytest.approx(scale, rel=1e-12)


@pytest.mark.parametrize("rslora", [True, False])
def test_the_adapter_adds_its_scaled_product_to_each_module(rslora):
    lora = replace(LORA, rslora=rslora, alpha=6.5, targets=("to_q",))
    base, model, weights = filled(lora)
    plain = tiny_base().transformer
    with torch.no_grad():
        for name, module in plain.named_modules():
            if name.endswith(".to_q"):
                down = weights[f"base_model.model.{name}.lora_A.weight"]
                up = weights[f"base_model.model.{name}.lora_B.weight"]
                module.weight += scale_of(lora) * (up @ down)
    changed = tiny_base()
    alone = answer(changed)
    changed.transformer = plain
    together = answer(base)
    torch.testing.assert_close(answer(changed), together, rtol=1e-4, atol=1e-5)
    assert float((together - alone).abs().max()) > 0.01
    module = model.base_model.model.transformer_blocks[0].attn.to_q
    given = torch.randn(2, 3, module.in_features)
    down, up = (module.lora_A["default"].weight, module.lora_B["default"].weight)
    product = given @ down.T @ up.T * scale_of(lora)
    torch.testing.assert_close(module(given) - module.base_layer(given), product)


def test_a_fresh_adapter_changes_nothing_and_its_norm_is_zero():
    base = tiny_base()
    before = answer(base)
    model = add_adapter(base.transformer, LORA, 3)
    assert torch.equal(answer(base), before)
    weights = adapter_weights(model)
    assert adapter_norm(weights) == 0.0
    assert any(bool(tensor.any()) for name, tensor in weights.items() if "lora_A" in name)


def test_the_seed_alone_decides_a_fresh_adapter_and_torch_s_own_draws_go_on():
    transformer = tiny_base().transformer
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    one = adapter_weights(add_adapter(transformer, LORA, 3))
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(99)
    again = adapter_weights(add_adapter(tiny_base().transformer, LORA, 3))
    other = adapter_weights(add_adapter(tiny_base().transformer, LORA, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_only_the_adapter_is_trained_and_every_target_has_one():
    model = add_adapter(tiny_base().transformer, LORA, 3)
    trained = [name for name, part in model.named_parameters() if part.requires_grad]
    assert trained
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    blocks = 4
    ends = {target: [n for n in trained if f".{target}.lora_A" in n] for target in LORA.targets}
    assert {target: len(names) for target, names in ends.items()} == dict.fromkeys(
        LORA.targets, 2 * blocks
    )


def test_the_norm_is_that_of_every_lora_b_together():
    weights = {
        "x.lora_A.weight": torch.full((2, 2), 100.0),
        "x.lora_B.weight": torch.tensor([[3.0]]),
        "y.lora_B.weight": torch.tensor([[0.0, 4.0]]),
    }
    assert adapter_norm(weights) == 5.0


def test_a_target_that_names_no_module_is_refused_with_those_that_are_there():
    with pytest.raises(StageError) as caught:
        add_adapter(tiny_base().transformer, replace(LORA, targets=("to_q", "to_qq")), 3)
    said, _, hint = str(caught.value).partition(" - ")
    assert said == "lora.targets: 'to_qq' names no module of this base; did you mean 'to_q'?"
    assert hint.startswith("modules that take adapters: add_k_proj, add_q_proj, ")
    assert {"to_q", "to_out.0", "speaker_embedder", "linear_q"} <= set(hint.split(", "))
    with pytest.raises(StageError, match="'o_q' names no module"):
        add_adapter(tiny_base().transformer, replace(LORA, targets=("o_q",)), 3)


def test_a_target_that_takes_no_adapter_is_refused_by_its_kind():
    with pytest.raises(StageError, match=r"'attn' names a .*, which takes no adapter - modules"):
        add_adapter(tiny_base().transformer, replace(LORA, targets=("attn",)), 3)


@pytest.mark.parametrize("precision", ["fp32", "4bit"])
def test_a_rank_larger_than_a_layer_is_refused_with_the_layer_and_its_size(precision):
    transformer = tiny_base().transformer
    if precision == "4bit":
        require("lowvram")
        transformer = hold_base(transformer.requires_grad_(False), precision)
    lora = replace(LORA, r=33, targets=("to_q", "linear_q"))
    with pytest.raises(StageError) as caught:
        add_adapter(transformer, lora, 3)
    assert str(caught.value) == (
        "lora.r: 33 is larger than lyric_encoder.encoders.0.self_attn.linear_q of this base, which "
        "has 32 inputs and 32 outputs - use at most 32, or leave 'linear_q' out of lora.targets"
    )
    add_adapter(transformer, replace(lora, r=32), 3)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("transformer_blocks.0.attn.to_out.0", "to_out.0"),
        ("projectors.1.4", "projectors.1.4"),
        ("speaker_embedder", "speaker_embedder"),
        ("lyric_encoder.encoders.0.self_attn.linear_q", "linear_q"),
    ],
)
def test_a_module_is_listed_by_the_end_that_a_target_writes(name, end):
    assert ending(name) == end


ATTENTIONS = "base_model.model.transformer_blocks.{0-3}.{attn,cross_attn}"


def test_an_adapter_for_other_modules_is_refused_with_all_that_differs():
    _base, model, weights = filled()
    foreign = {name.replace("to_q", "to_w"): tensor for name, tensor in weights.items()}
    with pytest.raises(StageError) as caught:
        set_adapter_weights(model, foreign)
    assert str(caught.value) == (
        "the adapter does not fit this base: "
        f"16 missing: {ATTENTIONS}.to_q.{{lora_A,lora_B}}.weight (16); "
        f"16 unknown: {ATTENTIONS}.to_w.{{lora_A,lora_B}}.weight (16)"
        " - take an adapter made for this base and this recipe's lora, or train it again"
    )
    lacking = dict(list(weights.items())[1:])
    with pytest.raises(StageError, match=r"1 missing: .*\.0\.attn\.to_k\.lora_A\.weight -"):
        set_adapter_weights(model, lacking)


def test_an_adapter_of_another_rank_is_refused_with_both_ranks():
    _base, model, _weights = filled()
    _other, _model, wider = filled(replace(LORA, r=8))
    with pytest.raises(StageError) as caught:
        set_adapter_weights(model, wider)
    said = str(caught.value)
    assert "32 of shape (64, 8), not (64, 4): " in said
    assert f"32 of shape (8, 64), not (4, 64): {ATTENTIONS}.to_out.0.lora_A.weight (8), " in said
    assert "; its rank is 8, the recipe's lora.r is 4 - take an adapter" in said


def foreign_adapter(folder, facts):
    """An adapter of a base half as wide, with three blocks of four."""
    _base, _model, weights = filled()
    narrow = {
        name: tensor[:, :32] if "lora_A" in name else tensor[:32]
        for name, tensor in weights.items()
        if ".3." not in name
    }
    save_adapter(folder, narrow, LORA, facts)
    return folder


def test_an_adapter_for_another_base_names_its_file_and_that_base(tmp_path):
    _base, model, _weights = filled()
    folder = foreign_adapter(tmp_path / "adapter", {"base": "hf:someone/else@main"})
    with pytest.raises(StageError) as caught:
        set_adapter_weights(model, load_adapter_weights(folder), source=folder)
    said = str(caught.value)
    assert said.startswith(f"{folder}: the adapter does not fit this base: 16 missing: ")
    assert "16 missing: base_model.model.transformer_blocks.3.{attn,cross_attn}.to_out.0" in said
    assert "24 of shape (4, 32), not (4, 64): base_model.model.transformer_blocks.{0-2}." in said
    assert "; it says it is for hf:someone/else@main - take an adapter made for this base" in said
    assert "\n" not in said


@pytest.mark.parametrize("metadata", [{"base": "a/b"}, {"ss_base_model_version": "a/b"}])
def test_the_base_is_read_from_metadata_where_there_is_no_config(tmp_path, metadata):
    save_file({"a": torch.zeros(1)}, tmp_path / ADAPTER_WEIGHTS, metadata=metadata)
    assert base_of_adapter(tmp_path) == "a/b"
    (tmp_path / ADAPTER_CONFIG).write_text('{"base_model_name_or_path": null}')
    assert base_of_adapter(tmp_path) == "a/b"
    (tmp_path / ADAPTER_CONFIG).write_text('{"base_model_name_or_path": "c/d"}')
    assert base_of_adapter(tmp_path) == "c/d"
    (tmp_path / ADAPTER_CONFIG).write_text("[")
    assert base_of_adapter(tmp_path) == "a/b"


def test_an_adapter_that_names_no_base_is_refused_without_one(tmp_path):
    _base, model, _weights = filled()
    folder = foreign_adapter(tmp_path / "adapter", {})
    assert base_of_adapter(folder) is None
    with pytest.raises(StageError) as caught:
        set_adapter_weights(model, load_adapter_weights(folder), source=folder)
    assert "it says it is for" not in str(caught.value)


def test_weights_put_back_come_out_with_the_same_bits():
    _base, model, weights = filled()
    found = adapter_weights(model)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_a_saved_adapter_is_read_back(tmp_path):
    _base, _model, weights = filled()
    save_adapter(tmp_path / "adapter", weights, LORA, FACTS)
    found = load_adapter_weights(tmp_path / "adapter")
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_dora_starts_as_the_base_and_learns_a_magnitude_for_every_output():
    base = tiny_base()
    before = answer(base)
    model = add_adapter(base.transformer, replace(LORA, dora=True), 3)
    torch.testing.assert_close(answer(base), before, rtol=1e-5, atol=1e-6)
    weights = adapter_weights(model)
    magnitudes = {name: part for name, part in weights.items() if "magnitude" in name}
    assert len(magnitudes) == len(weights) // 3 == 32
    name, magnitude = next(iter(magnitudes.items()))
    module = name.removeprefix("base_model.model.").removesuffix(".lora_magnitude_vector")
    own = tiny_base().transformer.get_submodule(module).weight
    torch.testing.assert_close(magnitude, own.norm(dim=1))
    trained = [name for name, part in model.named_parameters() if part.requires_grad]
    assert sum("magnitude" in name for name in trained) == 32


def test_an_adapter_without_magnitudes_is_refused_where_dora_is_asked_for():
    _base, _model, plain = filled()
    _other, model, _weights = filled(replace(LORA, dora=True))
    with pytest.raises(StageError, match=r"32 missing: .*lora_magnitude_vector \(24\)"):
        set_adapter_weights(model, plain)


def test_equal_adapters_are_equal_files(tmp_path):
    _base, _model, weights = filled()
    for name in ("a", "b"):
        save_adapter(tmp_path / name, weights, LORA, FACTS)
        save_for_ace_step(tmp_path / name, weights, LORA, FACTS)
    for file in (ADAPTER_CONFIG, ADAPTER_WEIGHTS, DIFFUSERS_WEIGHTS):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_missing_or_damaged_adapter_is_named(tmp_path):
    path = tmp_path / ADAPTER_WEIGHTS
    with pytest.raises(StageError, match=r"adapter_model\.safetensors: there is no such file"):
        load_adapter_weights(tmp_path)
    path.write_bytes(b"torn")
    with pytest.raises(StageError, match=r"adapter_model\.safetensors: it is cut short"):
        load_adapter_weights(tmp_path)
    save_file({"a.lora_B.weight": torch.tensor([1.0, torch.nan])}, path)
    text = r"adapter_model\.safetensors: a\.lora_B\.weight holds 1 NaN and 0 infinite values of 2"
    with pytest.raises(StageError, match=text):
        load_adapter_weights(tmp_path)


def test_an_adapter_as_a_pickle_is_refused(tmp_path):
    torch.save({}, tmp_path / "adapter_model.bin")
    with pytest.raises(StageError, match=r"has adapter_model\.bin but no adapter_model\."):
        load_adapter_weights(tmp_path)


def test_half_precision_adapters_are_read_as_float32(tmp_path):
    save_file({"a.lora_A.weight": torch.tensor([0.5]).bfloat16()}, tmp_path / ADAPTER_WEIGHTS)
    found = load_adapter_weights(tmp_path)["a.lora_A.weight"]
    assert (found.dtype, found.item()) == (torch.float32, 0.5)
