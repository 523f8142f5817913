"""Entropy-rectified guidance in the text encoder: flattened attention in some of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def scaled_queries(
    encoder: nn.Module, layers: tuple[int, int], query_scale: float | Tensor
) -> Iterator[None]:
    """Scale the self-attention queries of some layers while the context is open.

    Args:
        encoder: UMT5's encoder stack, with `block`.
        layers: half-open range of its blocks.
        query_scale: a number, or (batch,) or (1,) float32: one for each row.
    """
    scale = query_scale if isinstance(query_scale, float) else query_scale[:, None, None]

    def scaled(_module: nn.Module, _inputs: Any, queries: Tensor) -> Tensor:
        return queries * scale

    blocks: Any = encoder.get_submodule("block")
    with ExitStack() as hooks:
        for index in range(*layers):
            query: nn.Module = blocks[index].layer[0].SelfAttention.q
            hooks.callback(query.register_forward_hook(scaled).remove)
        yield
