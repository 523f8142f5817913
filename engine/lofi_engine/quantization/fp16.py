"""Store weights as float16 and cast them to float32 where they are used.

Saves disk, not memory: ONNX Runtime folds the cast of a matrix when it loads. Arithmetic stays
float32 (linear attention's sums overflow float16), so inputs and outputs do too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir

MIN_ELEMENTS = 1024
"""Smaller tensors stay float32: a cast costs more than it saves."""


def keeps_float32(array: npt.NDArray[np.generic]) -> str:
    """Say why `array` must stay float32: "vector", "small" or "overflow"; "" where it need not.

    Vectors are norm gains, biases and frequencies: a thousandth of the bytes, and every value of
    a channel hangs on one of them.
    """
    import numpy as np

    if array.ndim < 2:
        return "vector"
    if math.prod(array.shape) < MIN_ELEMENTS:
        return "small"
    if float(np.abs(array).max()) > float(np.finfo(np.float16).max):
        return "overflow"
    return ""


def store_float16(graph: ir.Graph, value: ir.Value) -> None:
    """Make initializer `value` float16, and float32 again where it is used.

    Rows are cast after they were looked up, so that a table stays small in memory too; anything
    else is cast once, before everything that reads it.
    """
    half = _half(graph, value)
    nodes = [use.node for use in value.uses()]
    if all(node.op_type == "Gather" and node.inputs[0] is value for node in nodes):
        for node in nodes:
            _cast_after(graph, node, half)
    else:
        _cast_before(graph, value, half)


def _half(graph: ir.Graph, value: ir.Value) -> ir.Value:
    """Put a float16 copy of `value` in its place among the initializers; made when written."""
    import numpy as np
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import array_of, let_go, shape_of

    def make() -> ir.TensorProtocol:
        found = ir.tensor(array_of(value).astype(np.float16))
        let_go(value)
        return found

    name = value.name or ""
    shape = ir.Shape(shape_of(value))
    half = ir.Value(
        name=f"{name}.fp16",
        shape=shape,
        type=ir.TensorType(ir.DataType.FLOAT16),
        const_value=ir.LazyTensor(
            make,
            dtype=ir.DataType.FLOAT16,
            shape=shape,
            name=f"{name}.fp16",
        ),
    )
    graph.initializers.pop(name)
    graph.register_initializer(half)
    return half


def _cast_before(graph: ir.Graph, value: ir.Value, half: ir.Value) -> None:
    cast = _cast(half, f"{value.name}.cast")
    single = cast.outputs[0]
    single.name, single.type, single.shape = f"{value.name}.fp32", value.type, value.shape
    value.replace_all_uses_with(single)
    graph.insert_before(next(iter(graph)), cast)


def _cast_after(graph: ir.Graph, gather: ir.Node, half: ir.Value) -> None:
    import onnx_ir as ir

    rows = ir.node(
        "Gather", [half, gather.inputs[1]], gather.attributes, name=f"{gather.name}.rows"
    )
    rows.outputs[0].name = f"{rows.name}.out"
    cast = _cast(rows.outputs[0], gather.name or "")
    ir.convenience.replace_nodes_and_values(
        graph, gather, [gather], [rows, cast], gather.outputs, cast.outputs
    )


def _cast(value: ir.Value, name: str) -> ir.Node:
    import onnx_ir as ir

    return ir.node("Cast", [value], attributes={"to": int(ir.DataType.FLOAT)}, name=name)
