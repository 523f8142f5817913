from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lofi_engine.training.adapters import add_adapter, set_adapter_weights
from lofi_engine.training.held import hold_base
from lofi_engine.training.merging import merge_adapter
from tests.support.adapters import answer, random_weights
from tests.support.programs import require
from tests.support.tiny_training import LORA, one_thread, tiny_base


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


def with_negative_zeros():
    base = tiny_base()
    with torch.no_grad():
        for part in base.transformer.parameters():
            part.view(-1)[::7] = -0.0
    return base


@pytest.mark.parametrize("dora", [False, True])
def test_a_zero_adapter_merges_to_the_base_bit_for_bit(dora):
    base, untouched = with_negative_zeros(), with_negative_zeros()
    merged = merge_adapter(add_adapter(base.transformer, replace(LORA, dora=dora), 3))
    found, before = merged.state_dict(), untouched.transformer.state_dict()
    assert found.keys() == before.keys()
    assert all(found[name].numpy().tobytes() == before[name].numpy().tobytes() for name in before)


@pytest.mark.parametrize("dora", [False, True])
def test_merged_it_answers_as_base_plus_adapter_and_every_name_is_the_base_s(dora):
    lora = replace(
        LORA, alpha=6.5, dora=dora, targets=(*LORA.targets, "linear_q", "inverted_conv.conv")
    )
    base, _weights = random_weights(lora)
    together = answer(base)
    merged = merge_adapter(base_with_adapter(lora))
    base.transformer = merged
    torch.testing.assert_close(answer(base), together, rtol=1e-4, atol=1e-5)
    assert merged.state_dict().keys() == tiny_base().transformer.state_dict().keys()
    assert not any("lora" in name for name, _module in merged.named_modules())


def base_with_adapter(lora):
    _base, weights = random_weights(lora)
    model = add_adapter(tiny_base().transformer, lora, 3)
    set_adapter_weights(model, weights)
    return model


def test_layers_whose_adapter_is_zero_keep_their_bits_beside_others_that_change():
    _base, weights = random_weights(LORA)
    halved = {
        name: part * 0 if ".0.attn.to_q.lora_B" in name else part for name, part in weights.items()
    }
    model = add_adapter(with_negative_zeros().transformer, LORA, 3)
    set_adapter_weights(model, halved)
    merged, before = merge_adapter(model), with_negative_zeros().transformer
    changed = {
        name
        for name, part in merged.state_dict().items()
        if part.numpy().tobytes() != before.state_dict()[name].numpy().tobytes()
    }
    assert len(changed) == 31
    assert "transformer_blocks.0.attn.to_q.weight" not in changed


def test_a_base_held_in_few_bits_is_never_merged_into():
    require("lowvram")
    transformer = hold_base(tiny_base().transformer.requires_grad_(False), "4bit")
    with pytest.raises(ValueError, match="full precision"):
        merge_adapter(add_adapter(transformer, LORA, 3))
