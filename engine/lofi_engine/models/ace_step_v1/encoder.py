"""Encoding the conditions: one speaker token, then the text, then the lyrics."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """What encoding needs and how it goes; a subclass builds the parts.

    The trainable transformer is one, the graph `transformer_encoder.onnx` another.
    """

    speaker_embedder: nn.Module
    genre_embedder: nn.Module
    lyric_embs: nn.Module
    lyric_encoder: nn.Module
    lyric_proj: nn.Module

    def encode(
        self,
        text_states: Tensor,
        text_mask: Tensor,
        speaker: Tensor,
        lyric_ids: Tensor,
        lyric_mask: Tensor,
        query_scale: float | Tensor = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Encode the conditions to a context and its mask.

        Args:
            text_states: (batch, tokens, text_width).
            text_mask: (batch, tokens).
            speaker: (batch, speaker_width); zeros for none.
            lyric_ids: (batch, lyric_tokens) int64.
            lyric_mask: (batch, lyric_tokens).
            query_scale: scales the queries of the lyric encoder's ERG layers; 0.01 there makes the
                weakened condition of entropy-rectified guidance, 1 the plain one. A number, or
                (batch,) or (1,): one for each row.

        Returns:
            (batch, 1 + tokens + lyric_tokens, dim) and (batch, 1 + tokens + lyric_tokens) float32.
        """
        # Three axes keep the projection a MatMul in a graph; two would make it a Gemm.
        speaker_states = self.speaker_embedder(speaker[:, None, :])
        lyrics = self.lyric_encoder(self.lyric_embs(lyric_ids), lyric_mask, query_scale)
        states = torch.cat(
            (speaker_states, self.genre_embedder(text_states), self.lyric_proj(lyrics)), dim=1
        )
        # The speaker's token always counts: zeros there mean no speaker in particular.
        speaker_mask = torch.ones_like(speaker[:, :1], dtype=torch.float32)
        return states, torch.cat((speaker_mask, text_mask.float(), lyric_mask.float()), dim=1)
