"""How well a transformer denoises tracks it was not trained on, at fixed noise and noise levels.

The same tracks, noise and levels for every checkpoint, so the scores compare; lower is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.training.encoded import EncodedTrack, read_shard, stack_conditioning
from lofi_engine.training.flow import add_noise, denoising_loss, shifted_sigmas

if TYPE_CHECKING:
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
    import torch

    device = next(base.transformer.parameters()).device
    grid = shifted_sigmas(shift).flip(0)
    sigmas = grid[[int(level * len(grid)) for level in LEVELS]]
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    base.transformer.eval()
    with torch.inference_mode():
        for track in tracks:
            features = read_shard(folder / track.shard)
            latents = features.latents[None, ..., :window_frames]
            conditioning = stack_conditioning([features], base.speaker_width).to(device)
            for sigma in sigmas:
                noise = torch.randn(latents.shape, generator=generator)
                level = sigma.view(1)
                noisy = add_noise(latents, noise, level)
                velocity = base.velocity(noisy.to(device), level.to(device) * 1000, conditioning)
                total += float(denoising_loss(velocity.float().cpu(), noisy, latents, level))
    return total / (len(tracks) * len(LEVELS))
