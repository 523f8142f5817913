from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.forms import DYNAMIC
from lofi_engine.quantization.int8 import columns_bytes, quantize_columns
from lofi_engine.quantization.rewrite import rewrite_graph
from tests.support.toy_graphs import write_graph, write_matmul

RANDOM = np.random.default_rng(5)


def _matrix(rows: int, columns: int) -> np.ndarray:
    return RANDOM.standard_normal((rows, columns)).astype(np.float32)


def _awkward_matrix() -> np.ndarray:
    matrix = _matrix(40, 12)
    matrix[:, 0] = 0.0
    matrix[:, 1] = np.abs(matrix[:, 1])
    matrix[:, 2] = -np.abs(matrix[:, 2])
    matrix[:, 3] *= 1e-30
    matrix[:, 4] *= 1e-42
    matrix[3, 5] = 300.0
    return matrix


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_weights_are_bit_for_bit_those_of_the_library(tmp_path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    matrix = _awkward_matrix()
    source = write_matmul(tmp_path / "float.onnx", matrix)
    logging.disable(logging.WARNING)
    quantize_dynamic(
        source,
        tmp_path / "library.onnx",
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        reduce_range=True,
        extra_options={"WeightSymmetric": False},
    )
    logging.disable(logging.NOTSET)
    library = onnx.load(tmp_path / "library.onnx").graph.initializer
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in library}
    ours = quantize_columns(matrix)
    assert np.array_equal(ours.values, found["w_quantized"])
    assert np.array_equal(ours.scale, found["w_scale"])
    assert np.array_equal(ours.zero_point, found["w_zero_point"])


def test_no_weight_is_further_off_than_half_a_step():
    matrix = _awkward_matrix()
    columns = quantize_columns(matrix)
    step = np.where(np.abs(matrix).max(0) > 1e-35, columns.scale, 0)
    assert (np.abs(columns.dequantize() - matrix) <= step * 0.5001 + 1e-35).all()


def test_two_products_of_the_largest_numbers_fit_into_sixteen_bits():
    values = quantize_columns(_awkward_matrix()).values.astype(int)
    assert 2 * 255 * np.abs(values).max() < 2**15


def test_a_dynamic_product_is_close_to_float32(tmp_path):
    source = write_matmul(tmp_path / "float.onnx", _matrix(64, 48))
    rewrite_graph(source, tmp_path / "int8.onnx", {"w": DYNAMIC})
    x = _matrix(9, 64)
    wanted = GraphSession(source).run({"x": x})["y"]
    got = GraphSession(tmp_path / "int8.onnx").run({"x": x})["y"]
    assert np.sqrt(np.square(got - wanted).mean()) / wanted.std() < 0.03


def test_products_of_one_activation_share_its_quantization(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "q"], ["xq"], name="to_q"),
        helper.make_node("MatMul", ["x", "k"], ["xk"], name="to_k"),
        helper.make_node("Add", ["xq", "xk"], ["y"]),
    ]
    weights = {"q": _matrix(64, 32), "k": _matrix(64, 32)}
    source = write_graph(tmp_path / "float.onnx", nodes, {"x": ["n", 64]}, weights)
    rewrite_graph(source, tmp_path / "int8.onnx", {"q": DYNAMIC, "k": DYNAMIC})
    graph = onnx.load(tmp_path / "int8.onnx").graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["DynamicQuantizeLinear"] == 1
    assert kinds["MatMulInteger"] == 2
    assert GraphSession(tmp_path / "int8.onnx").run({"x": _matrix(3, 64)})["y"].shape == (3, 32)


def test_one_weight_may_serve_two_products(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"], name="once"),
        helper.make_node("MatMul", ["z", "w"], ["y"], name="twice"),
    ]
    source = write_graph(tmp_path / "float.onnx", nodes, {"x": ["n", 64]}, {"w": _matrix(64, 64)})
    rewrite_graph(source, tmp_path / "int8.onnx", {"w": DYNAMIC})
    x = _matrix(3, 64)
    wanted = GraphSession(source).run({"x": x})["y"]
    got = GraphSession(tmp_path / "int8.onnx").run({"x": x})["y"]
    assert np.sqrt(np.square(got - wanted).mean()) / wanted.std() < 0.05


def test_bytes_are_counted_as_stored():
    columns = quantize_columns(_matrix(64, 48))
    stored = columns.values.nbytes + columns.scale.nbytes + columns.zero_point.nbytes
    assert columns_bytes((64, 48)) == stored
