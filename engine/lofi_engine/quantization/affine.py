"""Whole numbers for a block of weights: one scale and zero point a column, and how they are packed.

What the calibrated methods share; a block is (rows, columns), and the columns are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.quantization.nbits import Blocks

    Floats = npt.NDArray[np.float32]

SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""How much of a block's range is kept: clipping the few largest makes every other step finer."""


@dataclass(frozen=True)
class Affine:
    """The numbers `round(weight / scale) + zero_point` of a block stand for its weights.

    Args:
        scale: float32 (columns,).
        zero_point: float32 (columns,), whole numbers.
        highest: the largest number, 2^bits - 1.
    """

    scale: Floats
    zero_point: Floats
    highest: int

    def codes(self, weights: Floats) -> Floats:
        """Give the whole numbers nearest to `weights` (..., columns), as float32."""
        import numpy as np

        numbers: Floats = np.rint(weights / self.scale) + self.zero_point
        np.clip(numbers, 0, self.highest, out=numbers)
        return numbers

    def weights(self, codes: Floats) -> Floats:
        """Give what `codes` (..., columns) stand for."""
        found: Floats = (codes - self.zero_point) * self.scale
        return found


def fit_affine(block: Floats, bits: int, importance: Floats | None = None) -> Affine:
    """Find the scale and zero point of each column of `block` (rows, columns).

    Zero is always exact. Of several shares of the range the one with the least error is taken.

    Args:
        block: the weights.
        bits: of a number.
        importance: (rows,), what a squared error of a row counts; all alike where left out.
    """
    import numpy as np

    highest = 2**bits - 1
    low, high = np.minimum(block.min(axis=0), 0), np.maximum(block.max(axis=0), 0)
    counts = np.ones(len(block), np.float32) if importance is None else importance
    best: Affine | None = None
    least = np.full(block.shape[1], np.inf, np.float32)
    for shrink in SHRINKS:
        scale = (high - low) * np.float32(shrink / highest)
        scale[scale < np.finfo(np.float32).tiny] = 1.0
        zero_point = np.clip(np.rint(-low * np.float32(shrink) / scale), 0, highest)
        found = Affine(scale, zero_point, highest)
        error = counts @ np.square(found.weights(found.codes(block)) - block)
        if best is None:
            best, least = found, error
            continue
        better = error < least
        best.scale[better], best.zero_point[better] = scale[better], zero_point[better]
        least[better] = error[better]
    if best is None:
        raise ValueError("no share of the range to try")
    return best


def pack_blocks(codes: Floats, affines: list[Affine], bits: int) -> Blocks:
    """Put the numbers of a matrix (rows, columns), block after block, into `MatMulNBits`' form.

    Args:
        codes: whole numbers (rows, columns).
        affines: of its blocks, equally many rows each.
        bits: 4 or 8.
    """
    import numpy as np

    from lofi_engine.quantization.nbits import Blocks

    rows, columns = codes.shape
    blocks = len(affines)
    block_size = rows // blocks
    values: npt.NDArray[np.uint8] = codes.T.astype(np.uint8).reshape(columns, blocks, block_size)
    zero_points: npt.NDArray[np.uint8] = np.stack(
        [one.zero_point for one in affines], axis=1
    ).astype(np.uint8)
    scale = np.stack([one.scale for one in affines], axis=1).astype(np.float32)
    if bits == 4:
        values = values[..., 0::2] | (values[..., 1::2] << np.uint8(4))
        if blocks % 2:  # each column begins with a whole byte
            zero_points = np.pad(zero_points, ((0, 0), (0, 1)))
        zero_points = zero_points[:, 0::2] | (zero_points[:, 1::2] << np.uint8(4))
    return Blocks(
        rows, columns, bits, block_size, values, scale.reshape(-1), zero_points.reshape(-1)
    )
