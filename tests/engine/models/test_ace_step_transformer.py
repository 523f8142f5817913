"""The transformer computes what the reference computes, from the same state dict."""

from __future__ import annotations

import pytest
import torch

from lofi_engine.models.ace_step_v1.config import TransformerConfig
from lofi_engine.models.ace_step_v1.ssl_loss import projection_loss
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from tests.support.golden import distance, notes, shapes, tensors
from tests.support.small_networks import small_transformer as small

TOLERANCE = 1e-3


@pytest.fixture
def given() -> dict[str, torch.Tensor]:
    return tensors("transformer_small")


def encode(given: dict[str, torch.Tensor], **options: float) -> tuple[torch.Tensor, torch.Tensor]:
    return small().encode(
        given["encoder_text_hidden_states"],
        given["text_attention_mask"],
        given["speaker_embeds"],
        given["lyric_token_idx"],
        given["lyric_mask"],
        **options,
    )


def decode(given, context, mask, **options):
    return small().decode(
        given["hidden_states"], given["attention_mask"], context, mask, given["timestep"], **options
    )


def test_small_has_the_reference_keys_and_shapes():
    assert shapes(small()) == notes("transformer_small")["keys"]


def test_published_size_has_the_reference_keys_and_shapes():
    published = notes("ace_step_v1_state_dict")["ace_step_transformer"]
    with torch.device("meta"):
        transformer = AceStepTransformer(TransformerConfig.from_mapping(published["config"]))
    assert shapes(transformer) == published["keys"]
    counted = sum(parameter.numel() for parameter in transformer.parameters())
    assert counted == published["parameters"]


@torch.no_grad()
def test_encode_equals_the_reference(given):
    states, mask = encode(given)
    assert distance(states, given["encoder_hidden_states"]) < TOLERANCE
    assert torch.equal(mask, given["encoder_hidden_mask"])


@torch.no_grad()
def test_lyric_encoder_equals_the_reference(given):
    network = small()
    encoded = network.lyric_encoder(
        network.lyric_embs(given["lyric_token_idx"]), given["lyric_mask"]
    )
    assert distance(encoded, given["lyric_encoder_output"]) < TOLERANCE


@torch.no_grad()
def test_decode_equals_the_reference_with_masked_frames(given):
    assert (given["attention_mask"] == 0).any()
    sample = decode(given, given["encoder_hidden_states"], given["encoder_hidden_mask"])
    assert distance(sample, given["sample"]) < TOLERANCE


@torch.no_grad()
def test_instrumental_conditions_equal_the_reference(given):
    none = torch.zeros(2, 1, dtype=torch.int64)
    states, mask = small().encode(
        given["encoder_text_hidden_states"],
        given["text_attention_mask"],
        torch.zeros_like(given["speaker_embeds"]),
        none,
        none,
    )
    assert distance(states, given["instrumental_encoder_hidden_states"]) < TOLERANCE
    assert torch.equal(mask, given["instrumental_encoder_hidden_mask"])
    assert distance(decode(given, states, mask), given["instrumental_sample"]) < TOLERANCE


@torch.no_grad()
def test_entropy_rectified_guidance_equals_the_reference(given):
    tau = notes("transformer_small")["erg"]["tau"]
    states, _ = encode(given, query_scale=tau)
    assert distance(states, given["erg_encoder_hidden_states"]) < TOLERANCE
    sample = decode(
        given, given["encoder_hidden_states"], given["encoder_hidden_mask"], query_scale=tau
    )
    assert distance(sample, given["erg_sample"]) < TOLERANCE


@torch.no_grad()
def test_projection_losses_equal_the_reference(given):
    network = small()
    sample, features = network.decode_with_features(
        given["hidden_states"],
        given["attention_mask"],
        *encode(given),
        given["timestep"],
    )
    assert distance(sample, given["train_sample"]) < TOLERANCE
    expected = notes("transformer_small")["ssl_projection_losses"]
    names = network.config.ssl_names
    for name, projector, states in zip(names, network.projectors, features, strict=True):
        loss = projection_loss(projector, states, [given[f"ssl.{name}.{i}"] for i in range(2)])
        assert float(loss) == pytest.approx(expected[name], rel=1e-3)


@torch.no_grad()
def test_decode_pads_or_cuts_to_the_length_asked_for(given):
    context = (given["encoder_hidden_states"], given["encoder_hidden_mask"])
    plain = decode(given, *context)
    longer = decode(given, *context, output_length=40)
    assert torch.equal(longer[..., :37], plain)
    assert not longer[..., 37:].any()
    assert torch.equal(decode(given, *context, output_length=30), plain[..., :30])


@torch.no_grad()
def test_one_timestep_serves_a_whole_batch(given):
    context = (given["encoder_hidden_states"], given["encoder_hidden_mask"])
    args = (given["hidden_states"], given["attention_mask"], *context)
    one = small().decode(*args, torch.tensor([500.0]))
    each = small().decode(*args, torch.tensor([500.0, 500.0]))
    assert torch.equal(one, each)


def test_checkpointed_gradients_are_the_plain_ones(given):
    network = small()
    context = (given["encoder_hidden_states"], given["encoder_hidden_mask"])
    weight = network.transformer_blocks[0].cross_attn.to_k.weight

    def gradient() -> torch.Tensor:
        network.zero_grad()
        decode(given, *context).square().mean().backward()
        assert weight.grad is not None
        return weight.grad.clone()

    plain = gradient()
    network.gradient_checkpointing = True
    try:
        again = gradient()
    finally:
        network.gradient_checkpointing = False
        network.zero_grad()
    assert plain.abs().max() > 0
    assert torch.allclose(plain, again, atol=1e-7)


def test_lyrics_that_do_not_count_leave_finite_gradients(given):
    network = small()
    lyrics = network.lyric_embs(given["lyric_token_idx"])
    network.lyric_encoder(lyrics, torch.zeros_like(given["lyric_mask"])).square().sum().backward()
    grads = [p.grad for p in network.lyric_encoder.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(grad).all() for grad in grads)
    network.zero_grad()
