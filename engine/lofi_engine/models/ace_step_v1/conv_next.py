"""The vocoder's backbone: a 1-D ConvNeXt over mel frames (Liu et al., "A ConvNet", 2022)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.config import VocoderConfig

_EPS = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (batch, channels, frames)."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=_EPS)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize each frame."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, norm, and a four times wider pair of layers, scaled and added."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(dim, dim, kernel, padding=(kernel - 1) // 2, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=_EPS)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, states: Tensor) -> Tensor:
        """Map (batch, dim, frames) to the same shape."""
        normed = self.norm(self.dwconv(states).transpose(1, 2))
        mixed: Tensor = self.gamma * self.pwconv2(F.gelu(self.pwconv1(normed)))
        return states + mixed.transpose(1, 2)


class ConvNeXt(nn.Module):
    """Map mel (batch, mel_bins, frames) to (batch, dims[-1], frames)."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        dims = config.dims
        stem = nn.Conv1d(config.input_channels, dims[0], 7, padding=3, padding_mode="replicate")
        self.channel_layers = nn.ModuleList([nn.Sequential(stem, ChannelNorm(dims[0]))])
        for narrow, wide in pairwise(dims):
            self.channel_layers.append(
                nn.Sequential(ChannelNorm(narrow), nn.Conv1d(narrow, wide, 1))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNeXtBlock(dim, config.kernel_sizes[0]) for _ in range(depth)))
            for dim, depth in zip(dims, config.depths, strict=True)
        )
        self.norm = ChannelNorm(dims[-1])

    def forward(self, mel: Tensor) -> Tensor:
        """Run the stages."""
        states = mel
        for widen, stage in zip(self.channel_layers, self.stages, strict=True):
            states = stage(widen(states))
        normalized: Tensor = self.norm(states)
        return normalized
