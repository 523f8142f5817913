"""The vocoder's head: a HiFi-GAN generator (Kong et al., 2020) with SiLU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.config import VocoderConfig
from lofi_engine.models.ace_step_v1.weight_norm import WeightNormConv1d, WeightNormConvTranspose1d


class ResidualBlock(nn.Module):
    """Pairs of convolutions, the first of each dilated, each pair added to its input."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            WeightNormConv1d(channels, channels, kernel, dilation) for dilation in dilations
        )
        self.convs2 = nn.ModuleList(WeightNormConv1d(channels, channels, kernel) for _ in dilations)

    def forward(self, states: Tensor) -> Tensor:
        """Map (batch, channels, samples) to the same shape."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            states = states + second(F.silu(first(F.silu(states))))
        return states


class HiFiGan(nn.Module):
    """Map frames (batch, num_mels, frames) to a waveform (batch, 1, hop_length * frames)."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        channels = config.upsample_initial_channel
        self.conv_pre = WeightNormConv1d(config.num_mels, channels, config.pre_conv_kernel_size)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        self.kernels = len(config.resblock_kernel_sizes)
        for rate, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
            self.ups.append(WeightNormConvTranspose1d(channels, channels // 2, kernel, rate))
            channels //= 2
            self.resblocks.extend(
                ResidualBlock(channels, size, dilations)
                for size, dilations in zip(
                    config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
                )
            )
        self.conv_post = WeightNormConv1d(channels, 1, config.post_conv_kernel_size)

    def forward(self, frames: Tensor) -> Tensor:
        """Upsample step by step; each step averages its residual blocks."""
        states = self.conv_pre(frames)
        for index, up in enumerate(self.ups):
            states = up(F.silu(states))
            first = index * self.kernels
            blocks = self.resblocks[first : first + self.kernels]
            states = torch.stack([block(states) for block in blocks]).sum(0) / self.kernels
        return torch.tanh(self.conv_post(F.silu(states)))
