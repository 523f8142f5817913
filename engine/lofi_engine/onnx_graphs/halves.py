"""The two halves of a decoder that was cut: see `context`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.dependence import (
    Dependence,
    axis_places,
    dependences,
    read_sizes,
)

if TYPE_CHECKING:
    import onnx_ir as ir

CONTEXT_INPUTS = ("encoder_hidden_states", "encoder_hidden_mask")

Sizes = tuple[int | str, ...]
"""A shape, with the names of free axes, "" for what is not known."""


@dataclass(frozen=True)
class Crossing:
    """A value the context's half gives and the step's half takes.

    Args:
        value: its name in the whole decoder.
        name: its name in both halves.
        dtype: its element type.
        sizes: its shape.
    """

    value: str
    name: str
    dtype: ir.DataType
    sizes: Sizes


def crossing_values(graph: ir.Graph) -> list[ir.Value]:
    """List the values of the context that something of the step reads, in the graph's order."""
    context, step = _sides(graph)
    made = [*graph.inputs, *(value for node in graph for value in node.outputs)]
    return [
        value
        for value in made
        if value in context and any(use.node.outputs[0] in step for use in value.uses())
    ]


def keep_context(graph: ir.Graph, crossings: tuple[Crossing, ...]) -> None:
    """Make of a whole decoder the graph that computes the crossings.

    Raises:
        StageError: it would still need an input of the step.
    """
    import onnx_ir as ir

    inputs = [value for value in graph.inputs if value.name in CONTEXT_INPUTS]
    _, step = _sides(graph)
    _read_elsewhere(graph, inputs, step)
    values = ir.convenience.create_value_mapping(graph)
    outputs = []
    for crossing in crossings:
        value = values[crossing.value]
        if value.is_graph_input():
            passed = ir.node("Identity", [value], name=f"{crossing.name}.passed")
            graph.append(passed)
            value = passed.outputs[0]
        value.name, value.shape = crossing.name, _shape(crossing.sizes)
        value.type = ir.TensorType(crossing.dtype)
        outputs.append(value)
    graph.outputs.clear()
    graph.outputs.extend(outputs)
    _keep_needed(graph, inputs)


def keep_step(graph: ir.Graph, crossings: tuple[Crossing, ...]) -> None:
    """Make of a whole decoder the graph that takes the crossings as inputs.

    They come after all inputs that must be given and before those that may be left out.

    Raises:
        StageError: it would still need the context.
    """
    import onnx_ir as ir

    context, _ = _sides(graph)
    values = ir.convenience.create_value_mapping(graph)
    taken = []
    for crossing in crossings:
        value = values[crossing.value]
        given = ir.Value(
            name=crossing.name,
            shape=_shape(crossing.sizes),
            type=ir.TensorType(crossing.dtype),
        )
        value.replace_all_uses_with(given)
        taken.append(given)
    own = [value for value in graph.inputs if value.name not in CONTEXT_INPUTS]
    optional = [value for value in own if value.name in graph.initializers]
    inputs = [*(value for value in own if value not in optional), *taken, *optional]
    _read_elsewhere(graph, inputs, context)
    _keep_needed(graph, inputs)


def _sides(graph: ir.Graph) -> tuple[set[ir.Value], set[ir.Value]]:
    """Give what hangs on the context alone, and what hangs on the step.

    Constants and sizes are on neither side: each half has its own.
    """
    found = dependences(graph)
    axes = set(axis_places(value for value in graph.inputs if value.name in CONTEXT_INPUTS))

    def of_context(hangs: Dependence) -> bool:
        return hangs.inputs <= set(CONTEXT_INPUTS) and hangs.axes <= axes

    context = {value for value, hangs in found.items() if hangs.inputs and of_context(hangs)}
    step = {value for value, hangs in found.items() if hangs.inputs and not of_context(hangs)}
    return context, step


def _read_elsewhere(graph: ir.Graph, inputs: list[ir.Value], absent: set[ir.Value]) -> None:
    """Read the sizes of values that will be absent off `inputs` instead, where those have them."""
    import onnx_ir as ir

    places = axis_places(inputs)
    for node in list(graph):
        sizes = read_sizes(node)
        if sizes is None or node.inputs[0] not in absent:
            continue
        if all(size in places for size in sizes if isinstance(size, str)):
            pieces = [
                _size(graph, size, f"{node.name}.{number}", places)
                for number, size in enumerate(sizes)
            ]
            joined = ir.node("Concat", pieces, {"axis": 0}, name=node.name)
            made = [*(piece.producer() for piece in pieces), joined]
            new_nodes = [one for one in made if one is not None]
            ir.convenience.replace_nodes_and_values(
                graph, node, [node], new_nodes, node.outputs, joined.outputs
            )


def _size(
    graph: ir.Graph, size: int | str, name: str, places: Mapping[str, tuple[ir.Value, int]]
) -> ir.Value:
    """Give a value of shape (1,) that holds a size: a constant, or read where `places` says."""
    import numpy as np
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import add_initializer

    if isinstance(size, int):
        return add_initializer(graph, name, np.array([size], dtype=np.int64))
    source, axis = places[size]
    read = ir.node("Shape", [source], {"start": axis, "end": axis + 1}, name=name)
    value = read.outputs[0]
    value.name, value.type, value.shape = name, ir.TensorType(ir.DataType.INT64), ir.Shape([1])
    return value


def _keep_needed(graph: ir.Graph, inputs: list[ir.Value]) -> None:
    """Make `inputs` the graph's inputs and drop every node its outputs do not need."""
    needed: set[ir.Value] = set()
    waiting = list(graph.outputs)
    while waiting:
        value = waiting.pop()
        producer = value.producer()
        if value not in needed and producer is not None:
            waiting.extend(before for before in producer.inputs if before is not None)
        needed.add(value)
    stray = [value for value in graph.inputs if value in needed and value not in inputs]
    if stray:
        raise StageError(
            f"context and step cannot be told apart: '{stray[0].name}' is on both sides"
        )
    unneeded = [node for node in graph if not needed.intersection(node.outputs)]
    graph.remove(unneeded, safe=True)
    graph.inputs.clear()
    graph.inputs.extend(inputs)


def _shape(sizes: Sizes) -> ir.Shape | None:
    import onnx_ir as ir

    return ir.Shape([size if size != "" else None for size in sizes]) if sizes else None
