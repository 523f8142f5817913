from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.coverage import (
    check_coverage,
    check_layers,
    count_widths,
    cover_layers,
    measure_coverage,
)
from lofi_engine.quantization.forms import DYNAMIC, FP16, Form
from lofi_engine.quantization.rewrite import rewrite_graph
from lofi_engine.quantization.weights import Weight, find_weights
from tests.support.toy_graphs import write_graph

RANDOM = np.random.default_rng(13)


def _matrix(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.fixture
def mixed(tmp_path):
    """ids -> table -> product -> turned -> depthwise -> pointwise convolution."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["a"], name="lookup"),
        helper.make_node("MatMul", ["a", "matrix"], ["b"], name="product"),
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 2, 1], name="turned"),
        helper.make_node(
            "Conv", ["c", "depthwise"], ["d"], group=64, pads=[1, 1], name="depthwise"
        ),
        helper.make_node("Conv", ["d", "pointwise", "bias"], ["y"], name="pointwise"),
    ]
    weights = {
        "table": _matrix(50, 32),
        "matrix": _matrix(32, 64),
        "depthwise": _matrix(64, 1, 3),
        "pointwise": _matrix(48, 64, 1),
        "bias": _matrix(48),
    }
    inputs = {"ids": ["batch", "n"]}
    output = ["batch", 48, "n"]
    return write_graph(
        tmp_path / "float.onnx", nodes, inputs, weights, integers=["ids"], output=output
    )


def test_each_weight_has_the_role_its_operator_gives_it(mixed):
    weights = find_weights(ir.load(mixed).graph)
    assert [(weight.name, weight.role, weight.elements, weight.bits) for weight in weights] == [
        ("table", "table", 1600, 32),
        ("matrix", "matmul", 2048, 32),
        ("depthwise", "other", 192, 32),
        ("pointwise", "linear", 3072, 32),
        ("bias", "other", 48, 32),
    ]


@pytest.mark.parametrize("block_bits", [4, 8])
def test_widths_are_read_from_the_produced_graph(mixed, tmp_path, block_bits):
    forms = {
        "table": Form("table", block_bits, 32),
        "matrix": Form("blocks", block_bits, 32),
        "pointwise": FP16,
        "bias": FP16,
    }
    rewrite_graph(mixed, tmp_path / "small.onnx", forms)
    coverage = measure_coverage(tmp_path / "small.onnx", block_bits)
    assert coverage.widths == {block_bits: 3648, 16: 3072, 32: 240}
    assert coverage.share == pytest.approx(3648 / 6720)
    assert coverage.matmul_share == pytest.approx(2048 / 5120)


def test_a_convolution_of_kernel_one_is_quantized_as_the_product_it_is(mixed, tmp_path):
    forms = {"matrix": DYNAMIC, "table": Form("table", 8, 32), "pointwise": DYNAMIC}
    rewrite_graph(mixed, tmp_path / "small.onnx", forms, matrices=True)
    coverage = measure_coverage(tmp_path / "small.onnx", 8)
    assert coverage.widths == {8: 6720, 32: 240}
    assert coverage.share == 1.0
    ids = np.array([[0, 3, 49, 7]])
    wanted = GraphSession(mixed).run({"ids": ids})["y"]
    got = GraphSession(tmp_path / "small.onnx").run({"ids": ids})["y"]
    assert np.sqrt(np.square(got - wanted).mean()) / wanted.std() < 0.03


def test_turning_a_convolution_into_a_product_alone_changes_only_rounding(mixed, tmp_path):
    rewrite_graph(mixed, tmp_path / "same.onnx", {}, matrices=True)
    ids = np.array([[0, 3, 49, 7]])
    wanted = GraphSession(mixed).run({"ids": ids})["y"]
    got = GraphSession(tmp_path / "same.onnx").run({"ids": ids})["y"]
    assert np.abs(got - wanted).max() / wanted.std() < 1e-5


def test_a_decoder_that_is_not_what_its_variant_says_is_refused():
    weights = [
        Weight("quantized", "matmul", 800, 8, (20, 40)),
        Weight("skipped", "linear", 200, 16, (10, 20, 1)),
        Weight("norm", "other", 5000, 32, (5000,)),
    ]
    coverage = count_widths(weights, 8)
    with pytest.raises(
        StageError, match=r"variant int8: only 80% of the matrix weights of decoder\.onnx are "
    ):
        check_coverage("int8", "decoder.onnx", coverage, 8)
    check_coverage("fp16", "decoder.onnx", count_widths(weights, 16), 16)


def test_what_the_budget_lifted_counts_as_covered_up_to_half():
    weights = [
        Weight("attention.int8", "matmul", 400, 8, (20, 20)),
        Weight("feed_forward.int4", "matmul", 600, 4, (20, 30)),
    ]
    forgotten = count_widths(weights, 4)
    assert forgotten.matmul_share == 0.6
    with pytest.raises(StageError, match=r"only 60% of the matrix weights of decoder\.onnx are"):
        check_coverage("int4", "decoder.onnx", forgotten, 4)
    lifted = count_widths(weights, 4, {"attention"})
    assert (lifted.matmul_share, lifted.lifted) == (1.0, 400)
    check_coverage("int4", "decoder.onnx", lifted, 4)
    both = count_widths(
        [*weights[:1], Weight("out.int8", "matmul", 600, 8, (20, 30))], 4, {"attention", "out"}
    )
    with pytest.raises(StageError, match="variant int4: its max_bytes lifts 100% of the matrix"):
        check_coverage("int4", "decoder.onnx", both, 4)


def test_one_layer_of_many_that_was_skipped_is_named_though_95_percent_are_covered():
    layers = [
        Weight(f"blocks.{number}.attn.to_q.weight.int8", "matmul", 400, 8, (20, 20))
        for number in range(24)
    ]
    layers[7] = Weight("blocks.7.attn.to_q.weight.fp16", "matmul", 400, 16, (20, 20))
    check_coverage("int8", "decoder.onnx", count_widths(layers, 8), 8)
    shares = cover_layers(layers, 8)
    assert (shares["blocks.6"], shares["blocks.7"]) == (1.0, 0.0)
    with pytest.raises(
        StageError,
        match=r"variant int8: blocks\.7 of decoder\.onnx kept wide weights: 0% of blocks\.7 are",
    ):
        check_layers("int8", "decoder.onnx", shares, 8)
    check_layers("int4", "decoder.onnx", cover_layers(layers[:1], 4, {layers[0].name[:-5]}), 4)


def test_a_graph_without_matrices_is_covered():
    assert count_widths([Weight("norm", "other", 10, 32, (10,))], 4).share == 1.0


def test_the_default_of_an_input_is_no_weight_and_is_never_narrowed(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"], name="product"),
        helper.make_node("Add", ["product", "others"], ["y"], name="sum"),
    ]
    shapes = {"x": ["rows", 64], "others": ["pieces", 64]}
    weights = {"w": _matrix(64, 64), "others": np.zeros((32, 64), np.float32)}
    source = write_graph(tmp_path / "float.onnx", nodes, shapes, weights)
    assert [weight.name for weight in find_weights(ir.load(source).graph)] == ["w"]
    for number, form in enumerate((FP16, DYNAMIC, Form("blocks", 4, 32))):
        target = tmp_path / f"{number}.onnx"
        rewrite_graph(source, target, {"w": form})
        session = GraphSession(target)
        assert [value.name for value in session.inputs] == ["x"]
        assert [(value.name, value.dtype) for value in session.optional_inputs] == [
            ("others", "float32")
        ]
        x = _matrix(32, 64)
        plain = session.run({"x": x})["y"]
        given = session.run({"x": x, "others": np.ones((32, 64), np.float32)})["y"]
        np.testing.assert_allclose(given, plain + 1, atol=1e-5)
