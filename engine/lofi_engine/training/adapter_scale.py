"""An adapter's scale put into its weights, and taken out again without the loss of a bit.

A float32 product with a scale that is no power of two rounds: of two neighbouring weights it can
make one. Which of the two it was is kept as the weight's lowest bit, a thirty-second of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_WORD = {2: "int16", 4: "int32"}


def fold(weights: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Multiply weights by an adapter's scale so that `unfold` gives the same bits back.

    Args:
        weights: of any shape, float32, float16 or bfloat16.
        scale: above 0.

    Returns:
        The product, in the weights' own type where that loses nothing, and what `unfold` needs
        besides: their lowest bits, eight to a byte, or None where the product says it all. Half
        precision becomes float32 where it must; float32 becomes float64 where weights are so small
        that the product loses more than a bit.
    """
    import torch

    kept = weights.dtype
    for dtype in dict.fromkeys((kept, torch.float32)):
        product = (weights.double() * scale).to(dtype)
        if _equal(unfold(product, scale, kept), weights):
            return product, None
    bits = _lowest_bits(weights)
    if kept == torch.float32:
        product = (weights.double() * scale).float()
        if _equal(unfold(product, scale, kept, bits), weights):
            return product, bits
    return weights.double() * scale, None


def unfold(
    product: torch.Tensor,
    scale: float,
    dtype: torch.dtype,
    bits: torch.Tensor | None = None,
) -> torch.Tensor:
    """Take an adapter's scale out of its weights: the inverse of `fold`.

    Args:
        product: what `fold` gave.
        scale: the same.
        dtype: of the weights before.
        bits: what `fold` gave besides.

    Returns:
        The weights, bit for bit.
    """
    import torch

    nearest = (product.double() / scale).to(dtype)
    if bits is None:
        return nearest
    lowest = _unpacked(bits, product)
    found = nearest.clone()
    infinity = torch.tensor(torch.inf, dtype=dtype)
    for neighbour in (torch.nextafter(nearest, infinity), torch.nextafter(nearest, -infinity)):
        fits = (neighbour.double() * scale).to(product.dtype) == product
        wanted = fits & (_odd(neighbour) == lowest) & (_odd(nearest) != lowest)
        found = torch.where(wanted, neighbour, found)
    return found


def bytes_of_bits(weights: torch.Tensor) -> int:
    """Give how many bytes the lowest bits of `weights` take."""
    return -(-weights.numel() // 8)


def _lowest_bits(weights: torch.Tensor) -> torch.Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.packbits(_odd(weights).flatten().numpy()))


def _unpacked(bits: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    import numpy as np
    import torch

    loose = np.unpackbits(bits.numpy(), count=like.numel()).astype(bool)
    return torch.from_numpy(loose).reshape(like.shape)


def _odd(weights: torch.Tensor) -> torch.Tensor:
    return (_words(weights) & 1).bool()


def _words(weights: torch.Tensor) -> torch.Tensor:
    import torch

    return weights.contiguous().view(getattr(torch, _WORD[weights.element_size()]))


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Compare bits: 0.0 and -0.0 differ."""
    import torch

    return torch.equal(_words(one), _words(other))
