"""The text encoder weakened for entropy-rectified guidance, row by row."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import asdict, replace

import pytest
import torch

from lofi_engine.models.ace_step_v1.config import ErgConfig, TransformerConfig
from lofi_engine.models.ace_step_v1.text import TextEncoder
from lofi_engine.models.ace_step_v1.text_erg import scaled_queries
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.ace_step_v1.tiny_config import TRANSFORMER
from lofi_engine.models.ace_step_v1.tiny_vocabulary import text_tokenizer
from tests.support.golden import distance, notes
from tests.support.small_networks import small_umt5

PROMPTS = ["lofi, rainy night", "jazz piano, 120 bpm, very slow and sad"]
LAYERS = (1, 3)


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(small_umt5(), text_tokenizer(), LAYERS)


@torch.no_grad()
def weakened(encoder: TextEncoder, prompts: list[str], tau: float) -> torch.Tensor:
    """The reference's way: a hook overwrites the query projections' outputs of some blocks."""

    def overwrite(_module, _inputs, output):
        output[:] *= tau
        return output

    blocks = encoder.network.encoder.block
    hooks = [
        blocks[index].layer[0].SelfAttention.q.register_forward_hook(overwrite)
        for index in range(*LAYERS)
    ]
    try:
        return encoder.encode(prompts)[0]
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("tau", [0.01, 0.5])
def test_weakened_text_is_what_the_reference_computes(encoder, tau):
    plain, plain_mask = encoder.encode(PROMPTS)
    found, mask = encoder.encode(PROMPTS, query_scale=tau)
    assert distance(found, weakened(encoder, PROMPTS, tau)) < 1e-5
    assert torch.equal(mask, plain_mask)
    assert distance(found, plain) > 1e-3


def test_every_row_has_a_scale_of_its_own(encoder):
    both, _ = encoder.encode(PROMPTS, query_scale=torch.tensor([1.0, 0.01]))
    assert distance(both[:1], encoder.encode(PROMPTS)[0][:1]) < 1e-5
    assert distance(both[1:], encoder.encode(PROMPTS, query_scale=0.01)[0][1:]) < 1e-5


def test_one_scale_serves_a_whole_batch(encoder):
    found, _ = encoder.encode(PROMPTS, query_scale=torch.tensor([0.01]))
    assert torch.equal(found, encoder.encode(PROMPTS, query_scale=0.01)[0])


def test_a_scale_per_row_serves_an_encoder_of_half_precision(encoder):
    half = TextEncoder(deepcopy(small_umt5()).bfloat16(), text_tokenizer(), LAYERS)
    found, _ = half.encode(PROMPTS, query_scale=torch.tensor([1.0, 0.01]))
    expected, _ = encoder.encode(PROMPTS, query_scale=torch.tensor([1.0, 0.01]))
    assert distance(found.float(), expected) < 0.1


@pytest.mark.parametrize("scale", [1.0, torch.ones(1), torch.ones(2)])
def test_a_scale_of_one_changes_nothing(encoder, scale):
    assert torch.equal(encoder.encode(PROMPTS, query_scale=scale)[0], encoder.encode(PROMPTS)[0])


def test_no_hook_is_left_behind(encoder):
    before, _ = encoder.encode(PROMPTS)
    encoder.encode(PROMPTS, query_scale=0.01)
    with (
        pytest.raises(KeyError, match="stop"),
        scaled_queries(encoder.network.encoder, LAYERS, 0.01),
    ):
        raise KeyError("stop")
    assert torch.equal(encoder.encode(PROMPTS)[0], before)


def test_layers_that_are_not_there_are_named():
    shallow = TextEncoder(small_umt5(), text_tokenizer())
    assert shallow.erg_layers == (8, 10)
    assert shallow.encode(PROMPTS)[0].isfinite().all()
    with pytest.raises(ValueError, match="layers 8 to 9 of the text encoder, which has 4"):
        shallow.encode(PROMPTS, query_scale=0.01)


def test_a_base_weakens_the_layers_its_configuration_names():
    base = build_tiny()
    assert base.text.erg_layers == (1, 2)
    plain, _ = base.text.encode(PROMPTS)
    assert distance(base.text.encode(PROMPTS, query_scale=0.01)[0], plain) > 1e-3
    configs = replace(base.configs, transformer={**base.configs.transformer, "erg": {}})
    assert replace(base, configs=configs).text.erg_layers == (8, 10)


def test_erg_layers_come_back_from_the_configuration_file():
    read = TransformerConfig.from_mapping(json.loads(json.dumps(TRANSFORMER.to_mapping())))
    assert read == TRANSFORMER
    assert read.erg == ErgConfig((2, 4), (1, 2), (1, 2))


def test_a_configuration_that_names_some_layers_has_the_published_ones_for_the_rest():
    values = TRANSFORMER.to_mapping() | {"erg": {"decoder_layers": [0, 1]}}
    assert TransformerConfig.from_mapping(values).erg == ErgConfig((0, 1), (4, 6), (8, 10))
    published = notes("ace_step_v1_state_dict")["ace_step_transformer"]["config"]
    assert asdict(TransformerConfig.from_mapping(published).erg) == {
        "decoder_layers": (15, 20),
        "lyric_encoder_layers": (4, 6),
        "text_encoder_layers": (8, 10),
    }
