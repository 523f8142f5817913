"""What each value of a decoder graph hangs on: the context, the step, or only sizes and constants.

Sizes are told apart from contents. The batch of one input is the batch of all, so a size read off
one side of a cut may be read off the other instead, and need not be carried across.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True)
class Dependence:
    """What a value hangs on.

    Args:
        inputs: the graph inputs whose contents it hangs on, by name.
        axes: the free axes whose sizes it hangs on besides.
    """

    inputs: frozenset[str] = frozenset()
    axes: frozenset[str] = frozenset()

    def __or__(self, other: Dependence) -> Dependence:
        """Give what something made of both hangs on."""
        return Dependence(self.inputs | other.inputs, self.axes | other.axes)


def dependences(graph: ir.Graph) -> dict[ir.Value, Dependence]:
    """Find what every value of `graph` hangs on; of constants, nothing."""
    free = set(axis_places(graph.inputs))
    found = {value: Dependence(frozenset({value.name or ""})) for value in graph.inputs}
    for node in graph:
        axes = _read_axes(node, free)
        dependence = Dependence(axes=axes) if axes is not None else Dependence()
        if axes is None:
            for value in node.inputs:
                if value is not None and value in found:
                    dependence = dependence | found[value]
        found.update(dict.fromkeys(node.outputs, dependence))
    return found


def axis_places(values: Iterable[ir.Value]) -> dict[str, tuple[ir.Value, int]]:
    """Give where the size of each free axis can be read: the first of `values` that has it."""
    places: dict[str, tuple[ir.Value, int]] = {}
    for value in values:
        for axis, size in enumerate(axis_sizes(value)):
            if isinstance(size, str) and size:
                places.setdefault(size, (value, axis))
    return places


def axis_sizes(value: ir.Value) -> tuple[int | str, ...]:
    """Give a value's declared shape: numbers, names of free axes, "" for what is not known."""
    if value.shape is None:
        return ()
    return tuple(size if isinstance(size, int) else (size.value or "") for size in value.shape)


def read_sizes(node: ir.Node) -> tuple[int | str, ...] | None:
    """Give what a `Shape` node reads, as `axis_sizes`; None for another node or unknown sizes."""
    source = node.inputs[0] if node.inputs else None
    if node.op_type != "Shape" or node.domain or source is None or source.shape is None:
        return None
    start, end = (
        node.attributes[name].as_int() if name in node.attributes else None
        for name in ("start", "end")
    )
    sizes = axis_sizes(source)[start:end]
    return sizes if all(size != "" for size in sizes) else None


def _read_axes(node: ir.Node, free: Set[str]) -> frozenset[str] | None:
    sizes = read_sizes(node)
    if sizes is None:
        return None
    names = frozenset(size for size in sizes if isinstance(size, str))
    return names if names <= free else None
