"""One transformer block, conditioned by adaLN-single (Chen et al., "PixArt-alpha", 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.attention import CrossAttention, LinearSelfAttention
from lofi_engine.models.ace_step_v1.feed_forward import GatedConvFeedForward
from lofi_engine.models.ace_step_v1.rope import Rotation


@dataclass(frozen=True)
class BlockContext:
    """What every block of one decoding step is given besides the frames.

    Args:
        modulation: (batch, 6, dim), from the timestep.
        frame_mask: (batch, frames).
        context: (batch, tokens, dim).
        context_bias: (batch, 1, 1, tokens).
        rotation: tables for the frames.
        context_rotation: tables for the tokens.
    """

    modulation: Tensor
    frame_mask: Tensor
    context: Tensor
    context_bias: Tensor
    rotation: Rotation
    context_rotation: Rotation


def normalize(states: Tensor) -> Tensor:
    """Scale each frame to unit root mean square, without a gain."""
    return F.rms_norm(states, (states.shape[-1],), eps=1e-6)


class Block(nn.Module):
    """Linear self-attention, cross-attention and feed-forward, each added to its input.

    The timestep shifts, scales and gates the first and the last; cross-attention takes the frames
    as they are.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = LinearSelfAttention(dim, heads)
        self.cross_attn = CrossAttention(dim, heads)
        self.ff: nn.Module = GatedConvFeedForward(dim, int(dim * mlp_ratio))
        self.scale_shift_table = nn.Parameter(torch.randn(6, dim) / dim**0.5)

    def forward(
        self, states: Tensor, context: BlockContext, query_scale: float | Tensor = 1.0
    ) -> Tensor:
        """Map (batch, frames, dim) to the same shape."""
        table = self.scale_shift_table[None] + context.modulation
        shift, scale, gate, ff_shift, ff_scale, ff_gate = table.chunk(6, dim=1)
        modulated = normalize(states) * (1 + scale) + shift
        attended = self.attn(modulated, context.frame_mask, context.rotation, query_scale)
        states = states + gate * attended
        states = states + self.cross_attn(
            states,
            context.context,
            context.frame_mask,
            context.context_bias,
            context.rotation,
            context.context_rotation,
            query_scale,
        )
        modulated = normalize(states) * (1 + ff_scale) + ff_shift
        fed: Tensor = states + ff_gate * self.ff(modulated)
        return fed
