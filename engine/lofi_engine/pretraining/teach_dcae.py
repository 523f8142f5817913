"""Teaches the DCAE: log-mel through latents and back.

The latents are what the transformer must learn, so they are kept small and smooth: pulled towards
zero mean and unit variance, and decoded with a little noise on them (as Rombach et al., "Latent
Diffusion", 2022, section 3.1, keep theirs from growing).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.dcae import SAMPLE_RATE, decode_latents, encode_mel
from lofi_engine.pretraining.loop import Loop, Teaching
from lofi_engine.pretraining.settings import StepSettings
from lofi_engine.pretraining.tracks import FRAMES_PER_LATENT, HOP, TrackSet

_NOISE, _ROBUST_NOISE = 0.08, 0.4
"""Deviation of the noise that latents are decoded with, theirs is about 1: first so little that
detail is learned, then so much that what a transformer is likely to get wrong is not heard."""
_PULL, _ROBUST_PULL = 0.02, 0.1
"""Weight of the pull; latents would grow to drown the noise."""
_EDGES = 0.5
"""Weight of the error of differences between neighbours, in time and in frequency."""


def teach_dcae(
    dcae: nn.Module,
    tracks: TrackSet,
    teaching: Teaching,
) -> None:
    """Teach a DCAE in place; it goes on from its checkpoint.

    Raises:
        StageError: see `Loop.run`.
    """
    settings = teaching.settings
    frames = window_frames(settings)
    dcae.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loop = Loop("dcae", {"dcae": dcae}, teaching)

    def step(number: int) -> Mapping[str, float]:
        is_robust = 0 < settings.robust_from <= number
        mel = tracks.mel_windows(settings.batch_size, frames, loop.draws).to(loop.device)
        with loop.arithmetic():
            total, losses = _loss(dcae, mel, is_robust)
        loop.take_step(total, 1.0)
        return losses

    loop.run(step)
    dcae.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def window_frames(settings: StepSettings) -> int:
    """Give the mel frames of a window, whole latent frames."""
    latents = round(settings.window_sec * SAMPLE_RATE / HOP / FRAMES_PER_LATENT)
    return max(1, latents) * FRAMES_PER_LATENT


def _loss(dcae: nn.Module, mel: Tensor, is_robust: bool) -> tuple[Tensor, dict[str, float]]:
    latents = encode_mel(dcae.get_submodule("encoder"), mel)
    noisy = latents + (_ROBUST_NOISE if is_robust else _NOISE) * torch.randn_like(latents)
    decoded = decode_latents(dcae.get_submodule("decoder"), noisy)
    decoded = decoded.float()
    error = F.l1_loss(decoded, mel)
    edges = sum(F.l1_loss(decoded.diff(dim=axis), mel.diff(dim=axis)) for axis in (-1, -2))
    latents = latents.float()
    mean, variance = latents.mean(dim=(0, 3)), latents.var(dim=(0, 3))
    pull = mean.square().mean() + (variance.clamp(min=1e-4).log()).square().mean()
    total = error + _EDGES * edges + (_ROBUST_PULL if is_robust else _PULL) * pull
    return total, {"log_mel": error.item(), "pull": pull.item()}
