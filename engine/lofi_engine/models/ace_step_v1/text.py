"""The text encoder: UMT5 (Chung et al., 2023) and its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


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

    Raises:
        ValueError: the text is not a tokenizer of that kind.
    """

    def __init__(self, network: nn.Module, tokenizer_json: str) -> None:
        from lofi_runtime.pipeline.text import TextTokenizer

        self.network = network
        self.tokenizer_json = tokenizer_json
        self._tokenizer = TextTokenizer(tokenizer_json)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Give states (batch, tokens, width) float32 and mask (batch, tokens) int64.

        Prompts are padded to the longest and cut at 256 tokens, as in the published model.
        """
        ids, mask = (torch.from_numpy(part) for part in self._tokenizer.encode(prompts))
        states: Tensor = self.network(input_ids=ids, attention_mask=mask).last_hidden_state
        return states, mask
