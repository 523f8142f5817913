from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from lofi_engine.quantization.forms import DYNAMIC, FP16, Form
from lofi_engine.quantization.rewrite import rewrite_graph
from lofi_engine.quantization.stored import stored_by_operator, widths_line
from tests.support.toy_graphs import write_matmul

ROWS, COLUMNS = 64, 96


@pytest.mark.parametrize(
    ("form", "operator", "bits", "size_bytes"),
    [
        (FP16, "MatMul", 16, ROWS * COLUMNS * 2),
        (DYNAMIC, "MatMulInteger", 8, ROWS * COLUMNS + 5 * COLUMNS),
        (Form("blocks", 4, 32), "MatMulNBits", 4, ROWS * COLUMNS // 2 + COLUMNS * (2 * 4 + 1)),
    ],
    ids=["fp16", "dynamic", "4 bits in blocks"],
)
def test_bytes_are_counted_with_scales_and_zero_points_at_the_operator_that_reads_the_weight(
    tmp_path, form, operator, bits, size_bytes
):
    matrix = np.random.default_rng(0).standard_normal((ROWS, COLUMNS), dtype=np.float32)
    source = write_matmul(tmp_path / "float.onnx", matrix)
    rewrite_graph(source, tmp_path / "small.onnx", {"w": form})
    graph = ir.load(tmp_path / "small.onnx").graph
    found = stored_by_operator(graph)
    assert found[operator].size_bytes == size_bytes
    assert dict(found[operator].widths) == {bits: ROWS * COLUMNS}
    whole = sum(
        math.ceil(math.prod(value.const_value.shape) * value.const_value.dtype.bitwidth / 8)
        for value in graph.initializers.values()
    )
    assert sum(one.size_bytes for one in found.values()) == whole


def test_widths_are_told_most_first_and_crumbs_are_left_out():
    told = widths_line({4: 900, 8: 92, 16: 6, 32: 2})
    assert told == "90% in 4 bits, 9% in 8 bits, 1% in 16 bits"
    assert widths_line({}) == ""
