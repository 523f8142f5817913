from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper

from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.forms import FP16
from lofi_engine.quantization.fp16 import keeps_float32
from lofi_engine.quantization.rewrite import rewrite_graph
from lofi_engine.quantization.weights import find_weights
from tests.support.toy_graphs import write_graph, write_lookup, write_matmul

RANDOM = np.random.default_rng(11)


def _matrix(rows: int, columns: int) -> np.ndarray:
    return RANDOM.standard_normal((rows, columns)).astype(np.float32)


def test_weights_are_stored_in_half_and_inputs_and_outputs_stay_float32(tmp_path):
    source = write_matmul(tmp_path / "float.onnx", _matrix(64, 64))
    assert rewrite_graph(source, tmp_path / "half.onnx", {"w": FP16}) == {}
    session = GraphSession(tmp_path / "half.onnx")
    assert [value.dtype for value in (*session.inputs, *session.outputs)] == ["float32", "float32"]
    x = _matrix(5, 64)
    wanted, got = GraphSession(source).run({"x": x})["y"], session.run({"x": x})["y"]
    assert 0 < np.abs(got - wanted).max() / wanted.std() < 2e-3
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * source.stat().st_size


def test_vectors_small_tensors_and_overflow_stay_float32_and_say_why():
    large = _matrix(64, 64)
    assert keeps_float32(large) == ""
    assert keeps_float32(np.ones(5000, np.float32)) == "vector"
    assert keeps_float32(_matrix(8, 8)) == "small"
    large[3, 4] = -1e5
    assert keeps_float32(large) == "overflow"


def test_kept_weights_are_named_by_reason(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Mul", ["z", "gain"], ["y"]),
    ]
    weights = {"w": _matrix(64, 64) * 1e6, "gain": np.ones(64, np.float32)}
    source = write_graph(tmp_path / "float.onnx", nodes, {"x": ["n", 64]}, weights)
    kept = rewrite_graph(source, tmp_path / "half.onnx", {"w": FP16, "gain": FP16})
    assert kept == {"overflow": ["w"], "vector": ["gain"]}
    x = _matrix(5, 64)
    wanted = GraphSession(source).run({"x": x})["y"]
    assert np.array_equal(GraphSession(tmp_path / "half.onnx").run({"x": x})["y"], wanted)


def test_a_weight_two_nodes_read_is_cast_once(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("MatMul", ["z", "w"], ["y"]),
    ]
    source = write_graph(tmp_path / "float.onnx", nodes, {"x": ["n", 64]}, {"w": _matrix(64, 64)})
    rewrite_graph(source, tmp_path / "half.onnx", {"w": FP16})
    kinds = [node.op_type for node in onnx.load(tmp_path / "half.onnx").graph.node]
    assert kinds == ["Cast", "MatMul", "MatMul"]


def test_a_table_is_cast_after_its_rows_were_looked_up(tmp_path):
    source = write_lookup(tmp_path / "float.onnx", _matrix(40, 64))
    rewrite_graph(source, tmp_path / "half.onnx", {"w": FP16})
    kinds = [node.op_type for node in onnx.load(tmp_path / "half.onnx").graph.node]
    assert kinds == ["Gather", "Cast"]
    ids = np.array([[0, 39, 7]])
    wanted = GraphSession(source).run({"ids": ids})["y"]
    got = GraphSession(tmp_path / "half.onnx").run({"ids": ids})["y"]
    assert 0 < np.abs(got - wanted).max() < 2e-3
    weights = find_weights(ir.load(tmp_path / "half.onnx").graph)
    assert [(weight.role, weight.bits) for weight in weights] == [("table", 16)]
