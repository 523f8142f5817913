"""The two attentions of a transformer block: linear over frames, softmax over the context."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.rope import Rotation, rotate

LEAST = 1e-15
"""The least total weight. A clamp, not a sum: exporters drop an added constant this small, and a
frame that sees nothing would then be 0 / 0."""
MASKED = -1e9
"""Added to a masked score. Finite, so that a row with nothing to attend to stays a number."""


def _split(states: Tensor, heads: int) -> Tensor:
    """Turn (batch, positions, dim) into (batch, heads, positions, head_dim)."""
    return torch.unflatten(states, -1, (heads, -1)).transpose(1, 2)


def _join(heads: Tensor) -> Tensor:
    """Turn (batch, heads, positions, head_dim) into (batch, positions, dim)."""
    return heads.transpose(1, 2).flatten(-2)


class LinearSelfAttention(nn.Module):
    """Self-attention with a ReLU kernel, linear in the number of frames.

    After Katharopoulos et al., "Transformers are RNNs", 2020, with rotated queries and keys. Sums
    over frames are kept in float32: at 240 s they pass 8e4, more than float16 can hold.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])

    def forward(
        self, states: Tensor, frame_mask: Tensor, rotation: Rotation, query_scale: float | Tensor
    ) -> Tensor:
        """Attend over (batch, frames, dim); masked frames neither give nor take.

        Args:
            states: (batch, frames, dim).
            frame_mask: (batch, frames), 1 for frames that count, else 0.
            rotation: tables for the frames.
            query_scale: multiplies the queries, see `per_row`; below 1 for entropy-rectified
                guidance.
        """
        counts = frame_mask[:, None, :, None].to(states.dtype)
        query = rotate(_split(self.to_q(states) * query_scale, self.heads), rotation)
        key = rotate(_split(self.to_k(states), self.heads), rotation)
        value = _split(self.to_v(states), self.heads)
        query = (F.relu(query) * counts).float()
        key = (F.relu(key) * counts).float()
        memory = key.transpose(-1, -2) @ value.float()
        weight = query @ key.sum(dim=-2).unsqueeze(-1)
        attended = (query @ memory) / weight.clamp(min=LEAST)
        joined: Tensor = self.to_out[0](_join(attended).to(states.dtype))
        return joined


class CrossAttention(nn.Module):
    """Softmax attention from frames to the context (speaker, text and lyric tokens).

    The `add_*` and `to_add_out` projections never run; the checkpoint has them.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])
        self.add_q_proj = nn.Linear(dim, dim)
        self.add_k_proj = nn.Linear(dim, dim)
        self.add_v_proj = nn.Linear(dim, dim)
        self.to_add_out = nn.Linear(dim, dim)

    NEVER_RUN = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")

    def forward(
        self,
        states: Tensor,
        context: Tensor,
        frame_mask: Tensor,
        context_bias: Tensor,
        rotation: Rotation,
        context_rotation: Rotation,
        query_scale: float | Tensor,
    ) -> Tensor:
        """Attend from (batch, frames, dim) to (batch, tokens, dim).

        Args:
            states: (batch, frames, dim).
            context: (batch, tokens, dim).
            frame_mask: (batch, frames), 1 for frames that count; the others attend to nothing.
            context_bias: (batch, 1, 1, tokens), added to the scores; see `context_bias`.
            rotation: tables for the frames.
            context_rotation: tables for the tokens.
            query_scale: multiplies the queries, see `per_row`; below 1 for entropy-rectified
                guidance.
        """
        query = rotate(_split(self.to_q(states) * query_scale, self.heads), rotation)
        key = rotate(_split(self.to_k(context), self.heads), context_rotation)
        value = _split(self.to_v(context), self.heads)
        attended = _join(F.scaled_dot_product_attention(query, key, value, attn_mask=context_bias))
        attended = attended * frame_mask[:, :, None].to(attended.dtype)
        joined: Tensor = self.to_out[0](attended)
        return joined


def per_row(query_scale: float | Tensor) -> float | Tensor:
    """Let a scale of queries, a number or (batch,) or (1,), multiply (batch, positions, dim)."""
    return query_scale[:, None, None] if isinstance(query_scale, Tensor) else query_scale


def context_bias(context_mask: Tensor, like: Tensor) -> Tensor:
    """Turn a mask (batch, tokens) into scores to add, (batch, 1, 1, tokens), in `like`'s dtype."""
    hidden = (context_mask != 1)[:, None, None, :]
    return hidden.to(like.dtype) * MASKED
