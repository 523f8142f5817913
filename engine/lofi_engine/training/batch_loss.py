"""The loss of one batch, as ACE-Step v1 is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.training.flow import add_noise, denoising_loss

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base
    from lofi_engine.training.batches import Batch


@dataclass(frozen=True)
class BatchLoss:
    """What a batch cost.

    Args:
        total: differentiable; the mean denoising loss plus the projection loss at its coefficient.
        denoising: of each window, (batch,), detached.
        projection: by SSL model, before the coefficient; empty without features.
    """

    total: torch.Tensor
    denoising: torch.Tensor
    projection: dict[str, float]


def batch_loss(
    base: Base,
    batch: Batch,
    sigmas: torch.Tensor,
    noise: torch.Tensor,
    *,
    precision: str,
    ssl_coefficient: float,
) -> BatchLoss:
    """Show the network noisy latents and compare what it makes of them.

    The projection loss is the mean over the SSL models, each 1 - cosine similarity, as the
    reference adds it (REPA: Yu et al. 2024).

    Args:
        base: whose transformer is trained.
        batch: on the CPU.
        sigmas: noise level of each window, (batch,).
        noise: like the batch's latents.
        precision: of the arithmetic, "fp32", "bf16" or "fp16".
        ssl_coefficient: weight of the projection loss, where the batch has features.
    """
    import torch

    device = next(base.transformer.parameters()).device
    latents, sigmas = batch.latents.to(device), sigmas.to(device)
    noisy = add_noise(latents, noise.to(device), sigmas)
    conditioning = batch.conditioning.to(device)
    inner = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    with torch.autocast(device.type, dtype=inner, enabled=inner is not None):
        if batch.ssl:
            features = {
                name: [one.to(device) for one in items] for name, items in batch.ssl.items()
            }
            velocity, projections = base.velocity_with_projections(
                noisy, sigmas * 1000, conditioning, features
            )
        else:
            velocity, projections = base.velocity(noisy, sigmas * 1000, conditioning), {}
    each = denoising_loss(velocity.float(), noisy, latents, sigmas)
    total = each.mean()
    if projections:
        together = torch.stack([one.float() for one in projections.values()]).mean()
        total = total + ssl_coefficient * together
    return BatchLoss(
        total, each.detach(), {name: float(one.detach()) for name, one in projections.items()}
    )
