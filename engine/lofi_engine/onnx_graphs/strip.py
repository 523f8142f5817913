"""Take out of a graph what differs between two exports of one model.

The exporter leaves stack traces, absolute paths and its own version in doc strings and metadata:
hundreds of them, on every node, value and tensor. Nothing that computes is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def strip(model: ir.Model) -> None:
    """Remove doc strings, metadata and producer; put initializers in the order of first use.

    Initializers nobody uses are dropped, but for the defaults of inputs: without its default an
    optional input would have to be given.
    """
    model.producer_name = None
    model.producer_version = None
    model.doc_string = None
    model.model_version = None
    model.metadata_props.clear()
    for graph in model.graphs():
        graph.doc_string = None
        graph.metadata_props.clear()
        for node in graph:
            node.doc_string = None
            node.metadata_props.clear()
        for value in _values(graph):
            value.doc_string = None
            value.metadata_props.clear()
        _order_initializers(graph)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


def _order_initializers(graph: ir.Graph) -> None:
    used: dict[str, ir.Value] = {}
    known = dict(graph.initializers)
    for node in graph.all_nodes():
        for value in node.inputs:
            if value is not None and value.name in known:
                used.setdefault(value.name, value)
    for value in (*graph.inputs, *graph.outputs):
        if value.name in known:
            used.setdefault(value.name, value)
    graph.initializers.clear()
    for value in used.values():
        if value.const_value is not None:
            value.const_value = _bare(value.const_value)
        graph.register_initializer(value)


def _bare(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """Give the tensor without what is written on it; some kinds of tensor are read-only."""
    import onnx_ir as ir

    if not tensor.doc_string and not tensor.metadata_props:
        return tensor
    return ir.tensor(tensor.numpy(), dtype=tensor.dtype, name=tensor.name)
