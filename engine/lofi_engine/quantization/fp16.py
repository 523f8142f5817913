"""Store weights as float16 and cast them to float32 where they are used.

Saves disk, not memory: ONNX Runtime folds the cast when it loads. Arithmetic stays float32 (linear
attention's sums overflow float16), so inputs and outputs do too.
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
    """Make initializer `value` float16, with one Cast before everything that reads it."""
    import numpy as np
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import array_of, shape_of

    name = value.name or ""
    half = ir.Value(
        name=f"{name}.fp16",
        shape=value.shape,
        type=ir.TensorType(ir.DataType.FLOAT16),
        const_value=ir.LazyTensor(
            lambda: ir.tensor(array_of(value).astype(np.float16)),
            dtype=ir.DataType.FLOAT16,
            shape=ir.Shape(shape_of(value)),
            name=f"{name}.fp16",
        ),
    )
    cast = ir.node("Cast", [half], attributes={"to": int(ir.DataType.FLOAT)}, name=f"{name}.cast")
    single = cast.outputs[0]
    single.type, single.shape = value.type, value.shape
    value.replace_all_uses_with(single)
    graph.initializers.pop(name)
    single.name = f"{name}.fp32"
    graph.register_initializer(half)
    graph.insert_before(next(iter(graph)), cast)
