"""Networks rewritten for export: each equals its eager one and shares its weights.

The base is never changed; where a network has to be rewritten, a copy is. What is mended and why:

- 1x1 convolutions of the decoder become linear layers: as Conv, quantizers skip them, and those of
  the feed-forward are 47 % of it.
- Weights that never run are left out, and parameter names stay the checkpoint's.
- Weight norm is worked out once instead of at every call.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.attention import CrossAttention
from lofi_engine.models.ace_step_v1.decoder import Decoder
from lofi_engine.models.ace_step_v1.encoder import Encoder
from lofi_engine.models.ace_step_v1.feed_forward import GatedConvFeedForward
from lofi_engine.models.ace_step_v1.text_erg import scaled_queries
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.models.ace_step_v1.weight_norm import remove_weight_norm

_Module = TypeVar("_Module", bound=nn.Module)


def _twin(module: _Module) -> _Module:
    """Give a module with the same children and parameters, whose children can be replaced."""
    twin = copy.copy(module)
    twin.__dict__["_modules"] = dict(module._modules)
    return twin


def _linear(conv: nn.Conv1d | nn.Conv2d) -> nn.Linear:
    """Give a 1x1 convolution as a linear layer that shares its weights."""
    with torch.device("meta"):
        linear = nn.Linear(conv.in_channels, conv.out_channels, bias=conv.bias is not None)
    linear.weight = nn.Parameter(conv.weight.detach().flatten(1))
    if conv.bias is not None:
        linear.bias = nn.Parameter(conv.bias.detach())
    return linear


class _Inner(nn.Module):
    """Keeps a layer under the checkpoint's name (`.conv`)."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, states: Tensor) -> Tensor:
        mapped: Tensor = self.conv(states)
        return mapped


class LinearFeedForward(nn.Module):
    """`GatedConvFeedForward` with its 1x1 convolutions as linear layers."""

    def __init__(self, feed_forward: GatedConvFeedForward) -> None:
        super().__init__()
        self.inverted_conv = _Inner(_linear(feed_forward.inverted_conv.conv))
        self.depth_conv = feed_forward.depth_conv
        self.point_conv = _Inner(_linear(feed_forward.point_conv.conv))

    def forward(self, states: Tensor) -> Tensor:
        """Map (batch, frames, dim) to the same shape."""
        widened = F.silu(self.inverted_conv(states)).transpose(1, 2)
        kept, gate = self.depth_conv(widened).transpose(1, 2).chunk(2, dim=-1)
        mixed: Tensor = self.point_conv(kept * F.silu(gate))
        return mixed


class LinearPatchEmbed(nn.Module):
    """`PatchEmbed` with its 1x1 convolution as a linear layer."""

    def __init__(self, embed: nn.Module) -> None:
        super().__init__()
        patches, norm, mix = embed.get_submodule("early_conv_layers").children()
        self.early_conv_layers = nn.ModuleList([patches, norm, _linear(mix)])  # type: ignore[arg-type]

    def forward(self, latents: Tensor) -> Tensor:
        """Embed latents (batch, channels, 16, frames) as (batch, frames, dim)."""
        patches, norm, mix = self.early_conv_layers
        embedded: Tensor = mix(norm(patches(latents)).flatten(2).transpose(1, 2))
        return embedded


def _export_block(block: nn.Module) -> nn.Module:
    """Give a transformer block with linear feed-forward and without what never runs."""
    twin = _twin(block)
    twin.ff = LinearFeedForward(block.get_submodule("ff"))  # type: ignore[arg-type]
    twin.cross_attn = _twin(block.get_submodule("cross_attn"))
    for name in CrossAttention.NEVER_RUN:
        delattr(twin.cross_attn, name)
    return twin


class TextEncoderGraph(nn.Module):
    """`text_encoder.onnx`: ids and mask to hidden states."""

    def __init__(self, network: nn.Module, erg_layers: tuple[int, int]) -> None:
        super().__init__()
        self.encoder = network.get_submodule("encoder")
        self.erg_layers = erg_layers

    def forward(self, input_ids: Tensor, attention_mask: Tensor, query_scale: Tensor) -> Tensor:
        """Encode tokens (batch, tokens) int64 to (batch, tokens, text_width).

        `query_scale`, (batch,) or (1,), weakens the layers of entropy-rectified guidance.
        """
        with scaled_queries(self.encoder, self.erg_layers, query_scale):
            states: Tensor = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state
        return states


class TransformerEncoderGraph(Encoder):
    """`transformer_encoder.onnx`: conditions to a context and its mask."""

    def __init__(self, transformer: AceStepTransformer) -> None:
        super().__init__()
        self.speaker_embedder = transformer.speaker_embedder
        self.genre_embedder = transformer.genre_embedder
        self.lyric_embs = transformer.lyric_embs
        self.lyric_encoder = transformer.lyric_encoder
        self.lyric_proj = transformer.lyric_proj

    def forward(
        self,
        encoder_text_hidden_states: Tensor,
        text_attention_mask: Tensor,
        speaker_embeds: Tensor,
        lyric_token_idx: Tensor,
        lyric_mask: Tensor,
        query_scale: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Encode as `AceStepTransformer.encode` does."""
        return self.encode(
            encoder_text_hidden_states,
            text_attention_mask,
            speaker_embeds,
            lyric_token_idx,
            lyric_mask,
            query_scale,
        )


class TransformerDecoderGraph(Decoder):
    """`transformer_decoder.onnx`: one denoising step's velocity.

    `timestep` and `query_scale` may be (1,) or (batch,).
    """

    def __init__(self, transformer: AceStepTransformer) -> None:
        super().__init__()
        self.config = transformer.config
        self.proj_in = LinearPatchEmbed(transformer.proj_in)
        self.timestep_embedder = transformer.timestep_embedder
        self.t_block = transformer.t_block
        self.transformer_blocks = nn.ModuleList(
            _export_block(block) for block in transformer.transformer_blocks
        )
        self.final_layer = transformer.final_layer

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_mask: Tensor,
        timestep: Tensor,
        query_scale: Tensor,
    ) -> Tensor:
        """Predict as `AceStepTransformer.decode` does."""
        return self.decode(
            hidden_states,
            attention_mask,
            encoder_hidden_states,
            encoder_hidden_mask,
            timestep,
            query_scale=query_scale,
        )


class VocoderGraph(nn.Module):
    """`vocoder.onnx`: log-mel of one channel to a waveform."""

    def __init__(self, vocoder: Vocoder) -> None:
        super().__init__()
        self.backbone = vocoder.backbone
        self.head = copy.deepcopy(vocoder.head)
        remove_weight_norm(self.head)

    def forward(self, mel_spectrogram: Tensor) -> Tensor:
        """Turn (batch, 128, frames) into (batch, 1, 512 * frames)."""
        waveform: Tensor = self.head(self.backbone(mel_spectrogram))
        return waveform
