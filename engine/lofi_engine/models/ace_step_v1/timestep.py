"""The timestep's embedding: sinusoids, then two layers (Peebles and Xie, "DiT", 2022)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 256


def sinusoids(timestep: Tensor) -> Tensor:
    """Turn timesteps (batch,) into cosines and sines (batch, 1, 256), float32."""
    half = CHANNELS // 2
    order = torch.arange(half, dtype=torch.float32, device=timestep.device)
    frequencies = torch.exp(order * (-math.log(10000.0) / half))
    angles = timestep.float()[:, None, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


class TimestepEmbedding(nn.Module):
    """Map sinusoids (batch, 1, 256) to (batch, 1, dim).

    The middle axis keeps these layers MatMuls in a graph; on two axes they would become Gemm,
    which quantizers pass by.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(CHANNELS, dim)
        self.linear_2 = nn.Linear(dim, dim)

    def forward(self, waves: Tensor) -> Tensor:
        """Embed the sinusoids."""
        embedded: Tensor = self.linear_2(F.silu(self.linear_1(waves)))
        return embedded
