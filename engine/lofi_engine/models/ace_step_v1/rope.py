"""Rotary positions as ACE-Step v1 builds them.

Neighbouring channels are rotated together, but the tables repeat the frequencies half by half:
channel c turns at frequency `c mod (head_dim / 2)`, so the two of a pair turn at different rates.
That is the published model's behaviour; after Su et al., "RoFormer", 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, each (positions, head_dim) float32."""


def rotation_tables(length: int, head_dim: int, theta: float, device: torch.device) -> Rotation:
    """Compute the tables for positions 0 to `length` - 1.

    They are computed at each call rather than kept: it costs next to nothing, and an exported
    graph then holds a few nodes where a table of 32768 positions would take 33 MB.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.int64, device=device).float() / head_dim
    frequencies = 1.0 / (theta**exponents)
    positions = torch.arange(length, dtype=torch.int64, device=device).float()
    angles = positions[:, None] * frequencies[None, :]
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, rotation: Rotation) -> Tensor:
    """Turn queries or keys (batch, heads, positions, head_dim); computed in float32."""
    cosines, sines = rotation
    pairs = torch.unflatten(heads.float(), -1, (-1, 2))
    quarter_turn = torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).flatten(-2)
    return (heads.float() * cosines + quarter_turn * sines).to(heads.dtype)
