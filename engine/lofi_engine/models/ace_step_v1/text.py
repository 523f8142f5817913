"""The text encoder: UMT5 (Chung et al., 2023) and its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.config import ErgConfig
from lofi_engine.models.ace_step_v1.text_erg import scaled_queries


def build_umt5(config: Mapping[str, Any]) -> nn.Module:
    """Build the encoder from the Hub's config.json values."""
    from transformers import UMT5Config, UMT5EncoderModel

    module: nn.Module = UMT5EncoderModel(UMT5Config(**config))
    return module.eval()


class TextEncoder:
    """Turns prompts into states, with the tokens a bundle's player uses.

    Args:
        network: a `UMT5EncoderModel`.
        tokenizer_json: the text of UMT5's `tokenizer.json`.
        erg_layers: half-open range of the layers that `encode`'s `query_scale` weakens.

    Raises:
        ValueError: the text is not a tokenizer of that kind.
    """

    def __init__(
        self,
        network: nn.Module,
        tokenizer_json: str,
        erg_layers: tuple[int, int] = ErgConfig().text_encoder_layers,
    ) -> None:
        from lofi_runtime.pipeline.text import TextTokenizer

        self.network = network
        self.tokenizer_json = tokenizer_json
        self.erg_layers = erg_layers
        self._tokenizer = TextTokenizer(tokenizer_json)

    def encode_with_gradient(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Give what `encode` gives, for who teaches the network."""
        device = next(self.network.parameters()).device
        ids, mask = (torch.from_numpy(part).to(device) for part in self._tokenizer.encode(prompts))
        states: Tensor = self.network(input_ids=ids, attention_mask=mask).last_hidden_state
        return states, mask

    @torch.no_grad()
    def encode(
        self, prompts: Sequence[str], query_scale: float | Tensor = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Give states (batch, tokens, width) float32 and mask (batch, tokens) int64.

        Prompts are padded to the longest and cut at 256 tokens, as in the published model.

        Args:
            prompts: one or more.
            query_scale: scales the queries of `erg_layers`; 0.01 there makes the weakened text of
                entropy-rectified guidance, 1 the plain one. A number, or (batch,) or (1,): one for
                each row.
        """
        ids, mask = (torch.from_numpy(part) for part in self._tokenizer.encode(prompts))
        encoder = self.network.get_submodule("encoder")
        with scaled_queries(encoder, self.erg_layers, query_scale):
            states: Tensor = self.network(input_ids=ids, attention_mask=mask).last_hidden_state
        return states, mask

    def count(self, prompt: str) -> int:
        """Count a prompt's tokens before any cut, the end token included."""
        return self._tokenizer.count(prompt)
