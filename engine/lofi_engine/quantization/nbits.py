"""Weight-only matrix products in blocks: `MatMulNBits` in 4 or 8 bits.

ONNX Runtime's own quantizers do the arithmetic, one matrix at a time, so that a graph of many
gigabytes never lies in memory whole. Accuracy level 4 (activations in int8 blocks) is the only one
with a fast path on CPUs.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_engine.quantization.methods import CALIBRATED, BlockMethod
from lofi_engine.quantization.weights import SCALE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir

ACCURACY_LEVEL = 4


@dataclass(frozen=True)
class Blocks:
    """A matrix (rows, columns) as `MatMulNBits` wants it.

    Args:
        rows: K.
        columns: N.
        bits: 4 or 8.
        block_size: how many rows share a scale; divides `rows`.
        values: uint8, packed, (columns, rows / block size, block size * bits / 8).
        scale: float32, (columns * rows / block size,).
        zero_point: packed uint8, or float32 for hqq.
        input_scale: float32 (rows,), what the activation is divided by first; None leaves it.
    """

    rows: int
    columns: int
    bits: int
    block_size: int
    values: npt.NDArray[np.uint8]
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.generic]
    input_scale: npt.NDArray[np.float32] | None = None

    def dequantize(self) -> npt.NDArray[np.float32]:
        """Give the matrix (rows, columns) these numbers stand for."""
        import numpy as np

        blocks = self.rows // self.block_size
        values = _unpack(self.values.reshape(self.columns, -1), self.bits)
        numbers = values.reshape(self.columns, blocks, self.block_size).astype(np.float32)
        zero_point: npt.NDArray[np.generic] = self.zero_point.reshape(self.columns, -1)
        if zero_point.dtype == np.uint8:
            zero_point = _unpack(zero_point, self.bits)[:, :blocks]
        numbers -= zero_point[..., None].astype(np.float32)
        numbers *= self.scale.reshape(self.columns, blocks, 1)
        matrix = np.ascontiguousarray(numbers.reshape(self.columns, self.rows).T)
        if self.input_scale is not None:
            matrix /= self.input_scale[:, None]
        return matrix


def quantize_blocks(
    matrix: npt.NDArray[np.float32], *, bits: int, block_size: int, method: BlockMethod = "rtn"
) -> Blocks:
    """Quantize float32 `matrix` (rows, columns) in blocks of `block_size` rows.

    Raises:
        ValueError: the block size does not divide the rows, or the method has no such width.
    """
    import numpy as np
    from onnx import numpy_helper

    rows, columns = matrix.shape
    if rows % block_size:
        raise ValueError(f"blocks of {block_size} do not divide {rows} rows")
    if method in CALIBRATED:
        raise ValueError(f"{method} needs activations")
    if bits != 4 and method != "rtn":
        raise ValueError(f"{method} works in 4 bits, not {bits}")
    blocks = rows // block_size
    given = matrix
    if method == "k-quant" and blocks % 2:
        # The library packs zero points across columns and fails on an odd number of blocks.
        given = np.concatenate([matrix, matrix[-block_size:]])
    with _quiet():
        quantizer = _quantizer(_one_matmul(given), bits, block_size, method)
        quantizer.process()
    graph = quantizer.model.model.graph
    node = next(node for node in graph.node if node.op_type == "MatMulNBits")
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values, scale, zero_point = (arrays[name] for name in node.input[1:4])
    return Blocks(
        rows,
        columns,
        bits,
        block_size,
        values[:, :blocks],
        scale.reshape(columns, -1)[:, :blocks].reshape(-1).astype(np.float32),
        zero_point.reshape(-1),
    )


def blocks_bytes(shape: tuple[int, ...], bits: int, block_size: int, method: BlockMethod) -> int:
    """Give the bytes a matrix of `shape` takes in this form.

    Matrices of one activation share awq's scale of it, which is counted for each.
    """
    rows, columns = shape
    blocks = rows // block_size
    zero_points = blocks * 4 if method == "hqq" else (blocks * bits + 7) // 8
    input_scale = rows * 4 if method == "awq" else 0
    return rows * columns * bits // 8 + columns * (blocks * 4 + zero_points) + input_scale


def replace_matmuls(graph: ir.Graph, value: ir.Value, blocks: Blocks) -> None:
    """Compute every MatMul by initializer `value` from `blocks` instead."""
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import add_initializer

    name = value.name
    values = add_initializer(graph, f"{name}.int{blocks.bits}", blocks.values)
    scale = add_initializer(graph, f"{name}{SCALE}", blocks.scale)
    zero_point = add_initializer(graph, f"{name}.zero_point", blocks.zero_point)
    for use in tuple(value.uses()):
        node = use.node
        made = ir.node(
            "MatMulNBits",
            [_balanced(graph, node, blocks), values, scale, zero_point],
            attributes={
                "K": blocks.rows,
                "N": blocks.columns,
                "bits": blocks.bits,
                "block_size": blocks.block_size,
                "accuracy_level": ACCURACY_LEVEL,
            },
            domain="com.microsoft",
            name=node.name,
        )
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], [made], node.outputs, made.outputs
        )
    graph.initializers.pop(name or "")


def _balanced(graph: ir.Graph, matmul: ir.Node, blocks: Blocks) -> ir.Value | None:
    """Give a product's left side divided by the blocks' input scale; products of one share it."""
    import numpy as np
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import add_initializer

    source = matmul.inputs[0]
    if blocks.input_scale is None or source is None:
        return source
    name = f"{source.name}.balanced"
    for use in source.uses():
        if use.node.name == name:
            return use.node.outputs[0]
    factor = add_initializer(graph, f"{name}{SCALE}", (1.0 / blocks.input_scale).astype(np.float32))
    made = ir.node("Mul", [source, factor], name=name)
    made.outputs[0].name = f"{name}.out"
    producer = source.producer()
    if producer is None:
        graph.insert_before(next(iter(graph)), made)
    else:
        graph.insert_after(producer, made)
    return made.outputs[0]


def _one_matmul(matrix: npt.NDArray[np.float32]) -> Any:
    """Give a model of one product by `matrix`: the smallest thing the quantizers take."""
    from onnx import TensorProto, helper, numpy_helper

    rows, columns = matrix.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "matrix"], ["y"], name="product")],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", columns])],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _quantizer(model: Any, bits: int, block_size: int, method: BlockMethod) -> Any:
    from onnxruntime.quantization import matmul_nbits_quantizer as library

    if method == "hqq":
        config = library.HQQWeightOnlyQuantConfig(block_size=block_size, bits=bits)
    elif method == "k-quant":
        config = library.KQuantWeightOnlyQuantConfig()
    else:
        config = library.DefaultWeightOnlyQuantConfig(block_size=block_size, bits=bits)
    return library.MatMulNBitsQuantizer(model, block_size=block_size, algo_config=config)


def _unpack(packed: npt.NDArray[np.generic], bits: int) -> npt.NDArray[np.uint8]:
    import numpy as np

    bytes_ = packed.astype(np.uint8)
    if bits == 8:
        return bytes_
    halves = np.stack([bytes_ & 15, bytes_ >> 4], axis=-1)
    return halves.reshape(len(bytes_), -1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress bar, log lines and warnings out of ours.

    On import it also takes hold of the root logger; that is undone.
    """
    import numpy as np

    root = logging.getLogger()
    level, handlers, disabled = root.level, list(root.handlers), root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),  # k-quant divides by the spread of constant blocks
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
