"""Which weights a graph has, what each is used for, and in how many bits it is stored.

Read from the graph itself, never from what a pass claims to have done.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lofi_engine.onnx_graphs.tensors import shape_of

if TYPE_CHECKING:
    import onnx_ir as ir

Role = Literal["matmul", "table", "linear", "other"]
"""What a float weight is used for.

"matmul": the constant right side of MatMuls. "table": rows looked up by Gather. "linear": a matrix
written as another operator (Gemm, a convolution of kernel 1): quantizers skip it, but it counts as
one that should have been quantized. "other": convolutions, norms, biases.
"""

ELIGIBLE: frozenset[Role] = frozenset({"matmul", "table", "linear"})
"""The roles a width in a variant's name speaks of."""

SCALE = ".qscale"
"""How the passes here end the name of a scale, which is no weight."""


@dataclass(frozen=True)
class Weight:
    """One stored weight.

    Args:
        name: the initializer that holds it.
        role: what it is used for.
        elements: how many numbers it stands for; scales and zero points do not count.
        bits: how many bits each is stored in.
        shape: of the initializer as stored.
    """

    name: str
    role: Role
    elements: int
    bits: int
    shape: tuple[int, ...]


def find_weights(graph: ir.Graph) -> tuple[Weight, ...]:
    """List the weights of `graph` in the order they are stored; defaults of inputs are none."""
    return tuple(_weights(graph))


def users(value: ir.Value) -> list[tuple[ir.Node, int]]:
    """List the nodes that read `value` and at which input, through a Cast of stored float16."""
    found: list[tuple[ir.Node, int]] = []
    for use in value.uses():
        if use.node.op_type == "Cast" and value.const_value is not None:
            found.extend((inner.node, inner.idx) for inner in use.node.outputs[0].uses())
        else:
            found.append((use.node, use.idx))
    return found


def is_pointwise(shape: tuple[int, ...]) -> bool:
    """Say whether a convolution's weight (out, in, *kernel) is a plain matrix."""
    return len(shape) >= 3 and all(size == 1 for size in shape[2:]) and shape[1] > 1


def _weights(graph: ir.Graph) -> Iterator[Weight]:
    for value in graph.initializers.values():
        if value.name is None or value.const_value is None or value.is_graph_input():
            continue  # the default of an input is no weight: callers give their own as it is typed
        shape = shape_of(value)
        uses = users(value)
        quantized = _quantized(value, shape, uses)
        if quantized:
            yield quantized
        elif value.const_value.dtype.is_floating_point() and not _is_scale(value, uses):
            bits = value.const_value.dtype.bitwidth
            yield Weight(value.name, _role(shape, uses), math.prod(shape), bits, shape)


def _quantized(
    value: ir.Value, shape: tuple[int, ...], uses: list[tuple[ir.Node, int]]
) -> Weight | None:
    name = value.name or ""
    for node, index in uses:
        if node.op_type == "MatMulNBits" and index == 1:
            elements = node.attributes["K"].as_int() * node.attributes["N"].as_int()
            return Weight(name, "matmul", elements, node.attributes["bits"].as_int(), shape)
        if node.op_type == "MatMulInteger" and index == 1:
            return Weight(name, "matmul", math.prod(shape), 8, shape)
        if node.op_type == "GatherBlockQuantized" and index == 0:
            return Weight(name, "table", math.prod(shape), _bits(value), shape)
        if node.op_type == "Gather" and index == 0 and _is_int8(value):
            return Weight(name, "table", math.prod(shape), 8, shape)
    return None


def _bits(value: ir.Value) -> int:
    return value.const_value.dtype.bitwidth if value.const_value is not None else 0


def _is_int8(value: ir.Value) -> bool:
    import onnx_ir as ir

    return value.const_value is not None and value.const_value.dtype == ir.DataType.INT8


def _is_scale(value: ir.Value, uses: list[tuple[ir.Node, int]]) -> bool:
    """Tell a scale from a weight: it belongs to a quantized operator or carries a pass's name."""
    quantized = {"MatMulNBits", "GatherBlockQuantized"}
    return (value.name or "").endswith(SCALE) or any(node.op_type in quantized for node, _ in uses)


def _role(shape: tuple[int, ...], uses: list[tuple[ir.Node, int]]) -> Role:
    kinds = {_use_role(shape, node, index) for node, index in uses}
    return kinds.pop() if len(kinds) == 1 else "other"


def _use_role(shape: tuple[int, ...], node: ir.Node, index: int) -> Role:
    if len(shape) == 2:
        if node.op_type == "MatMul" and index == 1:
            return "matmul"
        if node.op_type == "Gather" and index == 0 and _gathers_rows(node):
            return "table"
        if node.op_type == "Gemm" and index == 1:
            return "linear"
    if node.op_type == "Conv" and index == 1 and is_pointwise(shape):
        return "linear"
    return "other"


def _gathers_rows(node: ir.Node) -> bool:
    return "axis" not in node.attributes or node.attributes["axis"].as_int() == 0
