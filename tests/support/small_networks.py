"""The engine's networks at the sizes of `tests/golden`, with the weights those files regenerate."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from torch import nn

from lofi_engine.models.ace_step_v1.base import AceStepBase
from lofi_engine.models.ace_step_v1.config import (
    ErgConfig,
    LyricEncoderConfig,
    TransformerConfig,
    VocoderConfig,
)
from lofi_engine.models.ace_step_v1.dcae import build_dcae
from lofi_engine.models.ace_step_v1.text import build_umt5
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from tests.golden.fill import fill_
from tests.support.golden import notes
from tests.support.tiny_training import tiny_base

TEXT = {
    "vocab_size": 463,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 4,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
}


@cache
def small_transformer() -> AceStepTransformer:
    read = notes("transformer_small")
    erg = read["erg"]
    config = replace(
        TransformerConfig.from_mapping(read["config"]),
        lyric_encoder=LyricEncoderConfig.from_mapping(read["lyric_encoder"]),
        erg=ErgConfig(tuple(erg["decoder_layers"]), tuple(erg["lyric_encoder_layers"])),
    )
    return fill_(AceStepTransformer(config)).eval()


@cache
def small_vocoder() -> Vocoder:
    return fill_(Vocoder(VocoderConfig.from_mapping(notes("vocoder_small")["config"]))).eval()


@cache
def small_dcae() -> nn.Module:
    return fill_(build_dcae(notes("dcae_small")["config"]))


@cache
def small_umt5() -> nn.Module:
    return fill_(build_umt5(TEXT))


def small_audio_base() -> AceStepBase:
    """A base whose audio networks are the small ones; the rest is the tiny base's."""
    return replace(tiny_base(), dcae=small_dcae(), vocoder=small_vocoder())
