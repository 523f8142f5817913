"""A training step's forward pass where audio models' features guide the inner states too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1.ssl_loss import projection_loss
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer

if TYPE_CHECKING:
    from lofi_engine.models.family import Conditioning


def projection_losses(
    transformer: nn.Module,
    latents: Tensor,
    timestep: Tensor,
    conditioning: Conditioning,
    features: Mapping[str, Sequence[Tensor]],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Predict the velocity and compare inner states with features, model by model.

    Args:
        transformer: an `AceStepTransformer`, an adapter on it or not.
        latents: (batch, 8, 16, frames).
        timestep: (batch,).
        conditioning: what the transformer is told.
        features: by model, for each batch entry (feature frames, width).

    Returns:
        The velocity in the precision of `latents`, and by model a scalar.

    Raises:
        StageError: the base has no projector for a model, or one of another width.
    """
    assert isinstance(transformer, AceStepTransformer)  # what this family loads
    names = [name.replace("-", "") for name in transformer.config.ssl_names]
    _check(names, transformer.config.ssl_latent_dims, features)
    inner = next(transformer.final_layer.parameters()).dtype
    context, mask = transformer.encode(
        conditioning.text_states.to(inner),
        conditioning.text_mask,
        conditioning.speaker.to(inner),
        conditioning.lyric_ids,
        conditioning.lyric_mask,
    )
    frame_mask = latents.new_ones(latents.shape[0], latents.shape[-1])
    velocity, states = transformer.decode_with_features(
        latents.to(inner), frame_mask, context, mask, timestep
    )
    losses = {
        name: projection_loss(projector, heard, features[name])
        for name, projector, heard in zip(names, transformer.projectors, states, strict=True)
        if name in features
    }
    return velocity.to(latents.dtype), losses


def _check(
    names: Sequence[str], widths: Sequence[int], features: Mapping[str, Sequence[Tensor]]
) -> None:
    known = dict(zip(names, widths, strict=True))
    for name, items in features.items():
        width = items[0].shape[-1]
        if name not in known:
            raise StageError(
                f"training.ssl: this base has no projector for {name}",
                hint=f"it has: {', '.join(names) or 'none'}; leave training.ssl out",
            )
        if known[name] != width:
            raise StageError(
                f"training.ssl.{name}: its features are {width} wide, the base's projector takes "
                f"{known[name]}",
                hint="name the model the base was trained with",
            )
