"""The DCAE's decoder rewritten for export: `dcae_decoder.onnx`.

Its attention always takes the linear form: the choice by length would be baked in.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.attention import LEAST
from lofi_engine.models.ace_step_v1.dcae import decode_latents
from lofi_engine.models.family import GraphSpec


class _LinearFormProcessor:
    """The DCAE's attention in its linear form, whatever the length.

    diffusers takes the quadratic form for very short inputs; both give the same values.
    """

    def __call__(self, attention: Any, hidden_states: Tensor) -> Tensor:
        height, width = hidden_states.shape[-2:]
        last = hidden_states.movedim(1, -1)
        projected = [layer(last) for layer in (attention.to_q, attention.to_k, attention.to_v)]
        scales = [torch.cat(projected, dim=-1).movedim(-1, 1)]
        scales += [scale(scales[0]) for scale in attention.to_qkv_multiscale]
        heads = torch.cat(scales, dim=1).flatten(2)
        heads = torch.unflatten(heads, 1, (-1, 3 * attention.attention_head_dim))
        query, key, value = heads.chunk(3, dim=2)
        query, key = F.relu(query), F.relu(key)
        memory = value @ key.transpose(-1, -2)
        weight = key.sum(dim=-1).unsqueeze(-2) @ query
        attended = ((memory @ query) / weight.clamp(min=LEAST)).flatten(1, 2)
        attended = torch.unflatten(attended, -1, (height, width)).movedim(1, -1)
        mixed: Tensor = attention.norm_out(attention.to_out(attended)).movedim(-1, 1)
        return mixed + hidden_states if attention.residual_connection else mixed


class DcaeDecoderGraph(nn.Module):
    """`dcae_decoder.onnx`: latents to log-mel, scaling on both sides inside."""

    def __init__(self, dcae: nn.Module) -> None:
        super().__init__()
        self.decoder = copy.deepcopy(dcae.get_submodule("decoder"))
        for module in self.decoder.modules():
            if hasattr(module, "to_qkv_multiscale"):
                module.processor = _LinearFormProcessor()  # type: ignore[assignment]

    def forward(self, latents: Tensor) -> Tensor:
        """Decode as `dcae.decode_latents` does."""
        return decode_latents(self.decoder, latents)


def dcae_graph(dcae: nn.Module, example: Tensor) -> GraphSpec:
    """Describe `dcae_decoder.onnx`, with `example` latents (batch, 8, 16, frames)."""
    return GraphSpec(
        file="dcae_decoder.onnx",
        module=DcaeDecoderGraph(dcae).eval(),
        inputs={"latents": example},
        outputs=("mel_spectrogram",),
        dynamic={"latents": {0: "batch", 3: "frames"}},
    )
