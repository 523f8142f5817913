"""Give a fresh graph the shape the later passes expect: plain MatMuls, named after parameters.

The exporter writes a linear layer on two-dimensional input as Gemm, which quantizers skip in
silence, and folds the transposed weight of one on three-dimensional input under a made-up name.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir
    import torch

_SAMPLES = 64


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


def restore_names(model: ir.Model, module: torch.nn.Module) -> None:
    """Name each folded matrix after the parameter whose transpose it holds.

    A matrix the module computed from several parameters keeps the exporter's name.
    """
    from lofi_engine.onnx_graphs.tensors import array_of

    taken = set(module.state_dict()) & set(model.graph.initializers)
    candidates: dict[Any, list[tuple[str, torch.Tensor]]] = defaultdict(list)
    for name, parameter in module.named_parameters():
        if parameter.ndim == 2 and name not in taken:
            matrix = parameter.detach().t()
            candidates[_sample(matrix.numpy())].append((name, matrix))
    for value in list(model.graph.initializers.values()):
        if value.name in taken or value.const_value is None or len(value.const_value.shape) != 2:
            continue
        array = array_of(value)
        same = candidates.get(_sample(array), [])
        for index, (name, matrix) in enumerate(same):
            if _equal(array, matrix.numpy()):
                _rename(model.graph, value, name)
                del same[index]
                break


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


def _rename(graph: ir.Graph, value: ir.Value, name: str) -> None:
    graph.initializers.pop(value.name or "")
    value.name = name
    if value.const_value is not None:
        value.const_value.name = name
    graph.register_initializer(value)


def _sample(matrix: npt.NDArray[np.generic]) -> tuple[tuple[int, ...], bytes]:
    rows, columns = matrix.shape
    step_rows, step_columns = max(1, rows // _SAMPLES), max(1, columns // _SAMPLES)
    return matrix.shape, matrix[::step_rows, ::step_columns].tobytes()


def _equal(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> bool:
    import numpy as np

    return bool(np.array_equal(one, other))
