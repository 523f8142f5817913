"""AWQ: give the inputs that speak loudest finer steps, by scaling them down and their rows up.

Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration", 2023
(arXiv 2306.00978), equations 4 and 5. Written here because the packages that have it want other
models or a GPU. Products of one activation share its scale, so that it is applied once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lofi_engine.quantization.affine import fit_affine, pack_blocks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.quantization.nbits import Blocks

    Floats = npt.NDArray[np.float32]

POWERS = tuple(step / 20 for step in range(21))
"""What is tried: 0 leaves the inputs as they are, 1 makes all of them equally loud."""


def quantize_plainly(matrix: Floats, *, bits: int, block_size: int) -> Blocks:
    """Round `matrix` (rows, columns) to the nearest numbers, with the scales that err least."""
    import numpy as np

    codes = np.empty_like(matrix)
    affines = []
    for start in range(0, len(matrix), block_size):
        block = slice(start, start + block_size)
        affine = fit_affine(matrix[block], bits)
        codes[block] = affine.codes(matrix[block])
        affines.append(affine)
    return pack_blocks(codes, affines, bits)


def find_input_scale(
    matrices: Sequence[Floats], gram: Floats, *, bits: int, block_size: int
) -> Floats:
    """Find what the rows of all `matrices` are multiplied by, and their common input divided by.

    Args:
        matrices: float32 (rows, columns), all multiplied by the same activation.
        gram: the sum of x^T x over that activation's vectors x, (rows, rows).
        bits: 4 or 8.
        block_size: how many rows share a scale; divides the rows.

    Returns:
        (rows,): all ones where no scale is better than none.
    """
    import numpy as np

    from lofi_engine.quantization.gptq import output_error

    loudness = np.sqrt(np.maximum(np.diagonal(gram), 0)).astype(np.float32)
    best = np.ones_like(loudness)
    least = np.inf
    for power in POWERS:
        scale = _scale(loudness, power)
        error = 0.0
        for matrix in matrices:
            scaled = matrix * scale[:, None]
            stored = quantize_plainly(scaled, bits=bits, block_size=block_size).dequantize()
            error += output_error(matrix, stored / scale[:, None], gram)
        if error < least:
            best, least = scale, error
    return best


def _scale(loudness: Floats, power: float) -> Floats:
    """Give loudness to a power, its middle 1; inputs never heard count as the quietest."""
    import numpy as np

    heard = loudness[loudness > 0]
    if not len(heard):
        return np.ones_like(loudness)
    scale = np.where(loudness > 0, loudness, heard.min()) ** np.float32(power)
    scale /= np.sqrt(scale.max() * scale.min())
    return np.clip(scale, 1e-4, 1e4).astype(np.float32)
