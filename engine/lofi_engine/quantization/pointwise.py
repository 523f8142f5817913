"""Convolutions of kernel 1 as the matrix products they are.

Quantizers look for MatMul and skip them in silence; as products they are exact to float rounding.
The rewrite costs two transposes, so it is done only where weights are to be quantized.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.quantization.weights import is_pointwise

if TYPE_CHECKING:
    import onnx_ir as ir


def convolutions_to_matmuls(graph: ir.Graph) -> int:
    """Rewrite every convolution that is a matrix product; give how many there were.

    (batch, in, ...) becomes (batch, ..., in), is multiplied by (in, out), and turned back.
    """
    found = [node for node in graph if _is_product(node)]
    for node in found:
        _rewrite(graph, node)
    return len(found)


def _is_product(node: ir.Node) -> bool:
    from lofi_engine.onnx_graphs.tensors import shape_of

    if node.op_type != "Conv" or node.domain or len(node.inputs) < 2:
        return False
    weight = node.inputs[1]
    if weight is None or weight.const_value is None or len(weight.uses()) != 1:
        return False
    unit = all(
        set(node.attributes[name].as_ints()) <= allowed
        for name, allowed in (("strides", {1}), ("pads", {0}))
        if name in node.attributes
    )
    grouped = "group" in node.attributes and node.attributes["group"].as_int() != 1
    return is_pointwise(shape_of(weight)) and unit and not grouped


def _rewrite(graph: ir.Graph, node: ir.Node) -> None:
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import add_initializer, array_of, shape_of

    weight = node.inputs[1]
    if weight is None:
        raise ValueError(f"Conv '{node.name}' has no weight")
    channels_out, channels_in, *kernel = shape_of(weight)
    name = weight.name or ""
    matrix = array_of(weight).reshape(channels_out, channels_in).T
    graph.initializers.pop(name)
    weight.name = f"{name}.convolution"
    rank = len(kernel) + 2
    last = [0, *range(2, rank), 1]
    first = [0, rank - 1, *range(1, rank - 1)]
    turned = ir.node("Transpose", [node.inputs[0]], {"perm": last}, name=f"{node.name}.last")
    product = ir.node(
        "MatMul",
        [turned.outputs[0], add_initializer(graph, name, matrix)],
        name=f"{node.name}.product",
    )
    new_nodes = [turned, product]
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        new_nodes.append(
            ir.node("Add", [product.outputs[0], node.inputs[2]], name=f"{node.name}.bias")
        )
    new_nodes.append(
        ir.node("Transpose", [new_nodes[-1].outputs[0]], {"perm": first}, name=node.name)
    )
    for made in new_nodes[:-1]:
        made.outputs[0].name = f"{made.name}.out"
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], new_nodes, node.outputs, new_nodes[-1].outputs
    )
