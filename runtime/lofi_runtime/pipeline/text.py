"""Prompts to UMT5 token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

MAX_TOKENS = 256
_END = "</s>"
_PAD = "<pad>"


class TextTokenizer:
    """Tokenizes prompts as the text encoder was trained on them.

    Args:
        tokenizer_json: the text of a `tokenizer.json` with `</s>` and `<pad>` in its vocabulary.
        max_tokens: longer prompts are cut to this many, the end token included.

    Raises:
        ValueError: the text is not a tokenizer, or lacks one of the two tokens.
    """

    def __init__(self, tokenizer_json: str, *, max_tokens: int = MAX_TOKENS) -> None:
        self._tokenizer = load_tokenizer(tokenizer_json)
        self._max_tokens = max_tokens
        self._end = self._id_of(_END)
        self._pad = self._id_of(_PAD)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, prompts: Sequence[str]) -> tuple[Ids, Ids]:
        """Tokenize prompts into one batch.

        Args:
            prompts: one or more.

        Returns:
            ids (batch, tokens) int64, padded to the longest, each prompt closed by the end token;
            mask (batch, tokens) int64, 1 for tokens and 0 for padding.
        """
        rows = [self._encode_one(prompt) for prompt in prompts]
        longest = max(map(len, rows))
        ids = np.full((len(rows), longest), self._pad, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return ids, mask

    def count(self, prompt: str) -> int:
        """Count a prompt's tokens before any cut, the end token included.

        More than `max_tokens` means that `encode` keeps the first `max_tokens - 1` and the end.
        """
        return len(self._tokens(prompt)) + 1

    def _encode_one(self, prompt: str) -> list[int]:
        return [*self._tokens(prompt)[: self._max_tokens - 1], self._end]

    def _tokens(self, prompt: str) -> list[int]:
        """Give all of a prompt's tokens without the end token, which not every file adds."""
        tokens: list[int] = self._tokenizer.encode(prompt).ids
        return tokens[:-1] if tokens and tokens[-1] == self._end else tokens

    def _id_of(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"tokenizer.json has no token '{token}'; it is not UMT5's")
        return found


def load_tokenizer(tokenizer_json: str) -> Any:
    """Build a `tokenizers.Tokenizer` from its JSON text.

    Raises:
        ValueError: the text is not a tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(tokenizer_json)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"not a tokenizer ({error})") from error
