"""Files of adapters, loaded by the real programs' loaders, and converted without a changed bit."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Lora
from lofi_engine.training.adapter_convert import convert_adapter
from lofi_engine.training.adapter_files import LOW_BITS, facts_of
from lofi_engine.training.adapter_reading import read_adapter
from lofi_engine.training.adapters import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    save_adapter,
    save_for_ace_step,
    set_adapter_weights,
)
from tests.support.adapters import add_as_comfyui, answer, load_as_ace_step, random_weights
from tests.support.tiny_training import LORA, one_thread, tiny_base

FACTS = {"base": "builtin:tiny@1", "recipe": "small", "step": "2"}
TARGETS = (*LORA.targets, "speaker_embedder", "linear_q", "lyric_embs")
LORAS = {
    "scale 4": LORA,
    "rank 128's scale": replace(LORA, alpha=math.sqrt(8), targets=TARGETS),
    "no rsLoRA": replace(LORA, alpha=6.5, rslora=False),
    "DoRA": replace(LORA, alpha=6.5, dora=True, targets=TARGETS[:-1]),
}


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


@pytest.mark.parametrize("lora", LORAS.values(), ids=LORAS)
def test_both_ways_round_every_file_is_the_same_bytes(tmp_path, lora: Lora):
    _base, weights = random_weights(lora)
    save_adapter(tmp_path / "peft", weights, lora, FACTS)
    save_for_ace_step(tmp_path / "direct", weights, lora, FACTS)
    convert_adapter(read_adapter(tmp_path / "peft"), "diffusers", tmp_path / "diffusers")
    convert_adapter(read_adapter(tmp_path / "diffusers"), "peft", tmp_path / "again")
    for one, other in (("peft", "again"), ("direct", "diffusers")):
        for file in (tmp_path / one).iterdir():
            assert file.read_bytes() == (tmp_path / other / file.name).read_bytes(), file.name
    found = load_file(tmp_path / "again" / ADAPTER_WEIGHTS)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    config = json.loads((tmp_path / "again" / ADAPTER_CONFIG).read_text())
    said = {"r": 4, "lora_alpha": lora.alpha, "use_rslora": lora.rslora, "use_dora": lora.dora}
    assert said.items() <= config.items()
    assert config["target_modules"] == sorted(lora.targets)


@pytest.mark.parametrize("lora", LORAS.values(), ids=LORAS)
def test_peft_loads_the_folder_and_answers_alike(tmp_path, lora: Lora):
    from peft import PeftModel

    base, weights = random_weights(lora)
    save_adapter(tmp_path, weights, lora, FACTS)
    other = tiny_base()
    assert not torch.allclose(answer(other), answer(base), atol=1e-3)
    loaded = PeftModel.from_pretrained(other.transformer, tmp_path)
    assert torch.equal(answer(other), answer(base))
    config = loaded.peft_config["default"]
    assert (config.use_rslora, config.use_dora) == (lora.rslora, lora.dora)
    assert config.lora_alpha == lora.alpha


@pytest.mark.parametrize("with_metadata", [True, False], ids=["metadata", "no metadata"])
@pytest.mark.parametrize("name", ["rank 128's scale", "no rsLoRA", "DoRA"])
def test_at_strength_1_diffusers_and_ace_step_play_what_was_trained(
    tmp_path, caplog, name, with_metadata
):
    lora = replace(LORAS[name], targets=TARGETS[:-1])
    base, weights = random_weights(lora)
    save_for_ace_step(tmp_path, weights, lora, FACTS)
    other = tiny_base()
    alone = answer(other)
    with caplog.at_level(logging.WARNING):
        load_as_ace_step(other, tmp_path, with_metadata=with_metadata, strength=1.0)
    assert not caplog.records  # of the tensor that loaders do not know, too
    torch.testing.assert_close(answer(other), answer(base), rtol=1e-5, atol=1e-5)
    assert float((answer(base) - alone).abs().max()) > 0.01


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_comfyui_s_rule_plays_what_was_trained_times_the_strength(tmp_path, strength):
    lora = replace(LORA, alpha=math.sqrt(8), targets=TARGETS[:-1])
    base, weights = random_weights(lora)
    save_for_ace_step(tmp_path, weights, lora, FACTS)
    other, half = tiny_base(), tiny_base()
    add_as_comfyui(other, load_file(tmp_path / DIFFUSERS_WEIGHTS), strength)
    load_as_ace_step(half, tmp_path, with_metadata=True, strength=strength)
    torch.testing.assert_close(answer(other), answer(half), rtol=1e-4, atol=1e-5)
    if strength == 1.0:
        torch.testing.assert_close(answer(other), answer(base), rtol=1e-4, atol=1e-5)


def test_the_diffusers_form_names_modules_and_says_what_was_trained(tmp_path):
    _base, weights = random_weights()
    save_for_ace_step(tmp_path, weights, LORA, FACTS)
    found = load_file(tmp_path / DIFFUSERS_WEIGHTS)
    names = {name for name, _module in tiny_base().transformer.named_modules()}
    assert len(found) == len(weights)  # its scale is 4: nothing is kept besides
    for name in found:
        module, end = name.split(".lora_")
        assert module in names
        assert end in ("A.weight", "B.weight")
    with safe_open(tmp_path / DIFFUSERS_WEIGHTS, "pt") as file:
        metadata = file.metadata()
    assert metadata.items() >= FACTS.items()
    stated = {name: metadata[name] for name in ("rank", "alpha", "rslora", "dora", "scale")}
    assert stated == {
        "rank": "4", "alpha": "8.0", "rslora": "true", "dora": "false", "scale": "4.0"
    }  # fmt: skip
    config = json.loads(metadata["lora_adapter_metadata"])
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (4, 4, False)
    assert config["base_model_name_or_path"] == "builtin:tiny@1"


def test_half_precision_and_ranks_of_single_modules_survive_the_round_trip(tmp_path):
    from peft import LoraConfig, get_peft_model

    base = tiny_base()
    config = LoraConfig(
        r=4,
        lora_alpha=5,
        use_rslora=True,
        target_modules=["to_q", "to_v"],
        rank_pattern={"attn.to_q": 2},
        alpha_pattern={"to_v": 7},
    )
    model = get_peft_model(base.transformer, config)
    draws = torch.Generator().manual_seed(1)
    for name, part in model.named_parameters():
        if "lora_" in name:
            part.data = torch.randn(part.shape, generator=draws).bfloat16()
    model.save_pretrained(tmp_path / "peft")
    convert_adapter(read_adapter(tmp_path / "peft"), "diffusers", tmp_path / "diffusers")
    convert_adapter(read_adapter(tmp_path / "diffusers"), "peft", tmp_path / "again")
    before, after = (load_file(tmp_path / name / ADAPTER_WEIGHTS) for name in ("peft", "again"))
    assert before.keys() == after.keys()
    assert all(after[name].dtype == torch.bfloat16 for name in after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    said, again = (
        json.loads((tmp_path / name / ADAPTER_CONFIG).read_text()) for name in ("peft", "again")
    )
    assert said == again
    plain, played = tiny_base(), tiny_base()
    from peft import PeftModel

    PeftModel.from_pretrained(plain.transformer, tmp_path / "peft")
    load_as_ace_step(played, tmp_path / "diffusers", with_metadata=True, strength=1.0)
    torch.testing.assert_close(answer(played), answer(plain), rtol=1e-3, atol=1e-3)


def published(folder, *, alpha=None, prefix="", names=("lora_A.weight", "lora_B.weight")):
    """A file as others leave it: no metadata, with or without alpha."""
    _base, weights = random_weights(replace(LORA, targets=("to_q",)))
    down, up = names
    tensors = {
        prefix
        + name.removeprefix("base_model.model.")
        .replace("lora_A.weight", down)
        .replace("lora_B.weight", up): part
        for name, part in weights.items()
    }
    if alpha is not None:
        modules = {name.rpartition(f".{down}")[0] for name in tensors if name.endswith(down)}
        tensors |= {f"{module}.alpha": torch.tensor(alpha) for module in modules}
    folder.mkdir()
    save_file(tensors, folder / DIFFUSERS_WEIGHTS)
    return folder, weights


@pytest.mark.parametrize(
    ("alpha", "prefix", "names"),
    [
        (None, "", ("lora_A.weight", "lora_B.weight")),
        (6.0, "diffusion_model.", ("lora_down.weight", "lora_up.weight")),
        (None, "transformer.", ("lora.down.weight", "lora.up.weight")),
    ],
)
def test_files_of_others_become_a_peft_folder_that_peft_plays_alike(tmp_path, alpha, prefix, names):
    from peft import PeftModel

    folder, weights = published(tmp_path / "theirs", alpha=alpha, prefix=prefix, names=names)
    convert_adapter(read_adapter(folder), "peft", tmp_path / "peft")
    other, expected = tiny_base(), tiny_base()
    PeftModel.from_pretrained(other.transformer, tmp_path / "peft")
    plain = {name.removeprefix("base_model.model."): part for name, part in weights.items()}
    if alpha:
        modules = [name.removesuffix(".lora_A.weight") for name in plain if "lora_A" in name]
        plain |= {f"{module}.alpha": torch.tensor(alpha) for module in modules}
    add_as_comfyui(expected, plain, 1.0)
    torch.testing.assert_close(answer(other), answer(expected), rtol=1e-4, atol=1e-5)
    found = load_file(tmp_path / "peft" / ADAPTER_WEIGHTS)
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_a_file_that_diffusers_saved_with_its_scale_in_metadata_gets_it_into_the_weights(tmp_path):
    _base, weights = random_weights()
    save_adapter(tmp_path / "peft", weights, LORA, FACTS)
    config = (tmp_path / "peft" / ADAPTER_CONFIG).read_text()
    theirs = {name.removeprefix("base_model.model."): part for name, part in weights.items()}
    (tmp_path / "theirs").mkdir()
    file = tmp_path / "theirs" / DIFFUSERS_WEIGHTS
    save_file(theirs, file, {"format": "pt", "lora_adapter_metadata": config})
    convert_adapter(read_adapter(file), "diffusers", tmp_path / "ours")
    ours = load_file(tmp_path / "ours" / DIFFUSERS_WEIGHTS)
    for name, part in theirs.items():
        assert torch.equal(ours[name], part * 4.0 if "lora_B" in name else part)
    convert_adapter(read_adapter(tmp_path / "ours"), "peft", tmp_path / "again")
    found = load_file(tmp_path / "again" / ADAPTER_WEIGHTS)
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_all_that_a_file_says_besides_goes_with_it(tmp_path):
    _base, weights = random_weights(LORAS["no rsLoRA"])
    facts = {**FACTS, "recipe_text": "# a recipe\nname: small\n", "ledger": '{"tracks": 3}'}
    save_adapter(tmp_path / "peft", weights, LORAS["no rsLoRA"], facts)
    convert_adapter(read_adapter(tmp_path / "peft"), "diffusers", tmp_path / "diffusers")
    adapter = read_adapter(tmp_path / "diffusers")
    assert facts_of(adapter.metadata, adapter.config) == facts


def test_a_folder_that_holds_such_a_file_is_left_alone(tmp_path):
    _base, weights = random_weights()
    save_adapter(tmp_path, weights, LORA, FACTS)
    with pytest.raises(StageError, match=r"adapter_model\.safetensors: is there already - name"):
        convert_adapter(read_adapter(tmp_path), "peft", tmp_path)


def test_a_changed_file_is_not_taken_for_what_it_was_made_from(tmp_path):
    lora = LORAS["no rsLoRA"]
    _base, weights = random_weights(lora)
    save_for_ace_step(tmp_path, weights, lora, FACTS)
    file = tmp_path / DIFFUSERS_WEIGHTS
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    assert tensors[LOW_BITS].dtype == torch.uint8
    first = next(iter(sorted(tensors)))
    save_file({**tensors, first: tensors[first] + 1}, file, metadata)
    with pytest.raises(StageError, match="its weights are not those it was made from - it was"):
        convert_adapter(read_adapter(file), "peft", tmp_path / "out")
    save_file(tensors, file, {**metadata, "peft_unfold": "{"})
    with pytest.raises(StageError, match="its own account of how it was made is damaged"):
        convert_adapter(read_adapter(file), "peft", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"a.to_q.lokr_w1": torch.ones(2, 2)}, r"no LoRA: .*it looks like LoKr, which is not read"),
        ({"a.weight": torch.ones(2, 2)}, r"no LoRA: it holds a\.weight - name a LoRA's file"),
        (
            {
                "a.lora_A.weight": torch.ones(2, 4),
                "a.lora_B.weight": torch.ones(4, 2),
                "b.lora_A.weight": torch.ones(2, 4),
            },
            "has one half of a pair alone for b - fetch it again",
        ),
        (
            {"a.lora_A.weight": torch.ones(2, 4), "a.lora_B.weight": torch.ones(4, 3)},
            r"the pair of a does not multiply: \(4, 3\) by \(2, 4\)",
        ),
        (
            {"a.lora_A.weight": torch.ones(2, 4).int(), "a.lora_B.weight": torch.ones(4, 2)},
            r"a\.lora_A\.weight is I32; F32, F16, BF16 are read",
        ),
    ],
)
def test_what_is_no_lora_is_refused_by_what_it_holds(tmp_path, tensors, said):
    save_file(tensors, tmp_path / "file.safetensors")
    with pytest.raises(StageError, match=said):
        read_adapter(tmp_path)


def test_what_one_form_cannot_carry_is_refused(tmp_path):
    pair = {"a.lora_A.weight": torch.ones(2, 4), "a.lora_B.weight": torch.ones(4, 2)}
    file = tmp_path / "file.safetensors"
    save_file({**pair, "head.weight": torch.ones(2, 2)}, file)
    with pytest.raises(StageError, match=r"tensors that are no LoRA's: head\.weight - merge"):
        convert_adapter(read_adapter(file), "peft", tmp_path / "out")
    dashed = {f"lora_unet_{name.replace('lora_A', 'lora_down').replace('lora_B', 'lora_up')}": part
              for name, part in pair.items()}  # fmt: skip
    save_file(dashed, file)
    assert read_adapter(file).form == "kohya"
    with pytest.raises(StageError, match="names modules with underscores for dots"):
        convert_adapter(read_adapter(file), "peft", tmp_path / "out")


def test_a_config_of_another_adapter_is_refused_with_both_ranks(tmp_path):
    _base, weights = random_weights()
    save_adapter(tmp_path, weights, replace(LORA, r=8), FACTS)
    with pytest.raises(StageError, match=r"to_k has rank 4, its config says 8 - config and"):
        read_adapter(tmp_path)


def test_a_folder_without_an_adapter_says_what_it_holds(tmp_path):
    for name in ("a", "b"):
        save_file({"x": torch.ones(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(StageError, match=r"holds neither .*; it holds a\.safetensors, b\.safetens"):
        read_adapter(tmp_path)
    torch.save({}, tmp_path / "adapter_model.bin")
    (tmp_path / "a.safetensors").unlink()
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(StageError, match=r"has adapter_model\.bin but no adapter_model\."):
        read_adapter(tmp_path)


def test_what_comes_back_from_the_other_form_goes_into_a_trained_model(tmp_path):
    from lofi_engine.training.adapters import add_adapter, load_adapter_weights

    lora = LORAS["DoRA"]
    base, weights = random_weights(lora)
    save_for_ace_step(tmp_path / "diffusers", weights, lora, FACTS)
    convert_adapter(read_adapter(tmp_path / "diffusers"), "peft", tmp_path / "peft")
    other = tiny_base()
    set_adapter_weights(
        add_adapter(other.transformer, lora, 9), load_adapter_weights(tmp_path / "peft")
    )
    assert torch.equal(answer(other), answer(base))
