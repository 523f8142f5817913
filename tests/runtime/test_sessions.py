"""Graphs by name: what must be given, what may be, and which answers are wanted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lofi_runtime.bundle import MANIFEST_NAME, Bundle, open_bundle
from lofi_runtime.errors import BackendError
from lofi_runtime.manifest import PipelineConfig
from lofi_runtime.sessions import Sessions
from tests.support.tiny_bundle import NAME, make_tiny_bundle, write_manifest

FILE = "toy.onnx"
TEXT = "text_encoder.onnx"
ONES = np.ones((1, 3), np.float32)


@pytest.fixture
def toy(tmp_path: Path) -> Sessions:
    """`near` = x * gain; `far` = near + x ** power, of x (rows, 3)."""
    nodes = [
        helper.make_node("Mul", ["x", "gain"], ["near"]),
        helper.make_node("Log", ["near"], ["log"]),
        helper.make_node("Pow", ["x", "power"], ["raised"]),
        helper.make_node("Add", ["near", "raised"], ["far"]),
    ]
    shapes = {"x": ["R", 3], "gain": ["G"], "power": [1], "near": None, "log": None, "far": None}
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    defaults = [
        numpy_helper.from_array(np.array([value], np.float32), name)
        for name, value in (("gain", 2.0), ("power", 1.0))
    ]
    graph = helper.make_graph(nodes, "toy", values[:3], values[3:], defaults)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, tmp_path / FILE)
    return Sessions(Bundle(tmp_path, None, False), threads=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("whole") / NAME, query_scale=True, step=True)


def test_what_may_be_left_out_has_its_default(toy: Sessions) -> None:
    near, log, far = toy.run(FILE, ONES * 3)
    np.testing.assert_array_equal([near[0, 0], far[0, 0]], [6, 9])
    np.testing.assert_allclose(log[0, 0], np.log(6))


def test_optional_inputs_are_given_by_name_one_or_several(toy: Sessions) -> None:
    power = np.array([2], np.float32)
    assert toy.run(FILE, ONES * 3, optional={"power": power})[2][0, 0] == 15
    both = {"power": power, "gain": np.array([1], np.float32)}
    assert toy.run(FILE, ONES * 3, optional=both)[2][0, 0] == 12


def test_only_the_wanted_outputs_come_back_and_are_looked_at(toy: Sessions) -> None:
    with pytest.raises(BackendError, match="'log' holds values that are not numbers"):
        toy.run(FILE, -ONES)
    (near,) = toy.run(FILE, -ONES, outputs=("near",))
    np.testing.assert_array_equal(near, -2 * ONES)
    far, near = toy.run(FILE, ONES * 3, outputs=("far", "near"))
    assert (far[0, 0], near[0, 0]) == (9, 6)


def test_a_graph_says_what_it_takes_and_gives(toy: Sessions) -> None:
    assert toy.input_names(FILE) == ("x",)
    assert sorted(toy.optional_names(FILE)) == ["gain", "power"]
    assert toy.output_names(FILE) == ("near", "log", "far")
    assert toy.offers(FILE, "gain")
    assert not toy.offers(FILE, "x")
    assert not toy.offers(FILE, "query_scale")


def test_a_dropped_graph_is_loaded_again_when_asked_for(toy: Sessions) -> None:
    assert not toy.is_loaded(FILE)
    toy.load([FILE])
    assert toy.is_loaded(FILE)
    toy.drop(FILE, "never.onnx")
    assert not toy.is_loaded(FILE)
    assert toy.run(FILE, ONES)[0][0, 0] == 2


def test_names_the_graph_does_not_have_are_refused_with_those_it_has(toy: Sessions) -> None:
    with pytest.raises(BackendError, match=r"toy.onnx: has no optional input 'x', only .*power"):
        toy.run(FILE, ONES, optional={"x": ONES})
    with pytest.raises(BackendError, match=r"toy.onnx: has no output 'mel', only near, log, far"):
        toy.run(FILE, ONES, outputs=("near", "mel"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_no_number_names_graph_and_output(toy: Sessions, value: float) -> None:
    inputs = ONES.copy()
    inputs[0, 1] = value
    with pytest.raises(BackendError, match=r"toy.onnx: 'near' holds values that are not numbers"):
        toy.run(FILE, inputs)


def test_what_an_unpublished_bundle_answers_is_left_to_who_measures_it(
    toy: Sessions, tmp_path: Path
) -> None:
    made = Bundle(tmp_path, None, False, stated_config=PipelineConfig())
    (near, *_) = Sessions(made, threads=1).run(FILE, ONES * np.nan)
    assert np.isnan(near).all()


def test_minus_infinity_may_mask(toy: Sessions) -> None:
    assert toy.run(FILE, ONES * 0, outputs=("log",))[0][0, 0] == -np.inf


def test_the_manifests_optional_inputs_are_read(whole: Path) -> None:
    bundle = open_bundle(whole)
    graphs = bundle.manifest.graphs
    assert [str(value) for value in graphs[TEXT].optional_inputs] == ["'query_scale' (float32)"]
    assert graphs["vocoder.onnx"].optional_inputs == ()
    sessions = Sessions(bundle, threads=1)
    sessions.load(list(graphs))
    assert sessions.optional_names(TEXT) == ("query_scale",)


@pytest.mark.parametrize(
    ("optional", "words"),
    [
        (None, r"optional input 'query_scale' \(float32\), .*says there is none"),
        ({"name": "temperature"}, r"optional input 'query_scale' \(float32\), .* there is none"),
        ({"name": "a"}, r"optional input 'a' is not there, .* says 'a' \(float32\)"),
        ({"dtype": "int64"}, r"optional input .*\(float32\), .* says 'query_scale' \(int64\)"),
    ],
)
def test_optional_inputs_that_are_not_the_manifests_are_refused(
    whole: Path, tmp_path: Path, optional: dict[str, str] | None, words: str
) -> None:
    wrong = shutil.copytree(whole, tmp_path / NAME)
    graphs = json.loads((wrong / MANIFEST_NAME).read_text())["graphs"]
    if optional is None:
        del graphs[TEXT]["optional_inputs"]
    else:
        graphs[TEXT]["optional_inputs"][0].update(optional)
    write_manifest(wrong, graphs)
    with pytest.raises(BackendError, match=rf"{TEXT}: {words}"):
        Sessions(open_bundle(wrong), threads=1).load([TEXT])
