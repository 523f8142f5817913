"""From latents to frames and back: one patch is the whole height of 16 by one latent frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.block import normalize


class PatchEmbed(nn.Module):
    """Embed latents (batch, channels, 16, frames) as (batch, frames, dim).

    The group norm spans all of time, so padding would change the valid frames: never batch
    latents of different lengths.
    """

    def __init__(self, channels: int, patch_size: tuple[int, int], dim: int) -> None:
        super().__init__()
        widened = channels * 256
        self.early_conv_layers = nn.Sequential(
            nn.Conv2d(channels, widened, patch_size, stride=patch_size),
            nn.GroupNorm(32, widened, eps=1e-6),
            nn.Conv2d(widened, dim, 1),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Embed the latents."""
        embedded: Tensor = self.early_conv_layers(latents)
        return embedded.flatten(2).transpose(1, 2)


class FinalLayer(nn.Module):
    """Project frames (batch, frames, dim) to a velocity (batch, channels, 16, frames)."""

    def __init__(self, dim: int, patch_size: tuple[int, int], channels: int) -> None:
        super().__init__()
        self.height = patch_size[0]
        self.channels = channels
        self.linear = nn.Linear(dim, patch_size[0] * patch_size[1] * channels)
        self.scale_shift_table = nn.Parameter(torch.randn(2, dim) / dim**0.5)

    def forward(self, states: Tensor, embedded_timestep: Tensor) -> Tensor:
        """Project, given the timestep's embedding (batch, 1, dim)."""
        shift, scale = (self.scale_shift_table[None] + embedded_timestep).chunk(2, dim=1)
        projected: Tensor = self.linear(normalize(states) * (1 + scale) + shift)
        return torch.unflatten(projected, -1, (self.height, self.channels)).permute(0, 3, 2, 1)


def fit_length(velocity: Tensor, length: int) -> Tensor:
    """Pad with zeros or cut to `length` frames."""
    missing = length - velocity.shape[-1]
    return F.pad(velocity, (0, missing)) if missing > 0 else velocity[..., :length]
