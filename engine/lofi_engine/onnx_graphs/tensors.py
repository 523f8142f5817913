"""Initializers of an `onnx_ir` graph as NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir


def array_of(value: ir.Value) -> npt.NDArray[np.generic]:
    """Give an initializer's array; a weight in an external file is mapped, not read.

    Raises:
        ValueError: the value is no initializer.
    """
    if value.const_value is None:
        raise ValueError(f"'{value.name}' holds no constant")
    return value.const_value.numpy()


def let_go(value: ir.Value) -> None:
    """Give back the memory that an external weight's bytes took; they are read again when asked.

    Mapped pages stay with the process otherwise: a pass over a file of 10 GB ends with all of it.
    """
    import mmap

    import onnx_ir as ir

    tensor = value.const_value
    advice = getattr(mmap, "MADV_DONTNEED", None)  # not on Windows
    if isinstance(tensor, ir.ExternalTensor) and tensor.raw is not None and advice is not None:
        tensor.raw.madvise(advice)


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """Give an initializer's shape.

    Raises:
        ValueError: the value is no initializer.
    """
    if value.const_value is None:
        raise ValueError(f"'{value.name}' holds no constant")
    return tuple(size for size in value.const_value.shape if isinstance(size, int))


def add_initializer(
    graph: ir.Graph, name: str, array: npt.NDArray[np.generic], dtype: ir.DataType | None = None
) -> ir.Value:
    """Register `array` as initializer `name` and give its value.

    Args:
        graph: the graph to add to.
        name: a name no initializer of the graph has.
        array: the values; copied to C order if need be.
        dtype: for the types NumPy has no name for, e.g. `ir.DataType.UINT4`.

    Raises:
        ValueError: the name is taken.
    """
    import numpy as np
    import onnx_ir as ir

    if name in graph.initializers:
        raise ValueError(f"the graph already has an initializer '{name}'")
    tensor = ir.tensor(np.ascontiguousarray(array), dtype=dtype, name=name)
    value = ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value
