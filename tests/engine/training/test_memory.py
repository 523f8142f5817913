"""The estimate's parts against the real networks; whole trainings are `bench_train_memory`'s."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lofi_engine.models.ace_step_v1 import tiny_config
from lofi_engine.models.ace_step_v1.activations import activations
from lofi_engine.models.ace_step_v1.builtin import TINY
from lofi_engine.models.ace_step_v1.config import LyricEncoderConfig
from lofi_engine.models.ace_step_v1.family import AceStepV1
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.training_outline import StepForm, StepShape
from lofi_engine.recipe.load import load_recipe
from lofi_engine.training.adapters import add_adapter
from lofi_engine.training.held import held_bytes, hold_base
from lofi_engine.training.memory import Tokens, estimate_training_memory, savings
from lofi_engine.training.optimizers import make_optimizer, optimizer_tensors
from lofi_runtime.shared_data import shared_folder
from tests.support.tiny_training import LORA, TRAINING, tiny_base

TARGETS = ("speaker_embedder", "linear_q", "linear_k", "linear_v", *LORA.targets)
TOKENS = Tokens(text=3, lyrics=4)
WIDE = replace(
    tiny_config.TRANSFORMER,
    num_layers=3,
    attention_head_dim=32,
    num_attention_heads=4,
    lyric_encoder=LyricEncoderConfig(64, 4, 128, 2, 0.1),
)
SHAPE = StepShape(batch=2, frames=120, text_tokens=10, lyric_tokens=24)


def outline():
    return AceStepV1().training_outline(TINY, revision="1", home=Path())


def parts(lora=LORA, **changes):
    training = replace(TRAINING, **changes)
    return estimate_training_memory(outline(), lora, training, TOKENS, device="cpu").parts


def kept_by_autograd(form: StepForm) -> int:
    """The bytes of every storage that a forward pass saves, weights left out."""
    transformer = AceStepTransformer(WIDE)
    transformer.requires_grad_(False)
    hold_base(transformer, form.base_precision)
    lora = replace(LORA, r=form.rank, targets=TARGETS, dora=form.dora)
    add_adapter(transformer, lora, 0).train()
    transformer.gradient_checkpointing = form.gradient_checkpointing
    own = {part.untyped_storage().data_ptr() for part in transformer.parameters()}
    held: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    batch, frames = SHAPE.batch, SHAPE.frames
    inner = {"bf16": torch.bfloat16}.get(form.precision)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", dtype=inner, enabled=inner is not None),
    ):
        transformer(
            torch.randn(batch, 8, 16, frames),
            torch.ones(batch, frames),
            torch.randn(batch, SHAPE.text_tokens, 64),
            torch.ones(batch, SHAPE.text_tokens, dtype=torch.long),
            torch.zeros(batch, 512),
            torch.ones(batch, SHAPE.lyric_tokens, dtype=torch.long),
            torch.ones(batch, SHAPE.lyric_tokens, dtype=torch.long),
            torch.rand(batch) * 1000,
        )
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())


@pytest.mark.parametrize(
    ("precision", "base_precision", "dora"),
    [
        ("fp32", "fp32", False),
        ("bf16", "fp32", False),
        ("bf16", "bf16", False),
        ("bf16", "4bit", False),
        ("bf16", "bf16", True),
    ],
)
def test_activations_are_what_autograd_keeps(precision, base_precision, dora):
    form = StepForm(
        precision, base_precision, gradient_checkpointing=False, rank=8, dora=dora,
        lyrics_adapted=True,
    )  # fmt: skip
    in_flight = SHAPE.batch * SHAPE.frames * WIDE.inner_dim * 16
    estimated = activations(WIDE, SHAPE, form).forward_end - in_flight
    assert estimated == pytest.approx(kept_by_autograd(form), rel=0.1)


def test_a_lyric_encoder_without_an_adapter_keeps_nothing():
    form = StepForm("fp32", "fp32", gradient_checkpointing=False, rank=8, dora=False,
                    lyrics_adapted=True)  # fmt: skip
    with_lyrics = activations(WIDE, SHAPE, form).forward_end
    assert activations(WIDE, SHAPE, replace(form, lyrics_adapted=False)).forward_end < with_lyrics


def test_checkpointing_keeps_a_block_and_what_lies_between_blocks():
    form = StepForm("fp32", "fp32", gradient_checkpointing=True, rank=8, dora=False,
                    lyrics_adapted=False)  # fmt: skip
    plain = replace(form, gradient_checkpointing=False)
    deep = replace(WIDE, num_layers=6)
    frame_bytes = SHAPE.batch * SHAPE.frames * WIDE.inner_dim * 4
    more = activations(deep, SHAPE, form).forward_end - activations(WIDE, SHAPE, form).forward_end
    assert more == 3 * frame_bytes
    assert activations(WIDE, SHAPE, form).forward_end < activations(WIDE, SHAPE, plain).forward_end


@pytest.mark.parametrize("targets", [("to_q",), TARGETS, ("lyric_embs", "ff.inverted_conv.conv")])
@pytest.mark.parametrize("dora", [False, True])
def test_the_adapter_s_weights_are_counted_as_peft_makes_them(targets, dora):
    if dora and "lyric_embs" in targets:
        targets = ("to_out.0",)
    lora = replace(LORA, targets=targets, dora=dora)
    model = add_adapter(tiny_base().transformer, lora, 0)
    trained = sum(part.numel() for part in model.parameters() if part.requires_grad)
    found = estimate_training_memory(outline(), lora, TRAINING, TOKENS)
    assert found.adapter_weights == trained
    assert found.parts["adapter"] == found.parts["gradients"] == 4 * trained


@pytest.mark.parametrize("precision", ["fp32", "bf16", "8bit", "4bit"])
def test_the_base_weighs_what_it_is_held_in(precision):
    base = tiny_base()
    held = held_bytes(hold_base(base.transformer, precision))
    assert parts(base_precision=precision)["weights"] == pytest.approx(held, rel=0.01)


@pytest.mark.parametrize("name", ["adamw", "adamw-8bit"])
def test_moments_are_as_large_as_the_optimizer_s(name):
    lora = replace(LORA, r=32)
    model = add_adapter(tiny_base().transformer, replace(LORA, r=32), 0)
    trained = [part for part in model.parameters() if part.requires_grad]
    optimizer = make_optimizer(name, trained, 1e-4)
    for part in trained:
        part.grad = torch.ones_like(part)
    optimizer.step()
    tensors = {
        key: tensor
        for key, tensor in optimizer_tensors(optimizer).items()
        if tensor.ndim and "qmap" not in key  # one table for all
    }
    measured = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert parts(lora, optimizer=name)["optimizer"] == pytest.approx(measured, rel=0.02)


def test_loading_takes_float32_where_few_bits_are_made_here():
    four, half = estimate_of("4bit"), estimate_of("bf16")
    weights = sum(weight.elements for weight in outline().weights)
    assert four.loading - half.loading == 2 * weights
    assert four.host == four.loading > four.training


def estimate_of(base_precision):
    training = replace(TRAINING, base_precision=base_precision)
    return estimate_training_memory(outline(), LORA, training, TOKENS, device="cpu")


def test_gradients_of_a_second_batch_lie_beside_the_activations():
    once, twice = (parts(accumulate=count) for count in (1, 2))
    assert sum(twice.values()) - sum(once.values()) == once["gradients"]


def test_what_lowers_memory_is_listed_with_what_it_saves_the_most_first():
    recipe = load_recipe(shared_folder("recipes") / "v1.yaml", ("training.base_precision=fp32",))
    published = AceStepV1().training_outline(recipe.base.model, revision="main", home=Path())

    def needed(lora, training):
        return estimate_training_memory(published, lora, training).training

    found = savings(recipe.lora, recipe.training, needed)
    assert [change for change, _ in found[:3]] == [
        "training.base_precision: 4bit",
        "training.base_precision: bf16",
        "training.gradient_checkpointing: true",
    ]
    saved = dict(found)
    bf16 = replace(recipe.training, base_precision="bf16")
    assert saved["training.base_precision: bf16"] == needed(recipe.lora, recipe.training) - needed(
        recipe.lora, bf16
    )
    assert "training.checkpoint_every: 10000" not in saved
