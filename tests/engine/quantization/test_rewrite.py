from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.distance import Distance, compare_outputs
from lofi_engine.quantization.forms import DYNAMIC, FP16, Form
from lofi_engine.quantization.rewrite import rewrite_graph
from tests.support.toy_graphs import write_matmul

MATRIX = np.random.default_rng(17).standard_normal((64, 64)).astype(np.float32)
FORMS = [FP16, DYNAMIC, Form("blocks", 8, 32), *(Form("blocks", 4, 32, m) for m in ("rtn", "hqq"))]


def _distances(
    path: Path, inputs: dict[str, Any], reference: dict[str, Any]
) -> dict[str, Distance]:
    return compare_outputs(path, reference, GraphSession(path).run(inputs))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_two_runs_give_the_same_bytes_and_leave_the_source_alone(tmp_path, form):
    source = write_matmul(tmp_path / "float.onnx", MATRIX)
    before = source.read_bytes()
    for name in ("one.onnx", "two.onnx"):
        rewrite_graph(source, tmp_path / name, {"w": form})
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    assert source.read_bytes() == before


def test_a_graph_is_never_rewritten_in_place(tmp_path):
    source = write_matmul(tmp_path / "float.onnx", MATRIX)
    with pytest.raises(StageError, match="never rewritten in place"):
        rewrite_graph(source, tmp_path / "." / "float.onnx", {"w": FP16})


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_external_weights_stay_external_under_the_same_name(tmp_path, form):
    source = write_matmul(tmp_path / "float.onnx", MATRIX)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    onnx.save(
        onnx.load(source),
        tmp_path / "in" / "g.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    rewrite_graph(tmp_path / "in" / "g.onnx", tmp_path / "out" / "g.onnx", {"w": form})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["g.onnx", "weights.bin"]
    assert (tmp_path / "out" / "g.onnx").stat().st_size < 2500
    x = {"x": np.ones((2, 64), np.float32)}
    reference = {"y": x["x"] @ MATRIX}
    distance = _distances(tmp_path / "out" / "g.onnx", x, reference)["y"]
    assert distance.relative_rms < 0.15


def test_a_distance_is_measured_in_the_reference_outputs_deviations(tmp_path):
    path = write_matmul(tmp_path / "g.onnx", np.eye(2, dtype=np.float32))
    x = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    distance = _distances(path, {"x": x}, {"y": x + 0.25})["y"]
    assert distance.max_difference == pytest.approx(0.25)
    assert distance.relative_rms == pytest.approx(0.25 / 0.5)


def test_an_output_that_is_not_finite_is_refused(tmp_path):
    matrix = MATRIX.copy()
    matrix[0, 0] = np.nan
    path = write_matmul(tmp_path / "g.onnx", matrix)
    x = np.ones((2, 64), np.float32)
    with pytest.raises(StageError, match=r"g\.onnx: output 'y' has 2 values that are not finite"):
        _distances(path, {"x": x}, {"y": x @ MATRIX})


def test_an_output_of_another_shape_is_refused(tmp_path):
    path = write_matmul(tmp_path / "g.onnx", MATRIX)
    x = np.ones((2, 64), np.float32)
    with pytest.raises(StageError, match=r"has shape \(2, 64\), float32 gives \(1, 64\)"):
        _distances(path, {"x": x}, {"y": x[:1] @ MATRIX})
