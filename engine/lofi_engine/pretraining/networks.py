"""A base's networks before anything was taught: built from its recipe, by its seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1.attention import CrossAttention
from lofi_engine.models.ace_step_v1.base import AceStepBase, Configs
from lofi_engine.models.ace_step_v1.config import TransformerConfig, VocoderConfig
from lofi_engine.models.ace_step_v1.conv_next import ConvNeXtBlock
from lofi_engine.models.ace_step_v1.dcae import build_dcae
from lofi_engine.models.ace_step_v1.published import DCAE, TEXT, TRANSFORMER, VOCODER
from lofi_engine.models.ace_step_v1.seeded import fill_seeded
from lofi_engine.models.ace_step_v1.text import TextEncoder, build_umt5
from lofi_engine.models.ace_step_v1.tiny_vocabulary import lyric_vocabulary
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.pretraining.settings import BaseSettings
from lofi_engine.pretraining.vocabulary import number_ids, text_tokenizer

_LAYER_SCALE = 0.3
"""What ConvNeXt's blocks begin with; 1e-6, made for deep networks, takes thousands of steps."""

_Config = TypeVar("_Config", TransformerConfig, VocoderConfig)


def build_networks(settings: BaseSettings) -> AceStepBase:
    """Build the untaught base of a recipe; the same weights for the same seed.

    Raises:
        StageError: a network cannot be built with the recipe's values; says which.
    """
    torch.manual_seed(settings.seed)
    configs = settings.networks
    transformer_config = _parse(TRANSFORMER, TransformerConfig, configs[TRANSFORMER])
    vocoder_config = _parse(VOCODER, VocoderConfig, configs[VOCODER])
    try:
        dcae, text = build_dcae(configs[DCAE]), build_umt5(configs[TEXT])
        vocoder, transformer = Vocoder(vocoder_config), AceStepTransformer(transformer_config)
    except (ValueError, TypeError, LookupError, RuntimeError, AssertionError) as error:
        raise StageError(f"networks: cannot be built with these values: {error}") from error
    tokenizer = text_tokenizer(int(configs[TEXT]["vocab_size"]))
    _begin_vocoder(vocoder, settings.seed)
    _begin_transformer(transformer)
    _begin_numbers(text, tokenizer)
    return AceStepBase(
        identity=f"{settings.name} (untaught)",
        configs=Configs(
            transformer_config.to_mapping(),
            dict(configs[DCAE]),
            vocoder_config.to_mapping(),
            dict(configs[TEXT]),
        ),
        transformer=transformer,
        dcae=dcae,
        vocoder=vocoder,
        text=TextEncoder(text, tokenizer),
        lyric_vocabulary=lyric_vocabulary(),
    )


def _begin_vocoder(vocoder: Vocoder, seed: int) -> None:
    fill_seeded(vocoder.head, seed=seed, name="vocoder")
    for module in vocoder.modules():
        if isinstance(module, ConvNeXtBlock):
            nn.init.constant_(module.gamma, _LAYER_SCALE)


def _begin_transformer(transformer: AceStepTransformer) -> None:
    """Let every block begin as nearly nothing, and the timestep without a say (adaLN-zero).

    Peebles and Xie, "Scalable Diffusion Models with Transformers", 2022, section 3.2.
    """
    nn.init.normal_(transformer.get_parameter("t_block.1.weight"), std=0.02)
    nn.init.zeros_(transformer.get_parameter("t_block.1.bias"))
    for block in transformer.transformer_blocks:
        nn.init.zeros_(block.get_parameter("scale_shift_table"))
        nn.init.constant_(block.get_parameter("scale_shift_table")[2::3], 0.2)
        nn.init.normal_(block.get_parameter("cross_attn.to_out.0.weight"), std=0.02)
    # What never runs is zero: it is shipped, and must not be noise.
    for name, parameter in transformer.named_parameters():
        if any(f".{part}." in name for part in CrossAttention.NEVER_RUN):
            nn.init.zeros_(parameter)
    for name in ("scale_shift_table", "linear.weight", "linear.bias"):
        nn.init.zeros_(transformer.final_layer.get_parameter(name))


def _begin_numbers(text: nn.Module, tokenizer_json: str) -> None:
    """Let near numbers have near embeddings, so that tempos nobody taught lie between others.

    Sines and cosines of the number's logarithm, as steps of tempo are heard in ratios.
    """
    table = text.get_parameter("shared.weight")
    width = table.shape[1]
    waves = 2.0 ** torch.linspace(0.0, 7.0, width // 2)
    with torch.no_grad():
        for number, token in number_ids(tokenizer_json).items():
            angles = math.log(number) * waves
            table[token] = table[token] * 0.1 + torch.cat([angles.sin(), angles.cos()]) * 1.2


def _parse(part: str, kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    try:
        return kind.from_mapping(values)
    except ValueError as error:
        raise StageError(f"networks.{part}: {error}") from error
