"""What a training step of ACE-Step v1 keeps for its backward pass, in bytes.

Every figure is bytes of what autograd saves, counted on the real network by
`torch.autograd.graph.saved_tensors_hooks` and by live storages, and fitted over widths, lengths and
ranks; `bench/bench_train_memory.py` measures whole trainings against them. The attentions are taken
as adapted, as every recipe does.
"""

from __future__ import annotations

from dataclasses import dataclass

from lofi_engine.models.ace_step_v1.config import LyricEncoderConfig, TransformerConfig
from lofi_engine.models.training_outline import Activations, StepForm, StepShape

_FLOAT32, _HALF = 4, 2
_ADAPTED_ON_FRAMES, _ADAPTED_ON_TOKENS = 6, 2
"""Of the eight adapted layers of a block: to_k and to_v of the cross-attention read the context."""
_WIDENED = 256
"""Channels of the patch embedding for each latent channel."""


@dataclass(frozen=True)
class _Kept:
    """Bytes that one block keeps.

    Args:
        dim: for each frame and channel of the width.
        hidden: for each frame and channel of the feed-forward's inner width.
        token: for each context token and channel of the width.
        between: what stays with gradient checkpointing, for each frame and channel.
        between_hidden: the same for each inner channel.
        weights: for each weight: a copy in the arithmetic's precision.
        extra: besides a block's own, while it is computed again, for each frame and channel.
        extra_hidden: the same for each inner channel.
    """

    dim: float
    hidden: float
    token: float
    between: float
    between_hidden: float = 0.0
    weights: float = 0.0
    extra: float = 0.0
    extra_hidden: float = 0.0


_FLOAT32_BLOCKS = {
    "fp32": _Kept(64, 32, 8, between=4, extra=-8, extra_hidden=8),
    "bf16": _Kept(62, 16, 14, between=2, extra=-6, extra_hidden=4),
    # LLM.int8 keeps its inputs where gradient checkpointing does not reach them.
    "8bit": _Kept(70, 32, 8, between=24, between_hidden=4, extra=11, extra_hidden=11),
    "4bit": _Kept(62, 28, 8, between=4, extra=-8, extra_hidden=12),
}
_HALF_BLOCKS = {
    "fp32": _Kept(40, 16, 8, between=4, weights=2, extra=-6, extra_hidden=3),
    "bf16": _Kept(40, 16, 8, between=2, extra=-6, extra_hidden=4),
    "8bit": _Kept(57, 16, 8, between=22, between_hidden=2, extra=18, extra_hidden=2),
    "4bit": _Kept(43, 18, 8, between=4, extra=2, extra_hidden=10),
}
_BACKWARD = 16
"""Gradients in flight without gradient checkpointing, for each frame and channel."""


def activations(config: TransformerConfig, shape: StepShape, form: StepForm) -> Activations:
    """Give what a step keeps.

    Args:
        config: the transformer's.
        shape: what the step sees.
        form: how it is computed.
    """
    kept = (_HALF_BLOCKS if form.is_half else _FLOAT32_BLOCKS)[form.base_precision]
    frames = shape.batch * shape.frames
    width, hidden = config.inner_dim, int(config.inner_dim * config.mlp_ratio)
    block = _block(config, shape, form, kept)
    outside = _outside(config, shape, form) + _lyrics(config, shape, form)
    if not form.gradient_checkpointing:
        in_flight = frames * width * _BACKWARD
        return Activations(
            round(outside + config.num_layers * block + in_flight),
            round(outside + block + in_flight),
        )
    between = frames * (width * kept.between + hidden * kept.between_hidden)
    again = block + frames * (width * kept.extra + hidden * kept.extra_hidden)
    again = max(again, _patch_embedding(config, frames, form))
    return Activations(
        round(outside + config.num_layers * between + again), round(outside + between + again)
    )


def _block(config: TransformerConfig, shape: StepShape, form: StepForm, kept: _Kept) -> float:
    size = _HALF if form.is_half else _FLOAT32
    frames = shape.batch * shape.frames
    tokens = shape.batch * (1 + shape.text_tokens + shape.lyric_tokens)
    width, hidden = config.inner_dim, int(config.inner_dim * config.mlp_ratio)
    total = frames * (width * kept.dim + hidden * kept.hidden) + tokens * width * kept.token
    total += form.rank * size * (frames * _ADAPTED_ON_FRAMES + tokens * _ADAPTED_ON_TOKENS)
    total += kept.weights * (8 * width * width + 3 * width * hidden)
    if form.dora:
        # Each adapted layer keeps its plain output too.
        plain = 8 if not form.is_half else 4 if form.base_precision == "bf16" else 6
        total += plain * width * (frames * _ADAPTED_ON_FRAMES + tokens * _ADAPTED_ON_TOKENS)
    return total


def _outside(config: TransformerConfig, shape: StepShape, form: StepForm) -> float:
    """Count the context, the last layer, the projectors, and latents on their way to the loss."""
    size = _HALF if form.is_half else _FLOAT32
    frames = shape.batch * shape.frames
    tokens = shape.batch * (1 + shape.text_tokens + shape.lyric_tokens)
    latents = frames * config.out_channels * config.patch_size[0] * config.patch_size[1]
    total = tokens * config.inner_dim * 2 * _FLOAT32
    total += frames * config.inner_dim * _FLOAT32 + latents * 6 * _FLOAT32
    # Two layers of twice the width each, before and after their activation.
    return total + shape.ssl_models * frames * config.inner_dim * 8 * size


def _lyrics(config: TransformerConfig, shape: StepShape, form: StepForm) -> float:
    """Count what the lyric encoder keeps; its scores grow with the square of the lyrics."""
    if not form.lyrics_adapted:
        return 0.0
    inner: LyricEncoderConfig = config.lyric_encoder
    size = _HALF if form.is_half or form.base_precision == "bf16" else _FLOAT32
    tokens, width = shape.batch * shape.lyric_tokens, inner.output_size
    by_width = {(True, "4bit"): 30, (False, "bf16"): 30}.get((form.is_half, form.base_precision))
    by_width = by_width or (24 if form.is_half else 40)
    layer = tokens * (width * by_width + inner.linear_units * 2 * size + 3 * form.rank * size)
    layer += shape.batch * inner.attention_heads * shape.lyric_tokens**2 * 2 * size
    if form.is_half and form.base_precision == "fp32":
        layer += 8 * width * width + 4 * width * inner.linear_units
    return inner.num_blocks * layer


def _patch_embedding(config: TransformerConfig, frames: int, form: StepForm) -> float:
    """Count the widest moment of the patch embedding; nothing of it is kept."""
    size = _HALF if form.is_half else _FLOAT32
    return 2.0 * frames * config.in_channels * _WIDENED * size
