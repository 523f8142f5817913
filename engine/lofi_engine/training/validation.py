"""How well a transformer denoises tracks it was not trained on, at fixed noise and noise levels.

The same tracks, noise and levels for every checkpoint, so the scores compare; lower is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.training.encoded import EncodedTrack
from lofi_engine.training.features import stack_conditioning
from lofi_engine.training.flow import add_noise, denoising_loss, shifted_sigmas
from lofi_engine.training.shards import read_shard

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where on the training grid of timesteps each track is tried (share from clean-most to noise)."""


def validation_error(
    base: Base,
    folder: Path,
    tracks: Sequence[EncodedTrack],
    *,
    shift: float,
    window_frames: int,
    seed: int,
) -> float:
    """Give the mean denoising error of the base's transformer as it is now.

    Args:
        base: its transformer may carry an adapter.
        folder: the encoded set.
        tracks: at least one.
        shift: the timestep shift of training.
        window_frames: latent frames tried of each track, from its start.
        seed: of the noise.

    Returns:
        The squared error of the implied clean latents, over tracks and noise levels.
    """
    errors = validation_errors(
        base, folder, tracks, shift=shift, window_frames=window_frames, seed=seed
    )
    return mean_error(errors)


def validation_errors(
    base: Base,
    folder: Path,
    tracks: Sequence[EncodedTrack],
    *,
    shift: float,
    window_frames: int,
    seed: int,
) -> list[list[float]]:
    """Give the denoising error of every track, in their order, at each of `LEVELS`.

    Arguments are those of `validation_error`, which is their mean.
    """
    import torch

    device = next(base.transformer.parameters()).device
    sigmas = level_sigmas(shift)
    generator = torch.Generator().manual_seed(seed)
    errors = []
    base.transformer.eval()
    with torch.inference_mode():
        for track in tracks:
            features = read_shard(folder / track.shard)
            latents = features.latents[None, ..., :window_frames]
            conditioning = stack_conditioning([features], base.speaker_width).to(device)
            row = []
            for sigma in sigmas:
                noise = torch.randn(latents.shape, generator=generator)
                level = sigma.view(1)
                noisy = add_noise(latents, noise, level)
                velocity = base.velocity(noisy.to(device), level.to(device) * 1000, conditioning)
                row.append(float(denoising_loss(velocity.float().cpu(), noisy, latents, level)))
            errors.append(row)
    return errors


def mean_error(errors: Sequence[Sequence[float]]) -> float:
    """Give the mean over tracks and levels of what `validation_errors` gave."""
    total = 0.0
    for row in errors:
        for error in row:
            total += error
    return total / (len(errors) * len(LEVELS))


def level_sigmas(shift: float) -> torch.Tensor:
    """Give the noise levels, sigma from 0 to 1, that `LEVELS` are with a timestep shift."""
    grid = shifted_sigmas(shift).flip(0)
    return grid[[int(level * len(grid)) for level in LEVELS]]
