"""Flow matching as ACE-Step v1 trains it.

The path from data to noise is a straight line (Esser et al. 2024, "Scaling Rectified Flow
Transformers", section 3.1, logit-normal timesteps); the network's output is preconditioned to
predict the clean latents (Karras et al. 2022, section 5) and compared with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TRAIN_TIMESTEPS = 1000


def shifted_sigmas(shift: float) -> torch.Tensor:
    """Give the noise levels of the training grid, (1000,) float32, from 1 down to nearly 0.

    `sigma = shift * s / (1 + (shift - 1) * s)` for s = 1000/1000, 999/1000, ... 1/1000.
    """
    import torch

    share = torch.arange(TRAIN_TIMESTEPS, 0, -1, dtype=torch.float64) / TRAIN_TIMESTEPS
    return (shift * share / (1 + (shift - 1) * share)).float()


def draw_sigmas(count: int, shift: float, generator: torch.Generator) -> torch.Tensor:
    """Draw noise levels (count,), logit-normal with mean 0 and deviation 1 over the grid."""
    import torch

    share = torch.sigmoid(torch.randn(count, generator=generator))
    index = (share * TRAIN_TIMESTEPS).long().clamp(0, TRAIN_TIMESTEPS - 1)
    return shifted_sigmas(shift)[index]


def add_noise(latents: torch.Tensor, noise: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Move latents (batch, 8, 16, frames) towards noise by sigmas (batch,)."""
    level = sigmas.view(-1, 1, 1, 1)
    return level * noise + (1 - level) * latents


def denoising_loss(
    velocity: torch.Tensor,
    noisy: torch.Tensor,
    latents: torch.Tensor,
    sigmas: torch.Tensor,
    frame_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compare the clean latents the network implies with the true ones.

    Args:
        velocity: what the network said of `noisy`, (batch, 8, 16, frames).
        noisy: what it was shown.
        latents: the truth.
        sigmas: the noise level of each, (batch,).
        frame_mask: (batch, frames), 1 for frames that count. As in the reference the error is
            the mean over all frames, masked ones counting as right, times the share that counts.
            Left out, all do.

    Returns:
        The squared error of each batch entry, (batch,).
    """
    implied = velocity * -sigmas.view(-1, 1, 1, 1) + noisy
    error = (implied - latents).square()
    if frame_mask is None:
        return error.flatten(1).mean(1)
    kept = frame_mask[:, None, None, :].to(error)
    return (error * kept).flatten(1).mean(1) * kept.flatten(1).mean(1)
