"""GPTQ: round a matrix row by row, and let the rows still to come make up for each error.

Frantar, Ashkboos, Hoefler and Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative
Pre-trained Transformers", 2022 (arXiv 2210.17323), algorithm 1. Written here because the packages
that have it read whole models of other kinds; the arithmetic is thirty lines. A matrix is (in, out)
as ONNX's MatMul takes it, so the paper's columns are rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.quantization.affine import Affine, fit_affine, pack_blocks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.quantization.nbits import Blocks

    Floats = npt.NDArray[np.float32]

DAMPING = 0.01
"""Share of the mean of the Gram matrix's diagonal that is added to it: inputs that calibration
hardly saw must not be trusted with everybody's errors."""


def quantize_gptq(matrix: Floats, gram: Floats, *, bits: int, block_size: int) -> Blocks:
    """Quantize `matrix` (rows, columns) so that `x @ matrix` changes least over the x seen.

    Args:
        matrix: float32.
        gram: the sum of x^T x over them, (rows, rows).
        bits: 4 or 8.
        block_size: how many rows share a scale; divides the rows.

    Raises:
        ValueError: the block size does not divide the rows.
    """
    import numpy as np

    rows, _ = matrix.shape
    if rows % block_size:
        raise ValueError(f"blocks of {block_size} do not divide {rows} rows")
    factor = _inverse_factor(gram)
    left = matrix.astype(np.float32, copy=True)
    codes = np.empty_like(left)
    affines: list[Affine] = []
    for start in range(0, rows, block_size):
        block = slice(start, start + block_size)
        importance = 1.0 / np.square(np.diagonal(factor)[block])
        affine = fit_affine(left[block], bits, importance.astype(np.float32))
        errors = np.empty_like(left[block])
        for row in range(start, start + block_size):
            codes[row] = affine.codes(left[row])
            error = (left[row] - affine.weights(codes[row])) / factor[row, row]
            inside = slice(row + 1, start + block_size)
            left[inside] -= np.outer(factor[row, inside], error)
            errors[row - start] = error
        left[start + block_size :] -= factor[block, start + block_size :].T @ errors
        affines.append(affine)
    return pack_blocks(codes, affines, bits)


def output_error(matrix: Floats, stored: Floats, gram: Floats) -> float:
    """Give the squared error of `x @ stored`, relative to the square of `x @ matrix`.

    Over the x whose `gram` is given: tr(D^T G D) / tr(W^T G W), with D the difference.
    """
    import numpy as np

    wanted = float(np.vdot(matrix, gram @ matrix))
    difference = stored - matrix
    return float(np.vdot(difference, gram @ difference)) / wanted if wanted > 0 else 0.0


def _inverse_factor(gram: Floats) -> Floats:
    """Give the upper Cholesky factor of the damped Gram matrix's inverse."""
    import numpy as np
    from scipy.linalg import cholesky, inv

    damped = gram.astype(np.float64)
    diagonal = np.diagonal(damped).copy()
    diagonal[diagonal <= 0] = 1.0  # never seen: its weights may be rounded as they are
    np.fill_diagonal(damped, diagonal + DAMPING * diagonal.mean())
    factor: npt.NDArray[np.float64] = cholesky(inv(damped), lower=False)
    return factor.astype(np.float32)
