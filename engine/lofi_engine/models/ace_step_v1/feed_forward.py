"""The gated convolutional feed-forward of a transformer block."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class _Conv(nn.Module):
    """A convolution one level down, where the checkpoint keeps it (`.conv`)."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, states: Tensor) -> Tensor:
        """Convolve (batch, channels, frames)."""
        convolved: Tensor = self.conv(states)
        return convolved


class GatedConvFeedForward(nn.Module):
    """1x1, depthwise 3, gate, 1x1; after Xie et al., "SANA", 2024 (Mix-FFN)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        doubled = 2 * hidden
        self.inverted_conv = _Conv(nn.Conv1d(dim, doubled, 1))
        self.depth_conv = _Conv(nn.Conv1d(doubled, doubled, 3, padding=1, groups=doubled))
        self.point_conv = _Conv(nn.Conv1d(hidden, dim, 1, bias=False))

    def forward(self, states: Tensor) -> Tensor:
        """Map (batch, frames, dim) to the same shape."""
        widened = F.silu(self.inverted_conv(states.transpose(1, 2)))
        kept, gate = self.depth_conv(widened).chunk(2, dim=1)
        mixed: Tensor = self.point_conv(kept * F.silu(gate))
        return mixed.transpose(1, 2)
