from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.training.adapters import adapter_weights, add_adapter
from lofi_engine.training.features import stack_conditioning
from lofi_engine.training.held import PRECISIONS, held_bytes, hold_base
from tests.support.programs import require
from tests.support.tiny_training import LORA, features, one_thread, tiny_base

LATENTS = torch.stack([features(number).latents for number in (0, 1)])


def velocity(base):
    conditioning = stack_conditioning([features(0), features(1)], base.speaker_width)
    return base.velocity(LATENTS, torch.tensor([500.0, 300.0]), conditioning)


def held(precision):
    if precision in ("8bit", "4bit"):
        require("lowvram")
    base = tiny_base()
    base.transformer.requires_grad_(False).eval()
    hold_base(base.transformer, precision)
    return base


@pytest.fixture(scope="module")
def plain():
    with one_thread(), torch.inference_mode():
        return velocity(held("fp32"))


@pytest.mark.parametrize(
    ("precision", "most"), [("fp32", 0.0), ("bf16", 0.015), ("8bit", 0.01), ("4bit", 0.2)]
)
def test_a_held_base_answers_nearly_as_in_float32(plain, precision, most):
    with one_thread(), torch.inference_mode():
        found = velocity(held(precision))
    assert found.dtype == torch.float32
    error = float((found - plain).norm() / plain.norm())
    assert error <= most, error
    assert precision == "fp32" or error > 0


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_adapter_on_a_held_base_learns_and_is_float32(precision, dora):
    with one_thread():
        base = held(precision)
        before = {name: part.clone() for name, part in base.transformer.state_dict().items()}
        model = add_adapter(base.transformer, replace(LORA, dora=dora), 1)
        trained = [part for part in model.parameters() if part.requires_grad]
        assert {part.dtype for part in trained} == {torch.float32}
        optimizer = torch.optim.AdamW(trained, lr=1e-2)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = (velocity(base) - LATENTS).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.6 * losses[0]
        after = model.get_base_model().state_dict()
        for name, weight in before.items():
            found = after.get(name, after.get(name.replace(".weight", ".base_layer.weight")))
            if found is not None and found.shape == weight.shape:
                assert torch.equal(found, weight), name


def test_asking_without_training_does_not_change_what_is_held():
    with one_thread():
        base = held("4bit")
        with torch.inference_mode():
            first = velocity(base)
        model = add_adapter(base.transformer, LORA, 1)
        model.train()
        again = velocity(base)
        with torch.inference_mode():
            model.eval()
            assert torch.equal(velocity(base), first)
        assert again.requires_grad


def test_the_large_weights_take_a_quarter_in_8_bits_and_under_a_sixth_in_4():
    require("lowvram")

    def inside(precision):
        blocks = held(precision).transformer.get_submodule("transformer_blocks")
        large = [
            part
            for name, part in blocks.named_modules()
            if name.endswith(("to_q", "inverted_conv"))
        ]
        return sum(held_bytes(part) for part in large)

    whole = inside("fp32")
    # Biases and, at this tiny width, one scale for every 64 weights keep it above 1/4 and 1/8.
    assert inside("8bit") / whole == pytest.approx(0.27, abs=0.02)
    assert inside("4bit") / whole == pytest.approx(0.155, abs=0.02)
    assert inside("bf16") / whole == 0.5


def test_the_feed_forwards_convolutions_are_held_too():
    require("lowvram")
    transformer = held("4bit").transformer
    kinds = {type(part).__name__ for part in transformer.transformer_blocks[0].ff.modules()}
    assert {"Pointwise", "Linear4bit", "Conv1d"} <= kinds  # the depthwise one stays
    assert transformer.transformer_blocks[0].ff.depth_conv.conv.weight.dtype == torch.float32


def test_adapters_read_out_alike_whatever_holds_the_base():
    with one_thread():
        names = [
            list(adapter_weights(add_adapter(held(precision).transformer, LORA, 1)))
            for precision in PRECISIONS
        ]
    assert all(found == names[0] for found in names)


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(StageError) as refused:
        hold_base(tiny_base().transformer, "4bit")
    assert str(refused.value) == (
        "training.base_precision: 4bit needs bitsandbytes - pip install 'lofi-recipe[lowvram]'"
    )


def test_a_weight_that_is_not_finite_is_named():
    require("lowvram")
    transformer = tiny_base().transformer
    with torch.no_grad():
        transformer.transformer_blocks[1].attn.to_k.weight[0, 0] = float("nan")
    with pytest.raises(StageError, match=r"transformer_blocks\.1\.attn\.to_k .* not finite"):
        hold_base(transformer, "8bit")
