"""The ways a weight can be stored, behind one set of questions: bytes, error, and "do it"."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lofi_engine.quantization import fp16, int8, nbits, tables
from lofi_engine.quantization.methods import BLOCK_SIZES, CALIBRATED, BlockMethod

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir

Kind = Literal["fp16", "dynamic", "blocks", "table"]


@dataclass(frozen=True)
class Form:
    """How one weight is stored.

    Args:
        kind: "fp16"; "dynamic" (8-bit columns, 8-bit activations); "blocks" (weight-only); "table".
        bits: 16, 8 or 4.
        block_size: for "blocks" and "table".
        method: for "blocks".
    """

    kind: Kind
    bits: int
    block_size: int = 0
    method: BlockMethod = "rtn"


FP16 = Form("fp16", 16)
DYNAMIC = Form("dynamic", 8)


def fit_block(size: int, block_size: int) -> int | None:
    """Give the largest block of at most `block_size` that divides `size`, or None."""
    while block_size >= min(BLOCK_SIZES):
        if size % block_size == 0:
            return block_size
        block_size //= 2
    return None


def stored_bytes(form: Form, shape: tuple[int, ...]) -> int:
    """Give the bytes a weight of `shape` takes in `form`, scales and zero points included."""
    if form.kind == "dynamic":
        return int8.columns_bytes(shape)
    if form.kind == "blocks":
        return nbits.blocks_bytes(shape, form.bits, form.block_size, form.method)
    if form.kind == "table":
        return tables.table_bytes(shape, form.bits, form.block_size)
    return math.prod(shape) * 2


def stored_as(form: Form, array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Give what `array` is read as once it is stored in `form`, by rounding whatever the method.

    hqq and k-quant take hours on a full decoder, and the calibrated methods what is not known yet.
    """
    return _quantize(replace(form, method="rtn"), array).dequantize()


@dataclass(frozen=True)
class Heard:
    """What calibration knows of one matrix's activation.

    Args:
        gram: the sum of x^T x over it, (rows, rows).
        input_scale: (rows,), what awq divides it by; shared by the matrices that share it.
    """

    gram: npt.NDArray[np.float32]
    input_scale: npt.NDArray[np.float32] | None = None


def store(graph: ir.Graph, value: ir.Value, form: Form, heard: Heard | None = None) -> str:
    """Store initializer `value` of `graph` in `form`.

    Args:
        graph: changed.
        value: a float32 weight.
        form: how.
        heard: for the methods that are calibrated.

    Returns:
        Why it stayed float32 (see `fp16.keeps_float32`), or "".
    """
    import numpy as np

    from lofi_engine.onnx_graphs.tensors import array_of

    array = array_of(value)
    if form.kind == "fp16":
        reason = fp16.keeps_float32(array)
        if not reason:
            fp16.store_float16(graph, value)
        return reason
    quantized = _quantize(form, np.ascontiguousarray(array, dtype=np.float32), heard)
    if isinstance(quantized, int8.Columns):
        int8.replace_matmuls(graph, value, quantized)
    elif isinstance(quantized, nbits.Blocks):
        nbits.replace_matmuls(graph, value, quantized)
    else:
        tables.replace_gathers(graph, value, quantized)
    return ""


def _quantize(
    form: Form, array: npt.NDArray[np.float32], heard: Heard | None = None
) -> int8.Columns | nbits.Blocks | tables.Table:
    if form.kind == "dynamic":
        return int8.quantize_columns(array)
    if form.kind == "blocks" and form.method in CALIBRATED:
        return _quantize_by_ear(form, array, heard)
    if form.kind == "blocks":
        return nbits.quantize_blocks(
            array, bits=form.bits, block_size=form.block_size, method=form.method
        )
    if form.kind == "table":
        return tables.quantize_table(array, form.bits, form.block_size)
    raise ValueError(f"{form.kind} is not a quantized form")


def _quantize_by_ear(
    form: Form, array: npt.NDArray[np.float32], heard: Heard | None
) -> nbits.Blocks:
    from lofi_engine.quantization.awq import quantize_plainly
    from lofi_engine.quantization.gptq import quantize_gptq

    if heard is None:
        raise ValueError(f"{form.method} needs activations")
    bits, block_size = form.bits, form.block_size
    if form.method == "gptq":
        return quantize_gptq(array, heard.gram, bits=bits, block_size=block_size)
    scale = heard.input_scale
    if scale is None:
        return quantize_plainly(array, bits=bits, block_size=block_size)
    blocks = quantize_plainly(array * scale[:, None], bits=bits, block_size=block_size)
    return replace(blocks, input_scale=scale)
