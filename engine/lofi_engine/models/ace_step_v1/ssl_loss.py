"""The training loss that ties a block's states to features of speech and music models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def projection_loss(projector: nn.Module, states: Tensor, targets: Sequence[Tensor]) -> Tensor:
    """Give 1 - cosine similarity between projected states and features, averaged.

    The projection is stretched to each feature's own length, so features keep their frame rate.

    Args:
        projector: one of `AceStepTransformer.projectors`.
        states: (batch, frames, dim), from `decode_with_features`.
        targets: per item (feature_frames, feature_width), each of its own length.

    Returns:
        A scalar: the mean over items of the mean over frames.
    """
    losses = []
    for guess, target in zip(projector(states), targets, strict=True):
        stretched = F.interpolate(
            guess.T[None], size=len(target), mode="linear", align_corners=False
        )[0].T
        losses.append((1 - F.cosine_similarity(stretched, target, dim=-1)).mean())
    return torch.stack(losses).mean()
