"""Give a fresh graph the shape the later passes expect: plain MatMuls.

The exporter writes a product on two-dimensional input that is added to as Gemm, which quantizers
skip in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def split_gemms(model: ir.Model) -> int:
    """Rewrite every linear layer written as Gemm to MatMul and Add; give how many there were."""
    import onnx_ir as ir

    gemms = [node for node in model.graph if _is_linear_gemm(node)]
    for node in gemms:
        weight = node.inputs[1]
        if _integer(node, "transB"):
            weight = _transposed(model.graph, node)
        product = ir.node("MatMul", [node.inputs[0], weight], name=f"{node.name}_matmul")
        new_nodes = [product]
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            product.outputs[0].name = f"{node.outputs[0].name}_product"
            new_nodes.append(
                ir.node("Add", [product.outputs[0], node.inputs[2]], name=f"{node.name}_bias")
            )
        ir.convenience.replace_nodes_and_values(
            model.graph, node, [node], new_nodes, node.outputs, new_nodes[-1].outputs
        )
    return len(gemms)


def _is_linear_gemm(node: ir.Node) -> bool:
    if node.op_type != "Gemm" or node.domain:
        return False
    weight = node.inputs[1]
    scaled = any(
        name in node.attributes and node.attributes[name].as_float() != 1.0
        for name in ("alpha", "beta")
    )
    constant = weight is not None and weight.const_value is not None
    return constant and not scaled and not _integer(node, "transA")


def _integer(node: ir.Node, attribute: str) -> int:
    return node.attributes[attribute].as_int() if attribute in node.attributes else 0


def _transposed(graph: ir.Graph, node: ir.Node) -> ir.Value:
    """Give the Gemm's weight the other way round, under the same name where nobody else has it."""
    from lofi_engine.onnx_graphs.tensors import add_initializer, array_of

    weight = node.inputs[1]
    if weight is None or weight.name is None:
        raise ValueError(f"Gemm '{node.name}' has no named weight")
    name = weight.name
    if len(weight.uses()) == 1:
        graph.initializers.pop(name)
        weight.name = f"{name}_gemm"
    else:
        name = f"{name}_transposed"
        if name in graph.initializers:
            return graph.initializers[name]
    return add_initializer(graph, name, array_of(weight).T)
