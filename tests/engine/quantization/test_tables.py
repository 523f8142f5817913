from __future__ import annotations

import numpy as np
import onnx
import pytest

from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.forms import Form
from lofi_engine.quantization.rewrite import rewrite_graph
from lofi_engine.quantization.tables import quantize_table, table_bytes
from tests.support.toy_graphs import write_lookup

RANDOM = np.random.default_rng(9)
IDS = np.array([[0, 29, 3], [3, 3, 17]])


def _table(rows: int = 30, width: int = 64) -> np.ndarray:
    table = RANDOM.standard_normal((rows, width)).astype(np.float32)
    table[3] = 0.0
    table[17, :32] *= 100
    return table


@pytest.mark.parametrize("bits", [4, 8])
def test_the_runtime_looks_up_exactly_what_dequantize_says(tmp_path, bits):
    table = _table()
    source = write_lookup(tmp_path / "float.onnx", table)
    rewrite_graph(source, tmp_path / "small.onnx", {"w": Form("table", bits, 32)})
    got = GraphSession(tmp_path / "small.onnx").run({"ids": IDS})["y"]
    wanted = quantize_table(table, bits, 32).dequantize()[IDS]
    assert np.allclose(got, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("bits", "share"), [(4, 1 / 14), (8, 1 / 250)])
def test_no_entry_is_further_off_than_half_a_step_of_its_block(bits, share):
    table = _table()
    found = quantize_table(table, bits, 32).dequantize()
    largest = np.abs(table.reshape(30, 2, 32)).max(axis=2).repeat(32, axis=1).reshape(30, 64)
    assert (np.abs(found - table) <= largest * share + 1e-12).all()


def test_8_bit_tables_use_operators_every_runtime_has(tmp_path):
    source = write_lookup(tmp_path / "float.onnx", _table())
    rewrite_graph(source, tmp_path / "small.onnx", {"w": Form("table", 8, 32)})
    model = onnx.load(tmp_path / "small.onnx")
    assert {node.domain for node in model.graph.node} == {""}
    assert [opset.domain for opset in model.opset_import] == [""]


def test_an_8_bit_table_of_any_width_fits_in_one_block_a_row(tmp_path):
    table = _table(width=50)
    source = write_lookup(tmp_path / "float.onnx", table)
    rewrite_graph(source, tmp_path / "small.onnx", {"w": Form("table", 8, 50)})
    got = GraphSession(tmp_path / "small.onnx").run({"ids": IDS})["y"]
    assert got.shape == (2, 3, 50)
    assert np.abs(got - table[IDS]).max() <= np.abs(table).max() / 250


@pytest.mark.parametrize("bits", [4, 8])
def test_bytes_are_counted_as_stored(tmp_path, bits):
    table = quantize_table(_table(), bits, 32)
    stored = table.values.size * bits // 8 + table.scale.nbytes
    if table.zero_point is not None:
        stored += table.zero_point.size // 2
    assert table_bytes((30, 64), bits, 32) == stored


def test_a_block_that_does_not_divide_the_width_is_refused():
    with pytest.raises(ValueError, match="no 4-bit table of width 50 in blocks of 32"):
        quantize_table(_table(width=50), 4, 32)
