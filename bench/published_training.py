"""What a training takes with the networks as published, counted without running them.

The arithmetic is counted on tensors without data: multiplications and additions of every matrix
product and convolution. A step with checkpointed activations is three forward passes: one, one more
while going back, and the gradients of the states; the adapter adds little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lofi_engine.metrics.pretrained import do_without_broken_torchaudio
from lofi_engine.models.ace_step_v1.config import TransformerConfig, VocoderConfig
from lofi_engine.models.ace_step_v1.dcae import SAMPLE_RATE as DCAE_RATE
from lofi_engine.models.ace_step_v1.dcae import SAMPLES_PER_FRAME, build_dcae
from lofi_engine.models.ace_step_v1.family import AceStepV1
from lofi_engine.models.ace_step_v1.published import (
    DCAE,
    PUBLISHED,
    REPOSITORY,
    TEXT,
    TRANSFORMER,
)
from lofi_engine.models.ace_step_v1.text import build_umt5
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.recipe.model import Lora, Training
from lofi_engine.training.held import PRECISIONS
from lofi_engine.training.memory import estimate_training_memory
from lofi_engine.training.ssl_features import KINDS

TRACK_SEC = 60
TOKENS = 40
FORWARD_PASSES = 3
MERT = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
"""MERT-v1-330M; mHuBERT-147 has the sizes that transformers' HuBERT has by default."""


def print_published(lora: Lora, training: Training) -> None:
    """Print how training with the published networks compares, encoded before and in each step.

    Args:
        lora: the adapter's shape; only its targets count.
        training: how it is trained.
    """
    do_without_broken_torchaudio()
    from transformers import HubertConfig, HubertModel

    with torch.device("meta"):
        transformer = AceStepTransformer(TransformerConfig.from_mapping(PUBLISHED[TRANSFORMER]))
        dcae = build_dcae(PUBLISHED[DCAE])
        encoder = dcae.get_submodule("encoder")
        listeners = {
            "mert": HubertModel(HubertConfig(**MERT)).eval(),
            "mhubert": HubertModel(HubertConfig()).eval(),
        }
        others = [dcae, Vocoder(VocoderConfig()), build_umt5(PUBLISHED[TEXT]), *listeners.values()]
        frames = TRACK_SEC * DCAE_RATE // SAMPLES_PER_FRAME
        step = FORWARD_PASSES * _flops(lambda: _forward(transformer, frames))
        latents = _flops(lambda: encoder(torch.empty(1, 2, 128, 8 * frames)))
        heard = {name: _listening(name, network) for name, network in listeners.items()}
    print(f"As published, counted for a track of {TRACK_SEC} s, 10^12 operations:")
    parts = ", ".join(f"{name} {count / 1e12:.1f}" for name, count in heard.items())
    print(f"  a step {step / 1e12:.1f}, encoding: latents {latents / 1e12:.1f}, {parts}")
    everything = step + latents + sum(heard.values())
    print(
        f"  encoding in each step is {everything / step:.1f} times the work with audio models, "
        f"{(step + latents) / step:.1f} times without"
    )
    _print_weights(transformer, others, lora, training)


def _print_weights(
    transformer: nn.Module, others: list[nn.Module], lora: Lora, training: Training
) -> None:
    whole = 4 * sum(part.numel() for one in (transformer, *others) for part in one.parameters())
    outline = AceStepV1().training_outline(f"hf:{REPOSITORY}", revision="main", home=Path())
    held = {
        precision: estimate_training_memory(
            outline, lora, replace(training, base_precision=precision)
        ).parts["weights"]
        for precision in PRECISIONS
    }
    print(f"  weights of every network in float32: {whole / 1e9:.1f} GB; of the transformer alone")
    shares = (f"{name} {size / 1e9:.1f} GB ({size / whole:.2f})" for name, size in held.items())
    print(f"  in {', '.join(shares)}")


@torch.no_grad()
def _flops(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def _forward(transformer: nn.Module, frames: int) -> None:
    config = TransformerConfig.from_mapping(PUBLISHED[TRANSFORMER])
    one = torch.ones(1, 1, dtype=torch.int64)
    transformer(
        torch.empty(1, config.in_channels, config.max_height, frames),
        torch.ones(1, frames),
        torch.empty(1, TOKENS, config.text_embedding_dim),
        torch.ones(1, TOKENS, dtype=torch.int64),
        torch.empty(1, config.speaker_embedding_dim),
        one,
        one,
        torch.empty(1),
    )


def _listening(name: str, network: nn.Module) -> int:
    kind = KINDS[name]
    chunk = _flops(lambda: network(torch.empty(1, kind.chunk_sec * kind.sample_rate)))
    return chunk * TRACK_SEC // kind.chunk_sec
