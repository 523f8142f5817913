"""Embedding tables in 8 or 4 bits: only the rows looked up are ever made float again.

Four bits use `GatherBlockQuantized` (ONNX Runtime 1.20 loads it). In 8 bits that operator needs
1.23, so 8-bit tables use standard operators instead: Gather of int8 blocks, Gather of their scales,
one product. They load everywhere and cost no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_engine.quantization.weights import SCALE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir


@dataclass(frozen=True)
class Table:
    """A table (rows, width) in blocks along its width.

    Args:
        values: int8 or, for 4 bits, numbers 0 to 15 as uint8; (rows, blocks, block size).
        scale: float32 (rows, blocks).
        zero_point: uint8 (rows, blocks) for 4 bits, None for 8 (symmetric).
    """

    values: npt.NDArray[np.generic]
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.uint8] | None

    def dequantize(self) -> npt.NDArray[np.float32]:
        """Give the table (rows, width) these numbers stand for."""
        import numpy as np

        centred = self.values.astype(np.float32)
        if self.zero_point is not None:
            centred -= self.zero_point[..., None].astype(np.float32)
        centred *= self.scale[..., None]
        return centred.reshape(len(centred), -1)


def quantize_table(table: npt.NDArray[np.float32], bits: int, block_size: int) -> Table:
    """Quantize float32 `table` (rows, width) in blocks of `block_size`, which divides its width.

    8 bits: symmetric, -127 to 127. 4 bits: affine, 0 to 15, zero always exact.

    Raises:
        ValueError: the block size does not divide the width, or bits are neither 4 nor 8.
    """
    import numpy as np

    if bits not in (4, 8) or table.shape[1] % block_size:
        raise ValueError(f"no {bits}-bit table of width {table.shape[1]} in blocks of {block_size}")
    blocks = table.reshape(len(table), -1, block_size)
    if bits == 8:
        scale = np.abs(blocks).max(axis=2) / np.float32(127)
        scale[scale == 0] = 1.0
        values = np.rint(blocks / scale[..., None]).clip(-127, 127).astype(np.int8)
        return Table(values, scale, None)
    smallest = np.minimum(blocks.min(axis=2), 0)
    scale = (np.maximum(blocks.max(axis=2), 0) - smallest) / np.float32(15)
    scale[scale == 0] = 1.0
    zero_point = np.rint(-smallest / scale).clip(0, 15).astype(np.uint8)
    values = np.rint(blocks / scale[..., None] + zero_point[..., None]).clip(0, 15)
    return Table(values.astype(np.uint8), scale, zero_point)


def table_bytes(shape: tuple[int, ...], bits: int, block_size: int) -> int:
    """Give the bytes a table of `shape` takes in this form."""
    rows, width = shape
    blocks = rows * width // block_size
    zero_points = (blocks + 1) // 2 if bits == 4 else 0
    return rows * width * bits // 8 + blocks * 4 + zero_points


def replace_gathers(graph: ir.Graph, value: ir.Value, table: Table) -> None:
    """Look rows up in `table` wherever a Gather reads initializer `value`."""
    from lofi_engine.onnx_graphs.tensors import add_initializer

    scale = add_initializer(graph, f"{value.name}{SCALE}", table.scale)
    replace = _replace_4_bits if table.zero_point is not None else _replace_8_bits
    replace(graph, value, table, scale)
    graph.initializers.pop(value.name or "")


def _replace_4_bits(graph: ir.Graph, value: ir.Value, table: Table, scale: ir.Value) -> None:
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import add_initializer

    rows, blocks, block_size = table.values.shape
    flat = table.values.reshape(rows, blocks * block_size)
    values = add_initializer(graph, f"{value.name}.int4", _uint4(flat), ir.DataType.UINT4)
    zero_point = add_initializer(
        graph, f"{value.name}.zero_point", _uint4(table.zero_point), ir.DataType.UINT4
    )
    for use in tuple(value.uses()):
        node = use.node
        made = ir.node(
            "GatherBlockQuantized",
            [values, node.inputs[1], scale, zero_point],
            attributes={"gather_axis": 0, "quantize_axis": 1, "block_size": block_size},
            domain="com.microsoft",
            name=node.name,
        )
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], [made], node.outputs, made.outputs
        )


def _replace_8_bits(graph: ir.Graph, value: ir.Value, table: Table, scale: ir.Value) -> None:
    import numpy as np
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import add_initializer

    values = add_initializer(graph, f"{value.name}.int8", table.values)
    for number, use in enumerate(tuple(value.uses())):
        node = use.node
        ids = node.inputs[1]
        if ids is None or ids.shape is None:
            raise ValueError(f"Gather '{node.name}': the rank of its ids is not known")
        rank = len(ids.shape)
        shape = add_initializer(
            graph, f"{value.name}.shape{number}", np.array([0] * rank + [-1], dtype=np.int64)
        )
        to_float: dict[str, Any] = {"to": int(ir.DataType.FLOAT)}
        rows = ir.node("Gather", [values, ids], name=f"{node.name}.rows")
        scales = ir.node("Gather", [scale, ids], name=f"{node.name}.scales")
        as_float = ir.node(
            "Cast", [rows.outputs[0]], attributes=to_float, name=f"{node.name}.float"
        )
        last = add_initializer(graph, f"{value.name}.last{number}", np.array([-1], dtype=np.int64))
        column = ir.node("Unsqueeze", [scales.outputs[0], last], name=f"{node.name}.column")
        scaled = ir.node(
            "Mul", [as_float.outputs[0], column.outputs[0]], name=f"{node.name}.scaled"
        )
        joined = ir.node("Reshape", [scaled.outputs[0], shape], name=node.name)
        new_nodes = [rows, scales, as_float, column, scaled, joined]
        for made in new_nodes[:-1]:
            made.outputs[0].name = f"{made.name}.out"
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], new_nodes, node.outputs, joined.outputs
        )


def _uint4(values: npt.NDArray[np.uint8] | npt.NDArray[np.generic] | None) -> npt.NDArray[Any]:
    import ml_dtypes
    import numpy as np

    return np.asarray(values).astype(ml_dtypes.uint4)
