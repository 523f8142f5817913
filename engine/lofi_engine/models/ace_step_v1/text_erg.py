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
        query_scale: a number, or (batch,) or (1,) float32: one for each row. The number 1.0 is
            the plain encoder, whatever the layers.

    Raises:
        ValueError: the encoder lacks some of the layers.
    """
    if isinstance(query_scale, float) and query_scale == 1.0:
        yield
        return
    scale = query_scale if isinstance(query_scale, float) else query_scale[:, None, None]

    def scaled(_module: nn.Module, _inputs: Any, queries: Tensor) -> Tensor:
        # A tensor of float32 would lift an encoder of half precision to float32.
        return queries * (scale if isinstance(scale, float) else scale.to(queries.dtype))

    blocks: Any = encoder.get_submodule("block")
    if layers[1] > len(blocks):
        raise ValueError(
            f"entropy-rectified guidance weakens layers {layers[0]} to {layers[1] - 1} of the text "
            f"encoder, which has {len(blocks)}"
        )
    with ExitStack() as hooks:
        for index in range(*layers):
            query: nn.Module = blocks[index].layer[0].SelfAttention.q
            hooks.callback(query.register_forward_hook(scaled).remove)
        yield
