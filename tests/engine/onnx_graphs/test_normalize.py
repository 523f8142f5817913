from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx import helper

from lofi_engine.onnx_graphs.normalize import split_gemms
from lofi_engine.onnx_graphs.sessions import GraphSession
from tests.support.toy_graphs import write_graph

RANDOM = np.random.default_rng(3)


def _matrix(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def _split(tmp_path, nodes, weights):
    path = write_graph(tmp_path / "before.onnx", nodes, {"x": ["n", 5]}, weights)
    model = ir.load(path)
    count = split_gemms(model)
    ir.save(model, tmp_path / "after.onnx")
    x = _matrix(3, 5)
    before = GraphSession(path).run({"x": x})["y"]
    after = GraphSession(tmp_path / "after.onnx").run({"x": x})["y"]
    assert np.allclose(before, after, atol=1e-5)
    return model, count


def test_a_linear_layer_becomes_a_product_and_a_sum(tmp_path):
    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1, name="layer")
    model, count = _split(tmp_path, [gemm], {"w": _matrix(7, 5), "b": _matrix(7)})
    assert count == 1
    assert [node.op_type for node in model.graph] == ["MatMul", "Add"]
    assert list(model.graph.initializers["w"].const_value.shape) == [5, 7]


def test_a_weight_two_layers_share_is_turned_once(tmp_path):
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["z"], transB=1, name="one"),
        helper.make_node("Gemm", ["z", "w"], ["y"], transB=1, name="two"),
    ]
    model, count = _split(tmp_path, nodes, {"w": _matrix(5, 5)})
    assert count == 2
    assert [node.op_type for node in model.graph] == ["MatMul", "MatMul"]


def test_a_scaled_product_is_left_alone(tmp_path):
    gemm = helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5, name="scaled")
    model, count = _split(tmp_path, [gemm], {"w": _matrix(5, 7)})
    assert count == 0
    assert [node.op_type for node in model.graph] == ["Gemm"]
