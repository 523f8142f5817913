from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.context import split_context
from lofi_engine.onnx_graphs.dependence import (
    Dependence,
    axis_places,
    axis_sizes,
    dependences,
    read_sizes,
)
from tests.support.toy_graphs import write_graph

SHAPES = {
    "hidden_states": ["batch", "frames"],
    "encoder_hidden_states": ["batch", "context"],
    "encoder_hidden_mask": ["batch", "context"],
}


@pytest.fixture
def graph(tmp_path):
    nodes = [
        helper.make_node("Shape", ["hidden_states"], ["batch"], start=0, end=1),
        helper.make_node("Shape", ["encoder_hidden_mask"], ["both"]),
        helper.make_node("Concat", ["batch", "both"], ["sizes"], axis=0),
        helper.make_node("Neg", ["weight"], ["constant"]),
        helper.make_node("MatMul", ["encoder_hidden_states", "constant"], ["key"]),
        helper.make_node("Expand", ["key", "both"], ["wide"]),
        helper.make_node("Shape", ["wide"], ["unknown"]),
        helper.make_node("Add", ["hidden_states", "wide"], ["y"]),
    ]
    weight = {"weight": np.ones((1, 1), np.float32)}
    return ir.load(write_graph(tmp_path / "graph.onnx", nodes, SHAPES, weight)).graph


def test_sizes_are_told_apart_from_contents(graph):
    found = {value.name: hangs for value, hangs in dependences(graph).items()}
    context = frozenset({"encoder_hidden_states"})
    assert found["batch"] == Dependence(axes=frozenset({"batch"}))
    assert found["sizes"] == Dependence(axes=frozenset({"batch", "context"}))
    assert found["constant"] == Dependence()
    assert found["key"] == Dependence(context)
    assert found["wide"] == Dependence(context, frozenset({"batch", "context"}))
    assert found["y"].inputs == {"hidden_states", *context}


def test_a_size_that_is_not_known_hangs_on_contents(graph):
    found = {value.name: hangs for value, hangs in dependences(graph).items()}
    assert found["unknown"] == found["wide"]


def test_an_axis_is_read_off_the_first_value_that_has_it(graph):
    places = {axis: (value.name, at) for axis, (value, at) in axis_places(graph.inputs).items()}
    assert places == {
        "batch": ("hidden_states", 0),
        "frames": ("hidden_states", 1),
        "context": ("encoder_hidden_states", 1),
    }


def test_a_shape_node_says_what_it_reads(graph):
    read = {node.outputs[0].name: read_sizes(node) for node in graph}
    assert read["batch"] == ("batch",)
    assert read["both"] == ("batch", "context")
    assert read["unknown"] is None
    assert read["key"] is None


def test_a_shape_is_numbers_names_and_blanks():
    value = ir.Value(name="x", shape=ir.Shape([2, "frames", None]))
    assert axis_sizes(value) == (2, "frames", "")
    assert axis_sizes(ir.Value(name="y")) == ()


def _write(tmp_path, nodes):
    rest = {"last": np.array([-1], np.int64)}
    return write_graph(tmp_path / "transformer_decoder.onnx", nodes, SHAPES, rest)


def test_a_step_that_needs_a_size_of_the_context_nothing_carries_is_refused(tmp_path):
    nodes = [
        helper.make_node("ReduceSum", ["encoder_hidden_states"], ["total"], keepdims=1),
        helper.make_node("Shape", ["encoder_hidden_mask"], ["size"], start=1, end=2),
        helper.make_node("Cast", ["size"], ["tokens"], to=1),
        helper.make_node("Mul", ["hidden_states", "tokens"], ["scaled"]),
        helper.make_node("Add", ["scaled", "total"], ["y"]),
    ]
    with pytest.raises(StageError, match="cannot be told apart: 'encoder_hidden_mask' is on both"):
        split_context(_write(tmp_path, nodes))


def test_a_decoder_that_only_adds_its_inputs_hands_the_context_over_as_it_is(tmp_path):
    nodes = [helper.make_node("Add", ["hidden_states", "encoder_hidden_states"], ["y"])]
    context, step = split_context(_write(tmp_path, nodes))
    assert [node.op_type for node in ir.load(context).graph] == ["Identity"]
    assert [value.name for value in ir.load(step).graph.inputs] == ["hidden_states", "context_bias"]


def test_a_decoder_that_ignores_its_context_is_refused(tmp_path):
    nodes = [helper.make_node("Relu", ["hidden_states"], ["y"])]
    with pytest.raises(StageError, match="nothing in it hangs on the context alone"):
        split_context(_write(tmp_path, nodes))
