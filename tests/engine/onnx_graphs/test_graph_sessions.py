from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx import helper

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.examples import load_examples, save_examples
from lofi_engine.onnx_graphs.export import check_graph
from lofi_engine.onnx_graphs.oldest import newest, oldest_onnxruntime
from lofi_engine.onnx_graphs.sessions import GraphSession
from tests.support.toy_graphs import encoder_spec, write_graph, write_matmul


def test_a_file_that_is_no_graph_is_refused_by_name(tmp_path):
    path = tmp_path / "vocoder.onnx"
    path.write_bytes(b"not a graph at all")
    with pytest.raises(StageError, match=r"vocoder\.onnx: ONNX Runtime .* cannot load the graph"):
        GraphSession(path)


def test_inputs_a_graph_cannot_take_are_refused_by_name(tmp_path):
    session = GraphSession(write_matmul(tmp_path / "g.onnx", np.eye(3, dtype=np.float32)))
    with pytest.raises(StageError, match=r"g\.onnx: the graph failed"):
        session.run({"x": np.zeros((2, 4), np.float32)})


def test_a_graph_the_checker_refuses_is_named(tmp_path):
    node = helper.make_node("MatMul", ["x", "missing"], ["y"])
    path = write_graph(tmp_path / "g.onnx", [node], {"x": [2, 3]}, {})
    with pytest.raises(StageError, match=r"g\.onnx: not a valid ONNX graph"):
        check_graph(path)


def test_examples_come_back_by_graph_and_input(tmp_path):
    spec = encoder_spec()
    save_examples(tmp_path / "examples.safetensors", [spec])
    examples = load_examples(tmp_path / "examples.safetensors")
    assert list(examples) == ["transformer_encoder"]
    assert set(examples["transformer_encoder"]) == set(spec.inputs)
    found = examples["transformer_encoder"]["lyric_token_idx"]
    assert torch.equal(torch.from_numpy(found), spec.inputs["lyric_token_idx"])


def test_missing_examples_say_which_stage_to_run(tmp_path):
    with pytest.raises(StageError, match="run the export stage again"):
        load_examples(tmp_path / "examples.safetensors")


def _model(op_type: str, bits: int) -> ir.Model:
    value = ir.Value(name="x")
    node = ir.node(op_type, [value], attributes={"bits": bits}, domain="com.microsoft")
    graph = ir.Graph([value], node.outputs, nodes=[node], opset_imports={"": 21})
    return ir.Model(graph, ir_version=10)


@pytest.mark.parametrize(
    ("op_type", "bits", "release"),
    [
        ("MatMulNBits", 4, "1.20"),
        ("MatMulNBits", 8, "1.22"),
        ("GatherBlockQuantized", 4, "1.20"),
        ("GatherBlockQuantized", 8, "1.23"),
    ],
)
def test_the_oldest_runtime_follows_from_the_operators(op_type, bits, release):
    assert oldest_onnxruntime(_model(op_type, bits)) == release


def test_releases_are_compared_as_numbers():
    assert newest(["1.9", "1.20", "1.3"]) == "1.20"
