from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from lofi_engine.errors import StageError
from lofi_engine.quantization.forms import DYNAMIC, FP16, Form
from lofi_engine.quantization.operators import check_operators, check_opset
from lofi_engine.quantization.rewrite import rewrite_graph
from tests.support.exported_tiny import exported_tiny
from tests.support.toy_graphs import write_graph, write_matmul


def test_every_graph_of_an_export_has_known_operators_alone():
    for path in sorted(exported_tiny()[0].glob("*.onnx")):
        check_operators(path.name, ir.load(path).graph)


@pytest.mark.parametrize(
    ("kind", "domain", "said"),
    [
        ("Einsum", "", "a Einsum"),
        ("FusedMatMul", "com.microsoft", r"a com\.microsoft\.FusedMatMul"),
    ],
)
def test_an_operator_nobody_thought_of_is_refused_by_name(tmp_path, kind, domain, said):
    extra = {"equation": "ij,jk->ik"} if kind == "Einsum" else {}
    node = helper.make_node(kind, ["x", "w"], ["y"], name="odd", domain=domain, **extra)
    weights = {"w": np.ones((64, 64), np.float32)}
    path = write_graph(tmp_path / "odd.onnx", [node], {"x": ["rows", 64]}, weights)
    with pytest.raises(StageError, match=rf"decoder\.onnx: node 'odd' is {said}, an operator"):
        check_operators("decoder.onnx", ir.load(path).graph)


def test_an_opset_without_4_bit_tensors_is_refused_by_file_and_number():
    check_opset("decoder.onnx", 21)
    with pytest.raises(StageError, match=r"decoder\.onnx: opset 17 is too old to quantize, at lea"):
        check_opset("decoder.onnx", 17)


@pytest.mark.parametrize("form", [FP16, DYNAMIC, Form("blocks", 4, 32)])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path, form, poison):
    matrix = np.ones((64, 64), np.float32)
    matrix[3, 4:6] = poison
    source = write_matmul(tmp_path / "float.onnx", matrix)
    with pytest.raises(StageError, match=r"float\.onnx: weight 'w' has 2 values that are not fin"):
        rewrite_graph(source, tmp_path / "small.onnx", {"w": form})
    assert not (tmp_path / "small.onnx").exists()
