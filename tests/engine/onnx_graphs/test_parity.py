from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import StageError
from lofi_engine.onnx_graphs.parity import Case, check_cases

X = np.arange(6, dtype=np.float32).reshape(2, 3)
CASE = Case({"rows": 2}, ("scale",), {"x": X}, {"y": X * 2})


def test_a_difference_is_measured_in_standard_deviations_of_what_is_expected():
    (found,) = check_cases("g.onnx", [CASE], lambda inputs: {"y": inputs["x"] * 2 + 1e-3})
    assert found.output == "y"
    assert found.left_out == ("scale",)
    assert found.max_difference == pytest.approx(1e-3, rel=1e-3)
    assert found.relative_difference == pytest.approx(1e-3 / (X * 2).std(), rel=1e-3)


def test_an_output_too_far_away_is_refused_with_sizes_and_what_was_left_out():
    with pytest.raises(StageError, match=r"g\.onnx: output 'y' at rows 2 without scale is .* from"):
        check_cases("g.onnx", [CASE], lambda inputs: {"y": inputs["x"]})


def test_an_output_of_another_shape_or_none_at_all_is_refused():
    with pytest.raises(StageError, match=r"has shape \(2,\), torch gives \(2, 3\)"):
        check_cases("g.onnx", [CASE], lambda inputs: {"y": inputs["x"][:, 0]})
    with pytest.raises(StageError, match="output 'y' at rows 2 without scale is missing"):
        check_cases("g.onnx", [CASE], lambda inputs: {"z": inputs["x"]})
