"""The ACE-Step v1 transformer: the encoder of conditions and the decoder of latents in one."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.block import Block
from lofi_engine.models.ace_step_v1.config import TransformerConfig
from lofi_engine.models.ace_step_v1.decoder import Decoder
from lofi_engine.models.ace_step_v1.encoder import Encoder
from lofi_engine.models.ace_step_v1.lyric_encoder import LyricEncoder
from lofi_engine.models.ace_step_v1.patches import FinalLayer, PatchEmbed
from lofi_engine.models.ace_step_v1.timestep import TimestepEmbedding


def _projectors(dim: int, widths: Iterable[int]) -> nn.ModuleList:
    """Build the heads that guess speech and music features from a block's states."""
    return nn.ModuleList(
        nn.Sequential(
            nn.Linear(dim, 2 * dim),
            nn.SiLU(),
            nn.Linear(2 * dim, 2 * dim),
            nn.SiLU(),
            nn.Linear(2 * dim, width),
        )
        for width in widths
    )


class AceStepTransformer(Encoder, Decoder):
    """All weights of the checkpoint's transformer; `encode` and `decode` are its halves."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.inner_dim
        self.transformer_blocks = nn.ModuleList(
            Block(dim, config.num_attention_heads, config.mlp_ratio)
            for _ in range(config.num_layers)
        )
        self.timestep_embedder = TimestepEmbedding(dim)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.speaker_embedder = nn.Linear(config.speaker_embedding_dim, dim)
        self.genre_embedder = nn.Linear(config.text_embedding_dim, dim)
        self.lyric_embs = nn.Embedding(config.lyric_encoder_vocab_size, config.lyric_hidden_size)
        self.lyric_encoder = LyricEncoder(
            config.lyric_hidden_size, config.lyric_encoder, config.erg.lyric_encoder_layers
        )
        self.lyric_proj = nn.Linear(config.lyric_encoder.output_size, dim)
        self.projectors = _projectors(dim, config.ssl_latent_dims)
        self.proj_in = PatchEmbed(config.in_channels, config.patch_size, dim)
        self.final_layer = FinalLayer(dim, config.patch_size, config.out_channels)

    def forward(
        self,
        latents: Tensor,
        frame_mask: Tensor,
        text_states: Tensor,
        text_mask: Tensor,
        speaker: Tensor,
        lyric_ids: Tensor,
        lyric_mask: Tensor,
        timestep: Tensor,
    ) -> Tensor:
        """Encode the conditions and predict the velocity; arguments as in `encode`, `decode`.

        The weights may be of half precision: the answer is in the precision of `latents`.
        """
        inner = next(self.final_layer.parameters()).dtype
        context, mask = self.encode(
            text_states.to(inner), text_mask, speaker.to(inner), lyric_ids, lyric_mask
        )
        velocity = self.decode(latents.to(inner), frame_mask, context, mask, timestep)
        return velocity.to(latents.dtype)
