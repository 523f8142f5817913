"""The five graphs that are exported, with example inputs and free axes.

Names, dtypes, shapes and input order are the bundle's contract with its players. The two more that
a bundle has are cut from the decoder afterwards, see `onnx_graphs.context`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1.dcae_graph import dcae_graph
from lofi_engine.models.ace_step_v1.graph_modules import (
    TextEncoderGraph,
    TransformerDecoderGraph,
    TransformerEncoderGraph,
    VocoderGraph,
)
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.models.family import GraphSpec

if TYPE_CHECKING:
    from lofi_engine.models.ace_step_v1.base import AceStepBase

# Sizes of the example inputs: all different and above one, so that no axis is taken for another.
_BATCH, _TOKENS, _LYRIC_TOKENS, _FRAMES, _MEL_FRAMES = 2, 7, 5, 12, 20


# Entropy-rectified guidance: 1 is plain, 0.01 weak; one for all rows, or one each.
_PLAIN = {"query_scale": torch.ones(1)}
_SCALES = torch.tensor([1.0, 0.01])


def _mask(*shape: int) -> Tensor:
    """Give an int64 mask whose last row is one shorter than the others."""
    mask = torch.ones(shape, dtype=torch.int64)
    mask[-1, -1] = 0
    return mask


def _noise(*shape: int) -> Tensor:
    """Give example values that are the same every time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _ids(size: int, *shape: int) -> Tensor:
    return torch.arange(shape[0] * shape[1]).reshape(shape) % size


def _text_encoder(base: AceStepBase, erg_layers: tuple[int, int]) -> GraphSpec:
    tokens = {0: "batch", 1: "tokens"}
    size = int(base.configs.text["vocab_size"])
    return GraphSpec(
        file="text_encoder.onnx",
        module=TextEncoderGraph(base.text.network, erg_layers).eval(),
        inputs={
            "input_ids": _ids(size, _BATCH, _TOKENS),
            "attention_mask": _mask(_BATCH, _TOKENS),
            "query_scale": _SCALES,
        },
        outputs=("last_hidden_state",),
        dynamic={"input_ids": tokens, "attention_mask": tokens, "query_scale": {0: "batch"}},
        defaults=_PLAIN,
    )


def _transformer_encoder(transformer: AceStepTransformer) -> GraphSpec:
    config = transformer.config
    tokens = {0: "batch", 1: "tokens"}
    lyric_tokens = {0: "batch", 1: "lyric_tokens"}
    return GraphSpec(
        file="transformer_encoder.onnx",
        module=TransformerEncoderGraph(transformer).eval(),
        inputs={
            "encoder_text_hidden_states": _noise(_BATCH, _TOKENS, config.text_embedding_dim),
            "text_attention_mask": _mask(_BATCH, _TOKENS),
            "speaker_embeds": _noise(_BATCH, config.speaker_embedding_dim),
            "lyric_token_idx": _ids(config.lyric_encoder_vocab_size, _BATCH, _LYRIC_TOKENS),
            "lyric_mask": _mask(_BATCH, _LYRIC_TOKENS),
            "query_scale": _SCALES,
        },
        outputs=("encoder_hidden_states", "encoder_hidden_mask"),
        dynamic={
            "encoder_text_hidden_states": tokens,
            "text_attention_mask": tokens,
            "speaker_embeds": {0: "batch"},
            "lyric_token_idx": lyric_tokens,
            "lyric_mask": lyric_tokens,
            "query_scale": {0: "batch"},
        },
        defaults=_PLAIN,
    )


def _transformer_decoder(transformer: AceStepTransformer) -> GraphSpec:
    config = transformer.config
    context = 1 + _TOKENS + _LYRIC_TOKENS
    return GraphSpec(
        file="transformer_decoder.onnx",
        module=TransformerDecoderGraph(transformer).eval(),
        inputs={
            "hidden_states": _noise(_BATCH, config.in_channels, config.max_height, _FRAMES),
            "attention_mask": _mask(_BATCH, _FRAMES).float(),
            "encoder_hidden_states": _noise(_BATCH, context, config.inner_dim),
            "encoder_hidden_mask": _mask(_BATCH, context).float(),
            "timestep": torch.tensor([900.0, 100.0]),
            "query_scale": _SCALES,
        },
        outputs=("sample",),
        dynamic={
            "hidden_states": {0: "batch", 3: "frames"},
            "attention_mask": {0: "batch", 1: "frames"},
            "encoder_hidden_states": {0: "batch", 1: "context"},
            "encoder_hidden_mask": {0: "batch", 1: "context"},
            "timestep": {0: "batch"},
            "query_scale": {0: "batch"},
        },
        defaults=_PLAIN,
        external_weights="transformer_decoder_weights.bin",
    )


def _vocoder(vocoder: Vocoder) -> GraphSpec:
    return GraphSpec(
        file="vocoder.onnx",
        module=VocoderGraph(vocoder).eval(),
        inputs={"mel_spectrogram": _noise(_BATCH, vocoder.config.input_channels, _MEL_FRAMES) - 4},
        outputs=("waveform",),
        dynamic={"mel_spectrogram": {0: "batch", 2: "mel_frames"}},
    )


def bundle_graphs(base: AceStepBase) -> tuple[GraphSpec, ...]:
    """List the graphs to export, in the order a generation uses them.

    Raises:
        StageError: the transformer still carries an adapter.
    """
    transformer = base.transformer
    if not isinstance(transformer, AceStepTransformer) or any(
        "lora_" in name for name, _ in transformer.named_parameters()
    ):
        raise StageError(
            f"{base.identity}: the transformer carries an adapter and cannot be exported",
            hint="merge the adapter into it first",
        )
    config = transformer.config
    return (
        _text_encoder(base, config.erg.text_encoder_layers),
        _transformer_encoder(transformer),
        _transformer_decoder(transformer),
        dcae_graph(base.dcae, _noise(_BATCH, config.in_channels, config.max_height, _FRAMES)),
        _vocoder(base.vocoder),
    )
