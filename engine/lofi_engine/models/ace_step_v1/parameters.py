"""Every weight of a base by name and shape, worked out from its configuration.

Names are the checkpoint's. Two things differ from its files: weight norm is worked out (`weight_g`
and `weight_v` are one `weight`), and UMT5's table is listed once, by the name its graph reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from lofi_engine.models.ace_step_v1.config import (
    LyricEncoderConfig,
    TransformerConfig,
    VocoderConfig,
)
from lofi_engine.models.ace_step_v1.dcae_parameters import dcae_decoder, dcae_encoder
from lofi_engine.models.ace_step_v1.published import DCAE, PUBLISHED, TEXT, TRANSFORMER, VOCODER
from lofi_engine.models.outline import Outline, OutlinedWeight, Use

Weights = Iterator[OutlinedWeight]

_TIMESTEP_CHANNELS = 256
_PATCH_WIDENING = 256
_CROSS_ATTENTION_EXTRA = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")

SIZE_TARGETS = {"fp16": 3.9e9, "int8": 2.5e9, "int4": 1.5e9}
"""What this project's specification hoped for at full size, counting the bfloat16 checkpoint as
float32."""

NEVER_RUN = "never run (the cross-attention's add_* projections)"
TRAINING_ONLY = "run in training only (the projectors)"
ENCODING_ONLY = "run to encode audio only (the DCAE's encoder, the mel filters)"


def outline(configs: Mapping[str, Mapping[str, Any]], source: str) -> Outline:
    """List the weights of a base.

    Args:
        configs: the values of config.json, by folder.
        source: which configuration that is, for people.

    Raises:
        ValueError: a key that shapes a weight is missing, or has a value no ACE-Step v1 base has.
    """
    transformer = TransformerConfig.from_mapping(configs[TRANSFORMER])
    vocoder = VocoderConfig.from_mapping(configs[VOCODER])
    return Outline(
        source,
        graphs={
            "text_encoder": tuple(_text_encoder(configs[TEXT])),
            "transformer_encoder": tuple(_transformer_encoder(transformer)),
            "transformer_decoder": tuple(_transformer_decoder(transformer)),
            "dcae_decoder": tuple(dcae_decoder(configs[DCAE])),
            "vocoder": tuple(_vocoder(vocoder)),
        },
        left_out={
            NEVER_RUN: tuple(_never_run(transformer)),
            TRAINING_ONLY: tuple(_projectors(transformer)),
            ENCODING_ONLY: (*dcae_encoder(configs[DCAE]), *_mel_filters(vocoder)),
        },
        size_targets=SIZE_TARGETS if configs[TRANSFORMER] == PUBLISHED[TRANSFORMER] else {},
    )


def transformer_weights(config: TransformerConfig) -> tuple[OutlinedWeight, ...]:
    """List every weight of the transformer, run or not."""
    return (
        *_transformer_encoder(config),
        *_transformer_decoder(config),
        *_never_run(config),
        *_projectors(config),
    )


def _linear(name: str, inputs: int, outputs: int, *, bias: bool = True) -> Weights:
    yield OutlinedWeight(f"{name}.weight", (outputs, inputs), "matrix")
    if bias:
        yield OutlinedWeight(f"{name}.bias", (outputs,))


def _pointwise(name: str, inputs: int, outputs: int, axes: int, *, bias: bool = True) -> Weights:
    """Give a convolution of kernel 1 over `axes` axes: a matrix, and quantized as one."""
    yield OutlinedWeight(f"{name}.weight", (outputs, inputs, *(1,) * axes), "matrix")
    if bias:
        yield OutlinedWeight(f"{name}.bias", (outputs,))


def _conv(name: str, outputs: int, *others: int, bias: bool = True) -> Weights:
    yield OutlinedWeight(f"{name}.weight", (outputs, *others))
    if bias:
        yield OutlinedWeight(f"{name}.bias", (outputs,))


def _norm(name: str, width: int) -> Weights:
    yield OutlinedWeight(f"{name}.weight", (width,))
    yield OutlinedWeight(f"{name}.bias", (width,))


def _lone(name: str, *shape: int, use: Use = "other") -> Weights:
    yield OutlinedWeight(name, shape, use)


def _text_encoder(config: Mapping[str, Any]) -> Weights:
    try:
        width, inner = int(config["d_model"]), int(config["num_heads"]) * int(config["d_kv"])
        hidden, layers = int(config["d_ff"]), int(config["num_layers"])
        table = (int(config["vocab_size"]), width)
        buckets = (int(config["relative_attention_num_buckets"]), int(config["num_heads"]))
        gated = str(config["feed_forward_proj"]).startswith("gated-")
    except KeyError as error:
        raise ValueError(f"{TEXT}: lacks {error.args[0]}") from error
    yield from _lone("encoder.embed_tokens.weight", *table, use="table")
    for layer in range(layers):
        block = f"encoder.block.{layer}.layer"
        for name in ("q", "k", "v"):
            yield from _linear(f"{block}.0.SelfAttention.{name}", width, inner, bias=False)
        yield from _linear(f"{block}.0.SelfAttention.o", inner, width, bias=False)
        bias = f"{block}.0.SelfAttention.relative_attention_bias.weight"
        yield from _lone(bias, *buckets, use="table")
        yield from _lone(f"{block}.0.layer_norm.weight", width)
        for name in ("wi_0", "wi_1") if gated else ("wi",):
            yield from _linear(f"{block}.1.DenseReluDense.{name}", width, hidden, bias=False)
        yield from _linear(f"{block}.1.DenseReluDense.wo", hidden, width, bias=False)
        yield from _lone(f"{block}.1.layer_norm.weight", width)
    yield from _lone("encoder.final_layer_norm.weight", width)


def _transformer_encoder(config: TransformerConfig) -> Weights:
    width = config.inner_dim
    rows, row = config.lyric_encoder_vocab_size, config.lyric_hidden_size
    yield from _linear("speaker_embedder", config.speaker_embedding_dim, width)
    yield from _linear("genre_embedder", config.text_embedding_dim, width)
    yield from _lone("lyric_embs.weight", rows, row, use="table")
    yield from _lyric_encoder(row, config.lyric_encoder)
    yield from _linear("lyric_proj", config.lyric_encoder.output_size, width)


def _lyric_encoder(inputs: int, config: LyricEncoderConfig) -> Weights:
    width, heads = config.output_size, config.attention_heads
    yield from _linear("lyric_encoder.embed.out.0", inputs, width)
    yield from _norm("lyric_encoder.embed.out.1", width)
    yield from _norm("lyric_encoder.after_norm", width)
    for layer in range(config.num_blocks):
        block = f"lyric_encoder.encoders.{layer}"
        for name in ("linear_q", "linear_k", "linear_v", "linear_out"):
            yield from _linear(f"{block}.self_attn.{name}", width, width)
        yield from _linear(f"{block}.self_attn.linear_pos", width, width, bias=False)
        for name in ("pos_bias_u", "pos_bias_v"):
            yield from _lone(f"{block}.self_attn.{name}", heads, width // heads)
        yield from _linear(f"{block}.feed_forward.w_1", width, config.linear_units)
        yield from _linear(f"{block}.feed_forward.w_2", config.linear_units, width)
        yield from _norm(f"{block}.norm_ff", width)
        yield from _norm(f"{block}.norm_mha", width)


def _transformer_decoder(config: TransformerConfig) -> Weights:
    width, patch = config.inner_dim, config.patch_size
    widened = config.in_channels * _PATCH_WIDENING
    early = "proj_in.early_conv_layers"
    yield from _conv(f"{early}.0", widened, config.in_channels, *patch)
    yield from _norm(f"{early}.1", widened)
    yield from _pointwise(f"{early}.2", widened, width, axes=2)
    yield from _linear("timestep_embedder.linear_1", _TIMESTEP_CHANNELS, width)
    yield from _linear("timestep_embedder.linear_2", width, width)
    yield from _linear("t_block.1", width, 6 * width)
    for layer in range(config.num_layers):
        yield from _block(f"transformer_blocks.{layer}", width, int(width * config.mlp_ratio))
    yield from _linear("final_layer.linear", width, patch[0] * patch[1] * config.out_channels)
    yield from _lone("final_layer.scale_shift_table", 2, width)


def _block(name: str, width: int, hidden: int) -> Weights:
    yield from _lone(f"{name}.scale_shift_table", 6, width)
    for attention in ("attn", "cross_attn"):
        for projection in ("to_q", "to_k", "to_v", "to_out.0"):
            yield from _linear(f"{name}.{attention}.{projection}", width, width)
    yield from _pointwise(f"{name}.ff.inverted_conv.conv", width, 2 * hidden, axes=1)
    yield from _conv(f"{name}.ff.depth_conv.conv", 2 * hidden, 1, 3)
    yield from _pointwise(f"{name}.ff.point_conv.conv", hidden, width, axes=1, bias=False)


def _never_run(config: TransformerConfig) -> Weights:
    for layer in range(config.num_layers):
        for name in _CROSS_ATTENTION_EXTRA:
            attention = f"transformer_blocks.{layer}.cross_attn"
            yield from _linear(f"{attention}.{name}", config.inner_dim, config.inner_dim)


def _projectors(config: TransformerConfig) -> Weights:
    width = config.inner_dim
    for number, target in enumerate(config.ssl_latent_dims):
        yield from _linear(f"projectors.{number}.0", width, 2 * width)
        yield from _linear(f"projectors.{number}.2", 2 * width, 2 * width)
        yield from _linear(f"projectors.{number}.4", 2 * width, target)


def _vocoder(config: VocoderConfig) -> Weights:
    yield from _conv_next(config)
    yield from _hifi_gan(config)


def _conv_next(config: VocoderConfig) -> Weights:
    dims, kernel = config.dims, config.kernel_sizes[0]
    layers = "backbone.channel_layers"
    yield from _conv(f"{layers}.0.0", dims[0], config.input_channels, 7)
    yield from _norm(f"{layers}.0.1", dims[0])
    for number, (narrow, wide) in enumerate(pairwise(dims), start=1):
        yield from _norm(f"{layers}.{number}.0", narrow)
        yield from _pointwise(f"{layers}.{number}.1", narrow, wide, axes=1)
    for stage, (dim, depth) in enumerate(zip(dims, config.depths, strict=True)):
        for number in range(depth):
            block = f"backbone.stages.{stage}.{number}"
            yield from _lone(f"{block}.gamma", dim)
            yield from _conv(f"{block}.dwconv", dim, 1, kernel)
            yield from _norm(f"{block}.norm", dim)
            yield from _linear(f"{block}.pwconv1", dim, 4 * dim)
            yield from _linear(f"{block}.pwconv2", 4 * dim, dim)
    yield from _norm("backbone.norm", dims[-1])


def _hifi_gan(config: VocoderConfig) -> Weights:
    channels = config.upsample_initial_channel
    yield from _conv("head.conv_pre", channels, config.num_mels, config.pre_conv_kernel_size)
    kinds = tuple(zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True))
    for number, kernel in enumerate(config.upsample_kernel_sizes):
        # A transposed convolution's weight starts with its inputs; its bias has its outputs.
        yield from _lone(f"head.ups.{number}.weight", channels, channels // 2, kernel)
        channels //= 2
        yield from _lone(f"head.ups.{number}.bias", channels)
        for kind, (size, dilations) in enumerate(kinds, start=number * len(kinds)):
            for half in ("convs1", "convs2"):
                for index in range(len(dilations)):
                    name = f"head.resblocks.{kind}.{half}.{index}"
                    yield from _conv(name, channels, channels, size)
    yield from _conv("head.conv_post", 1, channels, config.post_conv_kernel_size)


def _mel_filters(config: VocoderConfig) -> Weights:
    yield from _lone("mel_transform.spectrogram.window", config.win_length)
    yield from _lone("mel_transform.mel_scale.fb", config.n_fft // 2 + 1, config.n_mels)
