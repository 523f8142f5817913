"""One denoising step: from noisy latents, a context and a timestep to a velocity."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lofi_engine.models.ace_step_v1.attention import context_bias, per_row
from lofi_engine.models.ace_step_v1.block import BlockContext
from lofi_engine.models.ace_step_v1.config import TransformerConfig
from lofi_engine.models.ace_step_v1.patches import fit_length
from lofi_engine.models.ace_step_v1.rope import rotation_tables
from lofi_engine.models.ace_step_v1.timestep import sinusoids


class Decoder(nn.Module):
    """What a step needs and how it goes; a subclass builds the parts.

    The trainable transformer is one, the graph `transformer_decoder.onnx` another. Set
    `gradient_checkpointing` to trade a second forward pass for memory while training.
    """

    config: TransformerConfig
    proj_in: nn.Module
    timestep_embedder: nn.Module
    t_block: nn.Module
    transformer_blocks: nn.ModuleList
    final_layer: nn.Module
    gradient_checkpointing: bool = False

    def decode(
        self,
        latents: Tensor,
        frame_mask: Tensor,
        context: Tensor,
        context_mask: Tensor,
        timestep: Tensor,
        *,
        output_length: int | None = None,
        query_scale: float | Tensor = 1.0,
    ) -> Tensor:
        """Predict the velocity (batch, 8, 16, frames).

        Args:
            latents: (batch, 8, 16, frames).
            frame_mask: (batch, frames) float, 1 for frames that count.
            context: (batch, tokens, dim), from `Encoder.encode`.
            context_mask: (batch, tokens), from `Encoder.encode`.
            timestep: (batch,) or (1,), 0 to 1000.
            output_length: pads with zeros or cuts to so many frames; None keeps them.
            query_scale: scales the queries of the decoder's ERG layers; 0.01 there makes the
                weakened prediction of entropy-rectified guidance, 1 the plain one. A number, or
                (batch,) or (1,): one for each row.
        """
        velocity, _ = self.decode_with_features(
            latents, frame_mask, context, context_mask, timestep, query_scale=query_scale
        )
        return velocity if output_length is None else fit_length(velocity, output_length)

    def decode_with_features(
        self,
        latents: Tensor,
        frame_mask: Tensor,
        context: Tensor,
        context_mask: Tensor,
        timestep: Tensor,
        *,
        query_scale: float | Tensor = 1.0,
    ) -> tuple[Tensor, list[Tensor]]:
        """Predict the velocity and give the states that `projectors` read, one per SSL model.

        Returns:
            The velocity, and one (batch, frames, dim) per entry of `ssl_encoder_depths`; see
            `ssl_loss.projection_loss`.
        """
        # One timestep may serve the whole batch; the blocks' modulation needs one each.
        waves = sinusoids(timestep.expand(latents.shape[0])).to(latents.dtype)
        embedded_timestep = self.timestep_embedder(waves)
        states = self.proj_in(latents)
        given = self._given(states, embedded_timestep, frame_mask, context, context_mask)
        wanted = self.config.ssl_encoder_depths
        erg_layers, erg_scale = range(*self.config.erg.decoder_layers), per_row(query_scale)
        features: dict[int, Tensor] = {}
        for index, block in enumerate(self.transformer_blocks):
            scale = erg_scale if index in erg_layers else 1.0
            if self.gradient_checkpointing and torch.is_grad_enabled():
                states = checkpoint(block, states, given, scale, use_reentrant=False)
            else:
                states = block(states, given, scale)
            if index in wanted:
                features[index] = states
        velocity: Tensor = self.final_layer(states, embedded_timestep)
        return velocity, [features[depth] for depth in wanted if depth in features]

    def _given(
        self,
        states: Tensor,
        embedded_timestep: Tensor,
        frame_mask: Tensor,
        context: Tensor,
        context_mask: Tensor,
    ) -> BlockContext:
        """Work out what all blocks share."""
        head_dim, theta = self.config.attention_head_dim, self.config.rope_theta
        return BlockContext(
            modulation=torch.unflatten(self.t_block(embedded_timestep), -1, (6, -1)).squeeze(1),
            frame_mask=frame_mask,
            context=context,
            context_bias=context_bias(context_mask, like=context),
            rotation=rotation_tables(states.shape[1], head_dim, theta, states.device),
            context_rotation=rotation_tables(context.shape[1], head_dim, theta, states.device),
        )
