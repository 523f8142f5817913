"""The lyric encoder: a conformer without its convolution, with relative positions.

Relative-position attention after Dai et al., "Transformer-XL", 2019, as in ESPnet: one sinusoid
per distance from +(T-1) down to -(T-1).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.attention import MASKED, per_row
from lofi_engine.models.ace_step_v1.config import LyricEncoderConfig


def relative_positions(length: int, dim: int, device: torch.device) -> Tensor:
    """Compute the sinusoids of all distances, (1, 2 * length - 1, dim), sines on even channels."""
    order = torch.arange(0, dim, 2, dtype=torch.float32, device=device)
    frequencies = torch.exp(order * -(math.log(10000.0) / dim))
    steps = torch.arange(2 * length - 1, dtype=torch.int64, device=device)
    angles = ((length - 1) - steps).float()[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[None]


def align_distances(scores: Tensor) -> Tensor:
    """Turn scores by distance (batch, heads, T, 2T - 1) into scores by key (batch, heads, T, T).

    Query i and key j are i - j apart, which is column T - 1 - i + j. Padding one column and
    reading the rows at the new stride shifts row i by i, with no gather.
    """
    length = scores.shape[-2]
    flat = F.pad(scores, (1, 0)).flatten(-2)[..., length:]
    return torch.unflatten(flat, -1, (length, 2 * length - 1))[..., :length]


class RelativeAttention(nn.Module):
    """Self-attention whose scores add a term for content and a term for distance."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear_q = nn.Linear(dim, dim)
        self.linear_k = nn.Linear(dim, dim)
        self.linear_v = nn.Linear(dim, dim)
        self.linear_out = nn.Linear(dim, dim)
        self.linear_pos = nn.Linear(dim, dim, bias=False)
        self.pos_bias_u = nn.Parameter(torch.zeros(heads, dim // heads))
        self.pos_bias_v = nn.Parameter(torch.zeros(heads, dim // heads))

    def _split(self, states: Tensor) -> Tensor:
        return torch.unflatten(states, -1, (self.heads, -1))

    def forward(
        self, states: Tensor, hidden: Tensor, positions: Tensor, query_scale: float | Tensor
    ) -> Tensor:
        """Attend over (batch, tokens, dim).

        Args:
            states: (batch, tokens, dim).
            hidden: (batch, 1, 1, tokens) bool, true for tokens that do not count.
            positions: (1, 2 * tokens - 1, dim).
            query_scale: multiplies the queries, see `attention.per_row`; below 1 for
                entropy-rectified guidance.
        """
        query = self._split(self.linear_q(states) * query_scale)
        key = self._split(self.linear_k(states)).transpose(1, 2)
        value = self._split(self.linear_v(states)).transpose(1, 2)
        distance = self._split(self.linear_pos(positions)).transpose(1, 2)
        by_content = (query + self.pos_bias_u).transpose(1, 2) @ key.transpose(-2, -1)
        by_distance = (query + self.pos_bias_v).transpose(1, 2) @ distance.transpose(-2, -1)
        scores = (by_content + align_distances(by_distance)) / math.sqrt(key.shape[-1])
        # Finite, then zeroed: where no token counts the answer is zero and never NaN.
        # Float16 reaches no further than -65504.
        masked = scores.masked_fill(hidden, max(MASKED, torch.finfo(scores.dtype).min))
        weights = torch.softmax(masked, dim=-1).masked_fill(hidden, 0.0)
        attended: Tensor = self.linear_out((weights @ value).transpose(1, 2).flatten(-2))
        return attended


class FeedForward(nn.Module):
    """Two layers with SiLU between."""

    def __init__(self, dim: int, hidden: int, dropout_rate: float) -> None:
        super().__init__()
        self.w_1 = nn.Linear(dim, hidden)
        self.w_2 = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, states: Tensor) -> Tensor:
        """Map (batch, tokens, dim) to the same shape."""
        fed: Tensor = self.w_2(self.dropout(F.silu(self.w_1(states))))
        return fed


class LyricEncoderLayer(nn.Module):
    """Attention and feed-forward, each behind its norm and added to its input."""

    def __init__(self, config: LyricEncoderConfig) -> None:
        super().__init__()
        dim = config.output_size
        self.self_attn = RelativeAttention(dim, config.attention_heads)
        self.feed_forward = FeedForward(dim, config.linear_units, config.dropout_rate)
        self.norm_ff = nn.LayerNorm(dim, eps=1e-5)
        self.norm_mha = nn.LayerNorm(dim, eps=1e-5)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(
        self, states: Tensor, hidden: Tensor, positions: Tensor, query_scale: float | Tensor
    ) -> Tensor:
        """Map (batch, tokens, dim) to the same shape."""
        attended = self.self_attn(self.norm_mha(states), hidden, positions, query_scale)
        states = states + self.dropout(attended)
        fed: Tensor = states + self.dropout(self.feed_forward(self.norm_ff(states)))
        return fed


class _Embed(nn.Module):
    """The input layer, one level down, where the checkpoint keeps it (`embed.out`)."""

    def __init__(self, input_size: int, config: LyricEncoderConfig) -> None:
        super().__init__()
        dim = config.output_size
        self.out = nn.Sequential(
            nn.Linear(input_size, dim),
            nn.LayerNorm(dim, eps=1e-5),
            nn.Dropout(config.dropout_rate),
        )
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Give the first states and the relative positions."""
        states = self.out(embedded)
        positions = relative_positions(states.shape[1], states.shape[-1], states.device)
        scaled = self.dropout(states * math.sqrt(states.shape[-1]))
        return scaled, self.dropout(positions.to(states.dtype))


class LyricEncoder(nn.Module):
    """Encode embedded lyric tokens (batch, tokens, input_size) to (batch, tokens, output_size)."""

    def __init__(
        self, input_size: int, config: LyricEncoderConfig, erg_layers: tuple[int, int]
    ) -> None:
        super().__init__()
        self.embed = _Embed(input_size, config)
        self.after_norm = nn.LayerNorm(config.output_size, eps=1e-5)
        self.encoders = nn.ModuleList([LyricEncoderLayer(config) for _ in range(config.num_blocks)])
        self.erg_layers = range(*erg_layers)

    def forward(self, embedded: Tensor, mask: Tensor, query_scale: float | Tensor = 1.0) -> Tensor:
        """Encode; `mask` (batch, tokens) is 1 for tokens that count.

        `query_scale`, a number or one for each row, reaches the layers of entropy-rectified
        guidance only.
        """
        states, positions = self.embed(embedded)
        hidden = (mask == 0)[:, None, None, :]
        erg_scale = per_row(query_scale)
        for index, layer in enumerate(self.encoders):
            scale = erg_scale if index in self.erg_layers else 1.0
            states = layer(states, hidden, positions, scale)
        normalized: Tensor = self.after_norm(states)
        return normalized
