"""Example inputs at other sizes, so that a free axis is proven free.

An axis is known by its name across all inputs; a tensor grows along it by repeating itself, which
keeps ids valid and masks masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    import torch

Axes = Mapping[str, Mapping[int, str]]
"""By input name, which axes are free and what they are called."""

BATCH = "batch"
"""What the axis of rows is called, in every graph."""


def axis_sizes(inputs: Mapping[str, torch.Tensor], dynamic: Axes) -> dict[str, int]:
    """Give the size of every free axis in `inputs`, by axis name.

    Raises:
        StageError: an input or axis is not there, or two inputs disagree on an axis' size.
    """
    sizes: dict[str, int] = {}
    for name, axes in dynamic.items():
        if name not in inputs:
            raise StageError(
                f"the free axes name an input '{name}' the graph does not have",
                hint=f"its inputs are {', '.join(inputs)}",
            )
        shape = tuple(inputs[name].shape)
        for axis, axis_name in axes.items():
            if axis >= len(shape):
                raise StageError(f"input '{name}' of shape {shape} has no axis {axis}")
            if sizes.setdefault(axis_name, shape[axis]) != shape[axis]:
                raise StageError(
                    f"axis '{axis_name}' is {sizes[axis_name]} in one example input and "
                    f"{shape[axis]} in '{name}'",
                    hint="axes of one name have one size",
                )
    return sizes


def resize(
    inputs: Mapping[str, torch.Tensor], dynamic: Axes, sizes: Mapping[str, int]
) -> dict[str, torch.Tensor]:
    """Repeat or cut `inputs` along their free axes to `sizes` (by axis name)."""
    import torch

    resized: dict[str, torch.Tensor] = {}
    for name, tensor in inputs.items():
        for axis, axis_name in dynamic.get(name, {}).items():
            index = torch.arange(sizes[axis_name]) % tensor.shape[axis]
            tensor = tensor.index_select(axis, index)
        resized[name] = tensor.contiguous()
    return resized


def with_sizes(
    inputs: Mapping[str, torch.Tensor], dynamic: Axes, change: Callable[[int], int]
) -> dict[str, torch.Tensor]:
    """Resize every free axis of `inputs` from its size n to `change(n)`."""
    sizes = {name: change(size) for name, size in axis_sizes(inputs, dynamic).items()}
    return resize(inputs, dynamic, sizes)


def proof_sizes(sizes: Mapping[str, int]) -> tuple[dict[str, int], ...]:
    """Give five sets of sizes to prove a graph at, from those of its example.

    The smallest there is, the example's own, a second size of every axis, two rows (guidance runs
    a step so), and one long row. They differ but where axes are missing or of size 1.
    """
    return (
        dict.fromkeys(sizes, 1),
        dict(sizes),
        {name: second_size(size) for name, size in sizes.items()},
        {name: 2 if name == BATCH else size + 1 for name, size in sizes.items()},
        {name: 1 if name == BATCH else long_size(size) for name, size in sizes.items()},
    )


def second_size(size: int) -> int:
    """Give another size for an axis: about half as much again, and never a multiple."""
    return size + size // 2 + 1


def long_size(size: int) -> int:
    """Give a size for an axis many times as long."""
    return 8 * size + 5


def traceable_size(size: int) -> int:
    """Give a size the exporter leaves free: it takes an axis of size 0 or 1 for a constant."""
    return max(size, 2)
