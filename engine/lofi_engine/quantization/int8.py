"""Dynamic 8-bit matrix products: weights stored in 8 bits, activations quantized as they come.

Signed weights that use seven of their eight bits, -64 to 64, one affine scale a column. Processors
add pairs of products in 16 bits, where two of full range overflow: on AVX2 without VNNI signed
weights of all eight bits are off by 0.20, these by 0.024, unsigned ones by 0.020. Unsigned ones
have the slower kernel: 1.5 times as fast as float32 where these are 1.9, and 3.5 with VNNI. Every
operator is standard, so the graph loads on old runtimes too.

The arithmetic is that of `onnxruntime.quantization.quantize_dynamic` (a test says so, bit by bit).
Written again because that reads a whole graph into memory, writes beside its input and walks
columns in Python: hours, and tens of gigabytes, for the full decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.quantization.weights import SCALE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir


_LOWEST, _HIGHEST = -64, 64


@dataclass(frozen=True)
class Columns:
    """A matrix (rows, columns) in 8 bits, of which 7 are used.

    Args:
        values: (rows, columns).
        scale: (columns,).
        zero_point: (columns,).
    """

    values: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int8]

    def dequantize(self) -> npt.NDArray[np.float32]:
        """Give the matrix these numbers stand for."""
        import numpy as np

        centred = self.values.astype(np.float32) - self.zero_point.astype(np.float32)
        centred *= self.scale
        return centred


def quantize_columns(matrix: npt.NDArray[np.float32]) -> Columns:
    """Quantize float32 `matrix` (rows, columns) with one affine scale a column."""
    import numpy as np

    smallest = np.minimum(matrix.min(axis=0), 0.0)
    largest = np.maximum(matrix.max(axis=0), 0.0)
    exact = (largest.astype(np.float64) - smallest.astype(np.float64)) / (_HIGHEST - _LOWEST)
    flat = exact < np.finfo(np.float32).tiny
    exact[flat] = 1.0
    scale = exact.astype(np.float32)
    zero_point = np.where(flat, 0, np.rint(_LOWEST - smallest / exact))
    values = matrix / scale
    np.rint(values, out=values)
    values += zero_point.astype(np.float32)
    np.clip(values, _LOWEST, _HIGHEST, out=values)
    return Columns(values.astype(np.int8), scale, zero_point.astype(np.int8))


def columns_bytes(shape: tuple[int, ...]) -> int:
    """Give the bytes a matrix of `shape` takes in this form."""
    rows, columns = shape
    return rows * columns + columns * (4 + 1)


def replace_matmuls(graph: ir.Graph, value: ir.Value, columns: Columns) -> None:
    """Compute every MatMul by initializer `value` from `columns` instead.

    Products of the same activation share its quantization.
    """
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import add_initializer

    name = value.name
    values = add_initializer(graph, f"{name}.int8", columns.values)
    scale = add_initializer(graph, f"{name}{SCALE}", columns.scale)
    zero_point = add_initializer(graph, f"{name}.zero_point", columns.zero_point)
    for use in tuple(value.uses()):
        node = use.node
        activation, activation_scale, activation_zero = _quantize_activation(graph, node)
        product = ir.node(
            "MatMulInteger",
            [activation, values, activation_zero, zero_point],
            name=f"{node.name}.integer",
        )
        as_float = ir.node(
            "Cast",
            [product.outputs[0]],
            attributes={"to": int(ir.DataType.FLOAT)},
            name=f"{node.name}.float",
        )
        scales = ir.node("Mul", [activation_scale, scale], name=f"{node.name}.scales")
        scaled = ir.node("Mul", [as_float.outputs[0], scales.outputs[0]], name=node.name)
        new_nodes = [product, as_float, scales, scaled]
        for made in new_nodes[:-1]:
            made.outputs[0].name = f"{made.name}.out"
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], new_nodes, node.outputs, scaled.outputs
        )
    graph.initializers.pop(name or "")


def _quantize_activation(graph: ir.Graph, matmul: ir.Node) -> tuple[ir.Value, ir.Value, ir.Value]:
    import onnx_ir as ir

    source = matmul.inputs[0]
    if source is None:
        raise ValueError(f"MatMul '{matmul.name}' has no left side")
    for use in source.uses():
        if use.node.op_type == "DynamicQuantizeLinear":
            quantize = use.node
            break
    else:
        names = [f"{source.name}.{part}" for part in ("uint8", "scale", "zero_point")]
        outputs = [ir.Value(name=name) for name in names]
        quantize = ir.node(
            "DynamicQuantizeLinear", [source], outputs=outputs, name=f"{source.name}.quantize"
        )
        producer = source.producer()
        if producer is None:
            graph.insert_before(next(iter(graph)), quantize)
        else:
            graph.insert_after(producer, quantize)
    first, second, third = quantize.outputs
    return first, second, third
