from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from lofi_engine.onnx_graphs.strip import strip
from tests.support.toy_graphs import write_graph


def test_doc_strings_metadata_and_producer_go_and_the_arithmetic_stays(tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product", doc_string="/a/path.py")
    path = write_graph(tmp_path / "g.onnx", [node], {"x": [2, 3]}, {"w": np.eye(3, dtype="f4")})
    proto = onnx.load(path)
    proto.producer_name, proto.producer_version, proto.doc_string = "maker", "9.9", "/a/path.py"
    proto.graph.doc_string = "/a/path.py"
    proto.graph.initializer[0].doc_string = "/a/path.py"
    for place in (proto, proto.graph, proto.graph.node[0], proto.graph.input[0]):
        place.metadata_props.add(key="stack", value="/a/path.py")
    onnx.save(proto, path)
    model = ir.load(path)
    strip(model)
    ir.save(model, path)
    content = path.read_bytes()
    assert b"/a/path.py" not in content
    assert b"maker" not in content
    assert b"9.9" not in content
    found = onnx.load(path).graph
    assert found.node[0].op_type == "MatMul"
    assert np.array_equal(numpy_helper.to_array(found.initializer[0]), np.eye(3))


def test_initializers_stand_in_the_order_of_use_and_unused_ones_go(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["z"]),
        helper.make_node("MatMul", ["z", "second"], ["y"]),
    ]
    eye = np.eye(3, dtype=np.float32)
    weights = {"unused": eye, "second": eye, "first": eye}
    model = ir.load(write_graph(tmp_path / "g.onnx", nodes, {"x": [2, 3]}, weights))
    strip(model)
    assert list(model.graph.initializers) == ["first", "second"]


def test_the_default_of_an_input_stays_even_where_nothing_reads_it(tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    inputs, weights = {"x": [2, 3], "scale": [1]}, {"w": np.eye(3, dtype="f4")}
    weights["scale"] = np.ones(1, dtype="f4")
    model = ir.load(write_graph(tmp_path / "g.onnx", [node], inputs, weights))
    strip(model)
    assert list(model.graph.initializers) == ["w", "scale"]
