from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest
from onnx import helper

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.context import CONTEXT_FILE, STEP_FILE, split_context
from lofi_engine.onnx_graphs.dependence import axis_sizes
from lofi_engine.onnx_graphs.export import export_graph
from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.rewrite import load_graph, rewrite_graph
from lofi_engine.quantization.rules import plan_forms
from lofi_engine.quantization.weights import find_weights
from lofi_engine.recipe.model import Variant
from tests.support.exported_tiny import exported_tiny, temporary_folder
from tests.support.toy_graphs import decoder_spec, write_graph

DECODER = "transformer_decoder.onnx"
WEIGHTS = "transformer_decoder_weights.bin"
CONTEXT = ("encoder_hidden_states", "encoder_hidden_mask")
VARIANTS = ("float32", "fp16", "int8", "int4")

Arrays = dict[str, npt.NDArray[Any]]


def _toy_inputs(rng: np.random.Generator, frames: int, tokens: int, batch: int) -> Arrays:
    mask = np.ones((batch, tokens), np.float32)
    mask[:, -2:] = 0
    return {
        "hidden_states": rng.standard_normal((batch, 8, 16, frames), np.float32),
        "attention_mask": np.ones((batch, frames), np.float32),
        "encoder_hidden_states": rng.standard_normal((batch, tokens, 64), np.float32),
        "encoder_hidden_mask": mask,
        "timestep": np.array([500.0], np.float32),
    }


@functools.cache
def _toy() -> Path:
    folder = temporary_folder("whole-toy")
    export_graph(decoder_spec(), folder)
    return folder / DECODER


@functools.cache
def _cut(variant: str, source: Callable[[], Path]) -> tuple[Path, int, int]:
    """The folder of a decoder in a variant's widths, cut; and the weights file before."""
    folder = temporary_folder(f"cut-{source.__name__}-{variant}")
    if variant == "float32":
        for name in (DECODER, WEIGHTS):
            (folder / name).write_bytes(source().with_name(name).read_bytes())
    else:
        asked = Variant(variant, "auto", 32, None, ())
        matrices = variant != "fp16"
        weights = find_weights(load_graph(source(), matrices=matrices).graph)
        forms = plan_forms("transformer_decoder", weights, asked)
        rewrite_graph(source(), folder / DECODER, forms, matrices=matrices)
    before = (folder / WEIGHTS).stat()
    assert split_context(folder / DECODER) == (folder / CONTEXT_FILE, folder / STEP_FILE)
    return folder, before.st_size, before.st_mtime_ns


def _in_two(folder: Path, inputs: Arrays) -> npt.NDArray[Any]:
    given = GraphSession(folder / CONTEXT_FILE).run({name: inputs[name] for name in CONTEXT})
    rest = {name: array for name, array in inputs.items() if name not in CONTEXT}
    return GraphSession(folder / STEP_FILE).run({**rest, **given})["sample"]


def _largest_difference(folder: Path, inputs: Arrays) -> float:
    whole = GraphSession(folder / DECODER).run(inputs)["sample"]
    return float(np.abs(whole - _in_two(folder, inputs)).max() / whole.std())


@pytest.mark.parametrize("variant", VARIANTS)
def test_context_and_step_together_give_what_the_whole_decoder_gives(variant):
    folder, _, _ = _cut(variant, _toy)
    rng = np.random.default_rng(1)
    for sizes in ((12, 7, 1), (5, 9, 2), (1, 3, 3)):
        assert _largest_difference(folder, _toy_inputs(rng, *sizes)) < 1e-5


def test_keys_and_values_made_once_serve_every_step():
    folder, _, _ = _cut("int8", _toy)
    inputs = _toy_inputs(np.random.default_rng(2), 12, 7, 2)
    given = GraphSession(folder / CONTEXT_FILE).run({name: inputs[name] for name in CONTEXT})
    step, whole = GraphSession(folder / STEP_FILE), GraphSession(folder / DECODER)
    for number in range(3):
        inputs["hidden_states"] = inputs["hidden_states"] * 0.5
        inputs["timestep"] = np.array([900.0 / (number + 1)], np.float32)
        rest = {name: array for name, array in inputs.items() if name not in CONTEXT}
        expected = whole.run(inputs)["sample"]
        np.testing.assert_allclose(step.run({**rest, **given})["sample"], expected, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_weight_is_written_twice(variant):
    folder, size, changed = _cut(variant, _toy)
    after = (folder / WEIGHTS).stat()
    assert (after.st_size, after.st_mtime_ns) == (size, changed)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [DECODER, WEIGHTS, CONTEXT_FILE, STEP_FILE]
    )
    places = {}
    for name in (DECODER, CONTEXT_FILE, STEP_FILE):
        for value in ir.load(folder / name).graph.initializers.values():
            tensor = value.const_value
            if isinstance(tensor, ir.ExternalTensor):
                place = (tensor.location, tensor.offset, tensor.length)
                assert places.setdefault(value.name, place) == place
            else:
                assert tensor.nbytes <= 256
    assert {place[0] for place in places.values()} == {WEIGHTS}


def test_projections_of_the_context_leave_the_step():
    folder, _, _ = _cut("int4", _toy)
    names = {
        name: set(ir.load(folder / name).graph.initializers) for name in (CONTEXT_FILE, STEP_FILE)
    }
    for layer in range(2):
        for part in ("to_k", "to_v"):
            weight = f"blocks.{layer}.{part}.weight.int4"
            assert weight in names[CONTEXT_FILE]
            assert weight not in names[STEP_FILE]
        assert f"blocks.{layer}.to_q.weight.int4" not in names[CONTEXT_FILE]


def test_inputs_and_outputs_are_named_and_shaped_by_layer():
    folder, _, _ = _cut("int8", _tiny)
    context, step = GraphSession(folder / CONTEXT_FILE), GraphSession(folder / STEP_FILE)
    assert [value.name for value in context.inputs] == list(CONTEXT)
    keys = ("batch", 4, 16, "context")
    values = ("batch", 4, "context", 16)
    expected = {"context_bias": ("batch", 1, 1, "context")}
    for layer in range(4):
        expected |= {f"cross_key_{layer}": keys, f"cross_value_{layer}": values}
    names = [name for layer in range(4) for name in (f"cross_key_{layer}", f"cross_value_{layer}")]
    names.append("context_bias")
    assert [value.name for value in context.outputs] == names
    assert {value.name: value.shape for value in context.outputs} == expected
    assert {value.dtype for value in context.outputs} == {"float32"}
    needed = ["hidden_states", "attention_mask", "timestep"]
    assert [value.name for value in step.inputs] == [*needed, *names]
    assert {value.name: value.shape for value in step.inputs if value.name in names} == expected
    assert step.output_names == ("sample",)


def _tiny() -> Path:
    return exported_tiny()[0] / DECODER


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("batch", [1, 2])
def test_the_tiny_models_decoder_is_cut_exactly(variant, batch):
    folder, _, _ = _cut(variant, _tiny)
    rng = np.random.default_rng(3)
    inputs = _toy_inputs(rng, 11, 6, batch)
    assert _largest_difference(folder, inputs) < 1e-5


def test_two_cuts_give_the_same_bytes_and_leave_the_decoder_alone(tmp_path):
    folder, _, _ = _cut("fp16", _toy)
    for name in (DECODER, WEIGHTS):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    split_context(tmp_path / DECODER)
    for name in (DECODER, WEIGHTS, CONTEXT_FILE, STEP_FILE):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name
    assert str(tmp_path).encode() not in (tmp_path / STEP_FILE).read_bytes()


def _with_query_scale(folder: Path) -> None:
    """Give the toy decoder an optional input that scales its answer."""
    model = ir.load(_toy())
    graph = model.graph
    scale = ir.Value(
        name="query_scale",
        shape=ir.Shape(["batch"]),
        type=ir.TensorType(ir.DataType.FLOAT),
        const_value=ir.tensor(np.ones(1, np.float32), name="query_scale"),
    )
    graph.inputs.append(scale)
    graph.register_initializer(scale)
    sample = graph.outputs[0]
    sample.name = "unscaled"
    scaled = ir.node("Mul", [sample, scale], name="scaled")
    scaled.outputs[0].name, scaled.outputs[0].type = "sample", sample.type
    scaled.outputs[0].shape = sample.shape
    graph.append(scaled)
    graph.outputs[0] = scaled.outputs[0]
    ir.save(model, folder / DECODER, external_data=WEIGHTS)


def test_an_optional_input_stays_optional_and_goes_with_the_step(tmp_path):
    _with_query_scale(tmp_path)
    split_context(tmp_path / DECODER)
    graph = ir.load(tmp_path / STEP_FILE).graph
    assert graph.inputs[-1].name == "query_scale"
    assert axis_sizes(graph.inputs[-1]) == ("batch",)
    assert "query_scale" not in [
        value.name for value in ir.load(tmp_path / CONTEXT_FILE).graph.inputs
    ]
    inputs = _toy_inputs(np.random.default_rng(4), 12, 7, 1)
    plain = _in_two(tmp_path, inputs)
    inputs["query_scale"] = np.array([0.25], np.float32)
    np.testing.assert_array_equal(_in_two(tmp_path, inputs), plain * np.float32(0.25))


def test_sizes_read_off_the_other_side_are_read_off_the_own_side(tmp_path):
    """The context's values are reshaped by the latents' batch and the step's by the mask's."""
    size = {"start": 0, "end": 1}
    minus_one = np.array([-1], np.int64)
    nodes = [
        helper.make_node("Shape", ["hidden_states"], ["of_step"], name="of_step", **size),
        helper.make_node(
            "Shape", ["encoder_hidden_mask"], ["of_context"], name="of_context", **size
        ),
        helper.make_node("Shape", ["encoder_hidden_mask"], ["both"], name="both"),
        helper.make_node("Concat", ["of_step", "rest"], ["flat"], axis=0),
        helper.make_node("Reshape", ["encoder_hidden_states", "flat"], ["context_flat"]),
        helper.make_node("ReduceSum", ["context_flat"], ["context_sum"], keepdims=1),
        helper.make_node("Concat", ["of_context", "rest"], ["step_flat"], axis=0),
        helper.make_node("Reshape", ["hidden_states", "step_flat"], ["frames"]),
        helper.make_node("Add", ["frames", "context_sum"], ["sum"]),
        helper.make_node("Cast", ["both"], ["sizes"], to=1),
        helper.make_node("ReduceSum", ["sizes"], ["sizes_sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "sizes_sum"], ["product"]),
        helper.make_node("Mul", ["product", "encoder_hidden_mask"], ["y"]),
    ]
    shapes = {
        "hidden_states": ["batch", 2, "context"],
        "encoder_hidden_states": ["batch", "context", 3],
        "encoder_hidden_mask": ["batch", "context"],
    }
    nodes[-2] = helper.make_node("ReduceSum", ["sum", "last"], ["row"], keepdims=1)
    nodes.insert(-1, helper.make_node("Mul", ["row", "sizes_sum"], ["product"]))
    path = write_graph(tmp_path / DECODER, nodes, shapes, {"rest": minus_one, "last": minus_one})
    split_context(path)
    rng = np.random.default_rng(5)
    inputs = {
        "hidden_states": rng.standard_normal((2, 2, 4), np.float32),
        "encoder_hidden_states": rng.standard_normal((2, 4, 3), np.float32),
        "encoder_hidden_mask": np.ones((2, 4), np.float32),
    }
    whole = GraphSession(path).run(inputs)["y"]
    given = GraphSession(tmp_path / CONTEXT_FILE).run({name: inputs[name] for name in CONTEXT})
    step = GraphSession(tmp_path / STEP_FILE)
    rest = {"hidden_states": inputs["hidden_states"]}
    np.testing.assert_allclose(step.run({**rest, **given})["y"], whole, rtol=1e-6)
    assert all(name.startswith("context_") for name in given)


def test_a_graph_without_a_context_is_refused_by_name(tmp_path):
    node = helper.make_node("Relu", ["hidden_states"], ["y"])
    path = write_graph(tmp_path / DECODER, [node], {"hidden_states": ["batch"]}, {})
    with pytest.raises(
        StageError, match=r"transformer_decoder\.onnx: has no input encoder_hidden_"
    ):
        split_context(path)
    assert [file.name for file in tmp_path.iterdir()] == [DECODER]
