"""Inputs a caller may leave out: in the graph, inputs that also have an initializer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    import onnx_ir as ir

    from lofi_engine.models.family import GraphSpec


@dataclass(frozen=True)
class OptionalInput:
    """An input a caller may leave out.

    Args:
        name: the input's name.
        dtype: its element type, e.g. "float32".
        default: what stands for it, as nested lists.
    """

    name: str
    dtype: str
    default: Any


def check_defaults(spec: GraphSpec) -> None:
    """See that inputs with a default stand last, and that each default fits its example.

    Raises:
        StageError: they do not.
    """
    names = list(spec.inputs)
    if names[len(names) - len(spec.defaults) :] != list(spec.defaults):
        raise StageError(
            f"{spec.file}: inputs with a default come last and in the same order; the inputs are "
            f"{', '.join(names)}, the defaults {', '.join(spec.defaults)}"
        )
    for name, default in spec.defaults.items():
        example, free = spec.inputs[name], spec.dynamic.get(name, {})
        fixed = [
            tuple(size for axis, size in enumerate(tensor.shape) if axis not in free)
            for tensor in (default, example)
        ]
        if default.dtype != example.dtype or default.ndim != example.ndim or fixed[0] != fixed[1]:
            raise StageError(
                f"{spec.file}: input '{name}' is {example.dtype} {tuple(example.shape)}, its "
                f"default {default.dtype} {tuple(default.shape)}"
            )


def broadcast_axes(spec: GraphSpec, name: str) -> set[int]:
    """Give the free axes of an optional input along which its default is one that broadcasts.

    They are traced at 1. Traced at the size of the others' axis they would become one with it, and
    the graph would not run on the default.
    """
    if name not in spec.defaults:
        return set()
    shape = spec.defaults[name].shape
    return {axis for axis in spec.dynamic.get(name, {}) if shape[axis] == 1}


def give_defaults(model: ir.Model, spec: GraphSpec) -> None:
    """Give the optional inputs of `model` the values that stand for them.

    Axes traced at 1 are declared free again, and what followed from the 1 is forgotten.
    """
    import onnx_ir as ir

    by_name = {value.name: value for value in model.graph.inputs}
    for name, tensor in spec.defaults.items():
        value, free = by_name[name], spec.dynamic.get(name, {})
        value.shape = ir.Shape([free.get(axis, size) for axis, size in enumerate(tensor.shape)])
        value.const_value = ir.tensor(tensor.detach().contiguous().numpy(), name=name)
        model.graph.register_initializer(value)
        if broadcast_axes(spec, name):
            _forget_shapes(value)


def _forget_shapes(value: ir.Value) -> None:
    """Clear every wholly fixed shape that follows from `value`."""
    followers = [output for use in value.uses() for output in use.node.outputs]
    for follower in followers:
        if follower.shape is not None and all(isinstance(size, int) for size in follower.shape):
            follower.shape = None
            _forget_shapes(follower)


def describe_defaults(spec: GraphSpec) -> tuple[OptionalInput, ...]:
    """Record the optional inputs of a graph, in order."""
    return tuple(
        OptionalInput(name, str(tensor.dtype).removeprefix("torch."), tensor.tolist())
        for name, tensor in spec.defaults.items()
    )
