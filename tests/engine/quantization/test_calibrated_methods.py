from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.onnx_graphs.sessions import GraphSession
from lofi_engine.quantization.affine import fit_affine, pack_blocks
from lofi_engine.quantization.awq import find_input_scale, quantize_plainly
from lofi_engine.quantization.gptq import output_error, quantize_gptq
from lofi_engine.quantization.nbits import blocks_bytes, quantize_blocks

ROWS, COLUMNS = 96, 40


def inputs(seed=3, rows=ROWS, count=4000):
    """Vectors as networks have them: few directions, some channels far louder than others."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((12, rows)) * np.exp(random.standard_normal(rows))
    mixed = random.standard_normal((count, 12)) @ mixing
    return (mixed + 0.1 * random.standard_normal((count, rows))).astype(np.float32)


def matrix(seed=4, rows=ROWS):
    return np.random.default_rng(seed).standard_normal((rows, COLUMNS)).astype(np.float32)


def gram(x):
    return x.T @ x


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("rows", [64, 96], ids=["even-blocks", "odd-blocks"])
def test_packed_numbers_are_read_back_as_they_were(bits, rows):
    weights = matrix(rows=rows)
    blocks = quantize_plainly(weights, bits=bits, block_size=32)
    stored = blocks.dequantize()
    for start in range(0, rows, 32):
        affine = fit_affine(weights[start : start + 32], bits)
        wanted = affine.weights(affine.codes(weights[start : start + 32]))
        np.testing.assert_array_equal(stored[start : start + 32], wanted)
    size_bytes = blocks.values.nbytes + blocks.scale.nbytes + blocks.zero_point.nbytes
    assert size_bytes == blocks_bytes((rows, COLUMNS), bits, 32, "rtn")


def test_a_scale_that_clips_is_never_worse_than_the_whole_range():
    weights = matrix()[:32]
    weights[0, 0] = 20.0
    affine = fit_affine(weights, 4)
    whole = quantize_blocks(weights, bits=4, block_size=32).dequantize()
    found = affine.weights(affine.codes(weights))
    assert (np.square(found - weights).sum(0) <= np.square(whole - weights).sum(0) + 1e-5).all()


def test_zero_and_constant_columns_are_exact():
    weights = np.zeros((32, 3), np.float32)
    weights[:, 1], weights[:, 2] = 0.25, -7.0
    affine = fit_affine(weights, 4)
    np.testing.assert_allclose(affine.weights(affine.codes(weights)), weights, rtol=1e-6)


def test_gptq_beats_rounding_by_far_on_inputs_that_hang_together():
    x, weights = inputs(), matrix()
    rounded = quantize_blocks(weights, bits=4, block_size=32).dequantize()
    made = quantize_gptq(weights, gram(x), bits=4, block_size=32).dequantize()
    heard_after = inputs(seed=3, count=6000)[4000:]
    for seen in (x, heard_after):
        assert output_error(weights, made, gram(seen)) < 0.4 * output_error(
            weights, rounded, gram(seen)
        )


def test_gptq_is_plain_rounding_where_inputs_have_nothing_to_do_with_each_other():
    weights = matrix()
    made = quantize_gptq(weights, np.eye(ROWS, dtype=np.float32), bits=4, block_size=32)
    plain = quantize_plainly(weights, bits=4, block_size=32)
    np.testing.assert_array_equal(made.values, plain.values)


def test_gptq_bears_inputs_that_calibration_never_saw():
    x = inputs()
    x[:, 5:9] = 0.0
    made = quantize_gptq(matrix(), gram(x), bits=4, block_size=32).dequantize()
    assert np.isfinite(made).all()
    assert np.square(made[5:9] - matrix()[5:9]).mean() < 0.05


def test_awq_beats_rounding_where_some_inputs_are_loud():
    x, weights = inputs(), [matrix(), matrix(seed=9)]
    scale = find_input_scale(weights, gram(x), bits=4, block_size=32)
    assert scale.min() < 1 < scale.max()
    for one in weights:
        made = quantize_plainly(one * scale[:, None], bits=4, block_size=32).dequantize()
        rounded = quantize_blocks(one, bits=4, block_size=32).dequantize()
        assert output_error(one, made / scale[:, None], gram(x)) < 0.85 * output_error(
            one, rounded, gram(x)
        )


def test_awq_leaves_alone_what_no_scale_makes_better():
    scale = find_input_scale([matrix()], np.zeros((ROWS, ROWS), np.float32), bits=4, block_size=32)
    np.testing.assert_array_equal(scale, 1.0)


def test_the_output_error_is_that_of_the_products():
    x, weights = inputs(), matrix()
    stored = quantize_blocks(weights, bits=4, block_size=32).dequantize()
    wanted = np.square(x @ stored - x @ weights).sum() / np.square(x @ weights).sum()
    assert output_error(weights, stored, gram(x)) == pytest.approx(wanted, rel=1e-3)


def test_the_runtime_multiplies_by_what_gptq_stored(tmp_path):
    import onnx_ir as ir

    from lofi_engine.quantization.nbits import replace_matmuls
    from tests.support.toy_graphs import write_matmul

    weights = matrix()
    made = quantize_gptq(weights, gram(inputs()), bits=4, block_size=32)
    model = ir.load(write_matmul(tmp_path / "float.onnx", weights))
    replace_matmuls(model.graph, model.graph.initializers["w"], made)
    model.opset_imports["com.microsoft"] = 1
    ir.save(model, tmp_path / "gptq.onnx")
    x = np.eye(ROWS, dtype=np.float32)
    got = GraphSession(tmp_path / "gptq.onnx").run({"x": x})["y"]
    np.testing.assert_allclose(got, made.dequantize(), atol=0.02 * np.abs(weights).max())


def test_blocks_must_divide_the_rows():
    with pytest.raises(ValueError, match="blocks of 64 do not divide 96 rows"):
        quantize_gptq(matrix(), np.eye(ROWS, dtype=np.float32), bits=4, block_size=64)


def test_numbers_are_packed_low_half_first():
    weights = np.arange(16, dtype=np.float32)[:, None]
    affine = fit_affine(weights, 4)
    packed = pack_blocks(affine.codes(weights), [affine], 4)
    assert packed.values[0, 0, 0] == 0x10
