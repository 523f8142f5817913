from __future__ import annotations

import logging

import numpy as np
import pytest

from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.forms import Form
from lofi_engine.quantization.methods import BLOCK_METHODS, CALIBRATED
from lofi_engine.quantization.nbits import blocks_bytes, quantize_blocks
from lofi_engine.quantization.rewrite import rewrite_graph
from tests.support.toy_graphs import write_matmul

RANDOM = np.random.default_rng(7)
ALL = [(4, "rtn"), (4, "hqq"), (4, "k-quant"), (8, "rtn")]


def _matrix(rows: int, columns: int) -> np.ndarray:
    return RANDOM.standard_normal((rows, columns)).astype(np.float32)


@pytest.mark.parametrize(("bits", "method"), ALL)
@pytest.mark.parametrize("rows", [64, 96], ids=["even-blocks", "odd-blocks"])
def test_the_runtime_multiplies_by_what_dequantize_says(tmp_path, bits, method, rows):
    matrix = _matrix(rows, 40)
    blocks = quantize_blocks(matrix, bits=bits, block_size=32, method=method)
    source = write_matmul(tmp_path / "float.onnx", matrix)
    form = Form("blocks", bits, 32, method)
    rewrite_graph(source, tmp_path / "blocks.onnx", {"w": form})
    x = np.eye(rows, dtype=np.float32)  # exact in int8, so the product is the weight itself
    got = GraphSession(tmp_path / "blocks.onnx").run({"x": x})["y"]
    assert np.allclose(got, blocks.dequantize(), atol=0.02 * np.abs(matrix).max())


@pytest.mark.parametrize(("bits", "method"), ALL)
def test_the_error_is_that_of_the_width(bits, method):
    matrix = _matrix(96, 40)
    blocks = quantize_blocks(matrix, bits=bits, block_size=32, method=method)
    error = np.sqrt(np.square(blocks.dequantize() - matrix).mean()) / matrix.std()
    low, high = (0.05, 0.12) if bits == 4 else (0.002, 0.008)
    assert low < error < high


def test_smaller_blocks_are_more_exact():
    matrix = _matrix(128, 40)
    errors = [
        np.square(quantize_blocks(matrix, bits=4, block_size=size).dequantize() - matrix).mean()
        for size in (16, 32, 64, 128)
    ]
    assert errors == sorted(errors)


@pytest.mark.parametrize(("bits", "method"), ALL)
def test_bytes_are_counted_as_stored(bits, method):
    blocks = quantize_blocks(_matrix(96, 40), bits=bits, block_size=32, method=method)
    stored = blocks.values.nbytes + blocks.scale.nbytes + blocks.zero_point.nbytes
    assert blocks_bytes((96, 40), bits, 32, method) == stored


@pytest.mark.parametrize("method", [name for name in BLOCK_METHODS if name not in CALIBRATED])
def test_constant_columns_survive(method):
    matrix = _matrix(64, 4)
    matrix[:, 0] = 0.0
    blocks = quantize_blocks(matrix, bits=4, block_size=32, method=method)
    assert np.array_equal(blocks.dequantize()[:, 0], np.zeros(64))


def test_two_runs_give_the_same_numbers():
    matrix = _matrix(64, 40)
    for bits, method in ALL:
        once = quantize_blocks(matrix, bits=bits, block_size=32, method=method)
        again = quantize_blocks(matrix.copy(), bits=bits, block_size=32, method=method)
        assert np.array_equal(once.values, again.values)
        assert np.array_equal(once.zero_point, again.zero_point)


def test_blocks_that_do_not_divide_the_rows_are_refused():
    with pytest.raises(ValueError, match="blocks of 32 do not divide 40 rows"):
        quantize_blocks(_matrix(40, 4), bits=4, block_size=32)


def test_hqq_in_8_bits_is_refused_because_the_runtime_fails_on_it():
    with pytest.raises(ValueError, match="hqq works in 4 bits, not 8"):
        quantize_blocks(_matrix(64, 4), bits=8, block_size=32, method="hqq")


def test_the_library_leaves_output_and_root_logger_alone(capfd):
    root = logging.getLogger()
    before = (root.level, list(root.handlers), root.manager.disable)
    for bits, method in ALL:
        quantize_blocks(_matrix(64, 4), bits=bits, block_size=32, method=method)
    assert (root.level, list(root.handlers), root.manager.disable) == before
    assert capfd.readouterr() == ("", "")
